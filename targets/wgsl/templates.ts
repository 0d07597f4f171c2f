/**
 * Text that several kernels have is stored once in the host module: as a constant where it is the same, as a function of a few names and numbers
 * where it differs in those only (the threads of a fold, the sequence that rows belong to). What a function gives is the very text.
 */
import type { Printer } from '../shared/printer.ts'
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

/** What functions have at most for parameters, and save at least: else the text is easier to read where it is. */
const PARAMETERS = 6
const WORTH = 100

/** Names and numbers of a text, and what is around them. */
interface Cut {
  readonly text: string
  readonly name: string
  readonly words: readonly string[]
  readonly between: readonly string[]
}
function cut(name: string, text: string): Cut {
  const words: string[] = []
  const between: string[] = []
  let from = 0
  for (const { 0: word, index } of text.matchAll(/(?<![\w.])\d[\w.]*(?:(?<=[\d.]e)[-+]\d+)?|[A-Za-z_]\w*/g)) {
    between.push(text.slice(from, index))
    words.push(word)
    from = index + word.length
  }
  return { text, name, words, between: [...between, text.slice(from)] }
}
const isType = (word: string): boolean => /^(vec[234])?[fiu](32)?$|^f16$|^vec4h$/.test(word)
const wishOf = (word: string): string => (isNumber(word) ? 'n' : isType(word) ? 'element' : word)
const isNumber = (word: string): boolean => /^\d/.test(word)

/** Texts that differ in words at the same places; `parameters` are the lists of words that do, each once. */
interface Family {
  readonly members: readonly Cut[]
  readonly parameters: readonly (readonly string[])[]
}
const column = ({ members }: Pick<Family, 'members'>, i: number): readonly string[] => members.map((m) => m.words[i])
const varies = (list: readonly string[]): boolean => list.some((w) => w !== list[0])
function familyOf(members: readonly Cut[]): Family {
  const parameters = new Map<string, readonly string[]>()
  members[0].words.forEach((_, i) => {
    const list = column({ members }, i)
    if (varies(list)) parameters.set(list.join(), list)
  })
  return { members, parameters: [...parameters.values()] }
}
/** Characters that a member less would save. */
const saved = ({ members, parameters }: Family): number =>
  members[0].text.length - parameters.reduce((n, [first]) => n + first.length + 12, 40)

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
  for (const { members, parameters } of families([...uses].map(([text, { name }]) => cut(name, text)))) {
    const [first] = members
    if (members.length === 1 && uses.get(first.text)!.count === 1) continue
    const made = p.names.name(`wgsl_${first.name}`)
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
    const body = literal(`${content.join('')}${templateText(first.between.at(-1)!)}`)
    lines.push(`const ${made} = ${head.length > 0 ? `(${head.join(', ')})${p.type('string')} => ` : ''}${body}`, '')
    members.forEach((m, i) => {
      const given = parameters.map((list) => (isPlain(list[i]) ? list[i] : quote(list[i])))
      calls.set(m.text, given.length > 0 ? `${made}(${given.join(', ')})` : made)
    })
  }
  return {
    lines: () => [...(repeats ? repeatLines(repeat, p.type) : []), ...lines],
    has: (text) => calls.has(text),
    expression: (text) => calls.get(text) ?? literal(templateText(text)),
  }
}
/** Whether the text of a number in JavaScript is this one. */
const isPlain = (word: string): boolean => String(Number(word)) === word
