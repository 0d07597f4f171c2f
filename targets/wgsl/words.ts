/** Words of kept weights that several loads share are read once: ahead of the statements that use them, or of the loop that does not change them. */
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { For, Stmt } from '../../src/kernel/nest.ts'
import { exprsOf, loadsOf, symbolsOfIx, visitStmts } from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { valuesOf } from '../../src/types/ix.ts'
import { wordsOf } from './kept-load.ts'

export interface Word {
  readonly buf: Buffer
  readonly at: Ix
}
/** Names by word. */
export type Words = ReadonlyMap<string, string>
export const keyOf = (buf: Buffer, at: Ix): string => `${buf.id}:${at.id}`

const wordsIn = (s: Stmt): readonly Word[] =>
  exprsOf(s)
    .flatMap(loadsOf)
    .flatMap((e) => (e.buf.layout?.kept ? wordsOf(e).map((at) => ({ buf: e.buf, at })) : []))

/** By statement of `body`, the words to be named ahead of it: those that it and later ones use more than once, outside of loops. */
export function repeatedWords(body: readonly Stmt[], known: Words): ReadonlyMap<Stmt, readonly Word[]> {
  const uses = new Map<string, { readonly word: Word; readonly first: Stmt; count: number }>()
  for (const s of body)
    if (s.k !== 'for' && s.k !== 'if')
      for (const word of wordsIn(s)) {
        const key = keyOf(word.buf, word.at)
        const use = uses.get(key) ?? { word, first: s, count: 0 }
        use.count++
        uses.set(key, use)
      }
  const found = new Map<Stmt, Word[]>()
  for (const [key, { word, first, count }] of uses)
    if (count > 1 && !known.has(key)) found.set(first, [...(found.get(first) ?? []), word])
  return found
}

/** Words that no symbol bound in the loop and no data leads to. `skip`: statements that are printed elsewhere. */
export function invariantWords(loop: For, known: Words, skip: ReadonlySet<Stmt>): readonly Word[] {
  const bound = new Set<Sym>([loop.v])
  const found = new Map<string, Word>()
  visitStmts(loop.body, (s, around) => {
    if (skip.has(s) || around.some((x) => skip.has(x))) return
    if (s.k === 'for' || s.k === 'bind') bound.add(s.v)
    for (const word of wordsIn(s)) found.set(keyOf(word.buf, word.at), word)
  })
  return [...found].flatMap(([key, word]) =>
    known.has(key) || valuesOf(word.at).size > 0 || [...symbolsOfIx(word.at)].some((v) => bound.has(v)) ? [] : [word],
  )
}
