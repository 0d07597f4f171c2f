/** Words of kept weights, and scales, that several loads share are read once: ahead of the statements that use them, or of the loop that does not change them. */
import type { For, Stmt } from '../../src/kernel/nest.ts'
import { exprsOf, loadsOf, symbolsOfIx, visitStmts } from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { valuesOf } from '../../src/types/ix.ts'
import type { Taken } from './kept-load.ts'
import { keyOf, takenBy } from './kept-load.ts'

/** Names by the key of what they are of. */
export type Words = ReadonlyMap<string, string>

const indices = ({ word, half }: Taken): readonly Ix[] => (half === undefined ? [word.at] : [word.at, half])
const wordsIn = (s: Stmt): readonly Taken[] =>
  exprsOf(s)
    .flatMap(loadsOf)
    .flatMap((e) => (e.buf.layout?.kept ? takenBy(e) : []))

/** By statement of `body`, the words to be named ahead of it: those that it and later ones use more than once, outside of loops. */
export function repeatedWords(body: readonly Stmt[], known: Words): ReadonlyMap<Stmt, readonly Taken[]> {
  const uses = new Map<string, { readonly word: Taken; readonly first: Stmt; count: number }>()
  for (const s of body)
    if (s.k !== 'for' && s.k !== 'if')
      for (const word of wordsIn(s)) {
        const key = keyOf(word)
        const use = uses.get(key) ?? { word, first: s, count: 0 }
        use.count++
        uses.set(key, use)
      }
  const found = new Map<Stmt, Taken[]>()
  for (const [key, { word, first, count }] of uses)
    if (count > 1 && !known.has(key)) found.set(first, [...(found.get(first) ?? []), word])
  return found
}

/** Words that no symbol bound in the loop and no data leads to. `skip`: statements that are printed elsewhere. */
export function invariantWords(loop: For, known: Words, skip: ReadonlySet<Stmt>): readonly Taken[] {
  const bound = new Set<Sym>([loop.v])
  const found = new Map<string, Taken>()
  visitStmts(loop.body, (s, around) => {
    if (skip.has(s) || around.some((x) => skip.has(x))) return
    if (s.k === 'for' || s.k === 'bind') bound.add(s.v)
    for (const word of wordsIn(s)) found.set(keyOf(word), word)
  })
  return [...found].flatMap(([key, word]) =>
    known.has(key) || indices(word).some((x) => valuesOf(x).size > 0 || [...symbolsOfIx(x)].some((v) => bound.has(v)))
      ? []
      : [word],
  )
}
