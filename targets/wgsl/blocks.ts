/**
 * Whole blocks of lines that several texts have, but for a few names and numbers: attention in which a group of threads has a row's keys, and in which
 * a workgroup has a part of them. Where texts differ as a whole, these are stored once.
 */
import type { Family } from './families.ts'
import { cut, familyOf, isNumber, PARAMETERS, saved } from './families.ts'

/** What a block saves at least. */
const BLOCK = 250

interface Line {
  readonly text: string
  /** The same for lines that differ in names and numbers only. */
  readonly key: string
  /** Braces that it opens, less those that it closes; and whether it closes one of a line before. */
  readonly depth: number
  readonly closes: boolean
  taken: boolean
}
function linesOf(text: string): Line[] {
  return text.split('\n').map((line) => {
    const { between, words } = cut('', line)
    let [depth, least] = [0, 0]
    for (const c of line) {
      depth += c === '{' ? 1 : c === '}' ? -1 : 0
      least = Math.min(least, depth)
    }
    const key = [...between, ...words.map((w) => (isNumber(w) ? '0' : 'a'))].join('\0')
    return { text: line, key, depth, closes: least < 0, taken: false }
  })
}
const textOf = (lines: readonly Line[], from: number, count: number): string =>
  lines.slice(from, from + count).map((l) => l.text).join('\n') // prettier-ignore

/** Whether a call can end the line before: not in a comment, which may be left out. */
const follows = (lines: readonly Line[], i: number): boolean => i > 0 && !lines[i - 1].text.includes('//')

/** Lines from `i` and `j` on that are alike in whole blocks, with so few names and numbers that differ as a function may have. */
function alike(a: readonly Line[], i: number, b: readonly Line[], j: number, most = Infinity): number {
  const differ = new Set<string>()
  let [depth, whole] = [0, 0]
  for (let n = 0; i + n < a.length && j + n < b.length && n < most; n++) {
    const [x, y] = [a[i + n], b[j + n]]
    if (x.taken || y.taken || x.key !== y.key || depth + x.depth < 0 || (x.closes && depth === 0)) break
    if (x.text !== y.text) {
      const other = cut('', y.text).words
      cut('', x.text).words.forEach((w, k) => w !== other[k] && differ.add(`${w} ${other[k]}`))
    }
    if (differ.size > PARAMETERS) break
    depth += x.depth
    if (depth === 0) whole = n + 1
  }
  return whole
}

/** Families of blocks, those first that save most. */
export function blocksOf(texts: readonly { readonly name: string; readonly text: string }[]): readonly Family[] {
  const all = texts.map(({ name, text }) => ({ name, lines: linesOf(text) }))
  const found: Family[] = []
  for (;;) {
    let best: { readonly t: number; readonly i: number; readonly count: number; readonly saves: number } | undefined
    const places = new Map<string, (readonly [number, number])[]>()
    for (const [u, { lines }] of all.entries())
      for (const [j, line] of lines.entries()) {
        if (line.taken || line.text === '' || !follows(lines, j)) continue
        for (const [t, i] of places.get(line.key) ?? []) {
          const before = all[t].lines[i - 1]
          // Where the lines before are alike, too, more was found from there on, but for those that are no whole blocks.
          if (before && lines[j - 1]?.key === before.key && before.depth === 0 && !before.taken) continue
          const count = alike(all[t].lines, i, lines, j, t === u ? j - i : Infinity)
          if (count < 4) continue
          const [x, y] = [textOf(all[t].lines, i, count), textOf(lines, j, count)]
          if (x.length <= (best?.saves ?? BLOCK)) continue
          const saves = saved(familyOf([cut('', x), cut('', y)]))
          if (saves > (best?.saves ?? BLOCK)) best = { t, i, count, saves }
        }
        places.set(line.key, [...(places.get(line.key) ?? []), [u, j]])
      }
    if (best === undefined) return found
    const { t, i, count } = best
    const first = all[t].lines
    let family = familyOf([cut(all[t].name, textOf(first, i, count))])
    for (const { lines } of all)
      for (let j = 0; j + count <= lines.length; j++) {
        const own = lines === first && j === i
        if (!follows(lines, j)) continue
        if (lines === first && !own && j < i + count && i < j + count) continue
        if (!own && alike(first.slice(i, i + count), 0, lines.slice(j, j + count), 0) < count) continue
        const text = textOf(lines, j, count)
        const known = family.members.some((m) => m.text === text)
        const joined = known ? family : familyOf([...family.members, cut('', text)])
        if (joined.parameters.length > PARAMETERS || saved(joined) < BLOCK) continue
        family = joined
        if (!own) for (let n = 0; n < count; n++) lines[j + n].taken = true
      }
    for (let n = 0; n < count; n++) first[i + n].taken = true
    found.push(family)
  }
}
