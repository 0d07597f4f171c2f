/** Loads of weights kept in few bits, as text: the words they lie in, and what is made of them in registers. */
import type { Buffer, KeptAs } from '../../src/kernel/buffer.ts'
import type { Ix } from '../../src/types/ix.ts'
import { floorDiv, isConst, mod, mul } from '../../src/types/ix.ts'
import type { AccessScope, Load } from './access.ts'
import type { Word } from './kept.ts'
import { COLUMNS, placeOf } from './kept.ts'
import type { Text } from './syntax.ts'
import { atomText, call } from './syntax.ts'

/** What a load takes: words, and the scales that one holds of a block. */
export interface Taken {
  readonly buf: Buffer
  readonly word: Word
  /** Of scales: which half of the word they are. */
  readonly half?: Ix
}
export function takenBy(e: Load): readonly Taken[] {
  const { word, scale } = placeOf(e.buf, e.at)
  const levels = { buf: e.buf, word }
  return scale === undefined ? [levels] : [levels, { buf: e.buf, word: scale.word, half: scale.row }]
}
export const keyOf = ({ buf, word, half }: Taken): string =>
  `${buf.id}:${word.at.id}${half === undefined ? '' : `:${half.id}`}`

/** A word, or four scales. */
export function takenText(t: Taken, s: AccessScope): Text {
  const known = s.taken(t)
  if (known !== undefined) return atomText(known)
  if (t.half !== undefined)
    return call(s.helper('scales'), halfOf(takenText({ buf: t.buf, word: t.word }, s), t.half, s))
  const { name, split } = s.held(t.buf)
  if (split) return call(split.read, s.ix(t.word.row), s.ix(t.word.column))
  return atomText(`${name}[${s.ix(t.word.at).s}]`)
}

/** Four neighbouring columns of a row from a multiple of 4 on, or one element. */
export function keptText(e: Load, s: AccessScope): Text {
  const { row, column } = placeOf(e.buf, e.at)
  const [word, scales] = takenBy(e).map((t) => takenText(t, s))
  if (e.lanes !== 1 && (e.lanes !== COLUMNS || isConst(column) !== 0))
    throw new Error(`internal: ${e.lanes} lanes of ${e.buf.name}, which is kept by fours`)
  const four = decoded(e.buf.layout!.kept!.as, word, row, scales, s)
  return e.lanes === 1 ? component(four, column, s) : four
}

/** Four neighbouring columns of f16 as they are, on devices that compute with them. */
export function keptHalves(e: Load, s: AccessScope): Text {
  const { row, column } = placeOf(e.buf, e.at)
  if (e.buf.layout!.kept!.as !== 'f16' || e.lanes !== COLUMNS || isConst(column) !== 0)
    throw new Error(`internal: ${e.lanes} lanes of ${e.buf.name} as f16`)
  const [word] = takenBy(e).map((t) => takenText(t, s))
  return call('bitcast<vec4<f16>>', halfOf(word, row, s))
}

/** A row of a word as four floats. */
function decoded(as: KeptAs, word: Text, row: Ix, scales: Text, s: AccessScope): Text {
  switch (as) {
    case 'f16':
      return call(s.helper('halves'), halfOf(word, row, s))
    case 'bf16':
      return call(s.helper('bhalves'), halfOf(word, row, s))
    case 'int8':
      return call(s.helper('bytes'), component(word, row, s), scales)
    case 'int4': {
      const two = component(word, floorDiv(row, 2), s)
      const odd = isConst(mod(row, 2))
      const shift = odd === 1 ? '16' : `u32(${s.ix(mul(16, mod(row, 2))).s})`
      return call(s.helper('nibbles'), odd === 0 ? two : atomText(`${two.s} >> ${shift}`), scales)
    }
  }
}

function component(x: Text, i: Ix, s: AccessScope): Text {
  const n = isConst(i)
  return atomText(n === undefined ? `${x.s}[${s.ix(i).s}]` : `${x.s}.${'xyzw'[n]}`)
}

/** The first or the second two components. */
function halfOf(x: Text, i: Ix, s: AccessScope): Text {
  const n = isConst(i)
  if (n !== undefined) return atomText(`${x.s}.${['xy', 'zw'][n]}`)
  return atomText(`select(${x.s}.xy, ${x.s}.zw, ${s.ix(i).s} == 1)`)
}
