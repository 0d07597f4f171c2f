/**
 * Text that several kernels have is stored once in the host module: as a constant where it is the same, as a function of a few names and numbers
 * where it differs in those only (the threads of a fold, the sequence that rows belong to). Of texts that differ as a whole, blocks are (`blocks.ts`).
 * What a function gives is the very text.
 */
import type { Printer } from '../shared/printer.ts'
import { blocksOf } from './blocks.ts'
import type { Cut, Family } from './families.ts'
import { column, cut, familyOf, isNumber, PARAMETERS, saved, wishOf } from './families.ts'
import { repeatLines, withRepeats } from './repeats.ts'
import { names as scope, quote } from '../shared/text.ts'

export interface SharedTexts {
  /** Declarations of the constants and functions, once all texts are expressed. */
  readonly lines: () => readonly string[]
  /** Text as an expression. */
  readonly expression: (text: string) => string
  /** Whether it is stored by itself, not with the one kernel that has it. */
  readonly has: (text: string) => boolean
}

/** WGSL as a template literal: nothing in it can end the literal, nor a script element around it. */
export const templateText = (code: string): string =>
  code.replace(/[\\`]|\$(?=\{)/g, '\\$&').replace(/<(?=[/!])/g, '\\x3c')

/** What a function saves at least: else the text is easier to read where it is. */
const WORTH = 100

function families(texts: readonly Cut[]): readonly Family[] {
  const bySkeleton = new Map<string, Cut[]>()
  for (const t of texts) {
    const key = [...t.between, ...t.words.map((w) => (isNumber(w) ? '0' : 'a'))].join('\0')
    bySkeleton.set(key, [...(bySkeleton.get(key) ?? []), t])
  }
  return [...bySkeleton.values()].flatMap((alike) => {
    const made: Family[] = []
    for (const t of alike) {
      const joined = made.map(({ members }) => familyOf([...members, t]))
      const at = joined.findIndex((f) => f.parameters.length <= PARAMETERS && saved(f) >= WORTH)
      if (at < 0) made.push(familyOf([t]))
      else made[at] = joined[at]
    }
    return made
  })
}

/** `texts` with a name to call each by, as often as they occur. */
export function shareTexts(
  texts: readonly { readonly name: string; readonly text: string }[],
  p: Printer,
): SharedTexts {
  const uses = new Map<string, { name: string; count: number }>()
  for (const { name, text } of texts) uses.set(text, { name, count: (uses.get(text)?.count ?? 0) + 1 })
  const lines: string[] = []
  const repeat = p.names.name('repeat')
  let repeats = false
  const literal = (content: string): string => {
    const text = withRepeats(content, repeat)
    repeats ||= text !== content
    return `/* wgsl */ \`\n${text}\``
  }
  const calls = new Map<string, string>()
  const blocks = new Map<string, string>()
  /** Declares what the members have in common, and says how each is called. */
  const declare = ({ members, parameters }: Family, wish: string, into: Map<string, string>): void => {
    const [first] = members
    const made = p.names.name(wish)
    const inside = scope(['i', repeat])
    const known = new Map(parameters.map((list) => [list.join(), inside.name(wishOf(list[0]))]))
    const head = parameters.map(
      (list) =>
        `${known.get(list.join())!}${p.type(list.every(isPlain) ? 'number' : list.some(isPlain) ? 'number | string' : 'string')}`,
    )
    const content = first.words.map((word, i) => {
      const parameter = known.get(column({ members }, i).join())
      return `${templateText(first.between[i])}${parameter === undefined ? word : `\${${parameter}}`}`
    })
    const body =
      parameters.length === 0 ? plain(first.text) : literal(`${content.join('')}${templateText(first.between.at(-1)!)}`)
    lines.push(`const ${made} = ${head.length > 0 ? `(${head.join(', ')})${p.type('string')} => ` : ''}${body}`, '')
    members.forEach((m, i) => {
      const given = parameters.map((list) => (isPlain(list[i]) ? list[i] : quote(list[i])))
      into.set(m.text, given.length > 0 ? `${made}(${given.join(', ')})` : made)
    })
  }
  /** A literal in which blocks are calls: each at the end of the line before, since what is called begins with a line break. */
  const withBlocks = (text: string): string => {
    for (const [block, call] of blocks) {
      const at = `\n${text}\n`.indexOf(`\n${block}\n`)
      if (at <= 0) continue
      const [before, after] = [text.slice(0, at - 1), text.slice(at + block.length)]
      const [head, tail] = [withBlocks(before), withBlocks(after)]
      return `${head}\${${call}}${tail}`
    }
    return withRepeats(templateText(text), repeat)
  }
  const plain = (text: string): string => {
    const made = withBlocks(text)
    repeats ||= made.includes(`\${${repeat}(`)
    return `/* wgsl */ \`\n${made}\``
  }
  const found = families([...uses].map(([text, { name }]) => cut(name, text)))
  const whole = found.filter(({ members }) => members.length === 1).map(({ members: [text] }) => text)
  for (const family of blocksOf(whole)) declare(family, `wgsl_${family.members[0].name}_block`, blocks)
  for (const family of found) {
    const [{ name, text }, another] = family.members
    if (another || uses.get(text)!.count > 1) declare(family, `wgsl_${name}`, calls)
  }
  return {
    lines: () => [...(repeats ? repeatLines(repeat, p.type) : []), ...lines],
    has: (text) => calls.has(text),
    expression: (text) => calls.get(text) ?? plain(text),
  }
}
/** Whether the text of a number in JavaScript is this one. */
const isPlain = (word: string): boolean => String(Number(word)) === word
