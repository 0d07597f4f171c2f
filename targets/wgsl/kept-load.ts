/** Loads of weights kept in few bits, as text: the words they lie in, and what is made of them in registers. */
import type { Buffer, KeptAs } from '../../src/kernel/buffer.ts'
import type { Ix } from '../../src/types/ix.ts'
import { floorDiv, isConst, mod, mul } from '../../src/types/ix.ts'
import type { AccessScope, Load } from './access.ts'
import { COLUMNS, placeOf } from './kept.ts'
import type { Text } from './syntax.ts'
import { P, atomText, call, infix } from './syntax.ts'

/** The words of a load: of levels or halves, and of scales. */
export function wordsOf(e: Load): readonly Ix[] {
  const { word, scale } = placeOf(e.buf, e.at)
  return scale === undefined ? [word] : [word, scale.word]
}

/** Four neighbouring columns of a row from a multiple of 4 on, or one element. */
export function keptText(e: Load, s: AccessScope): Text {
  const { word, row, column, scale } = placeOf(e.buf, e.at)
  const four = e.lanes === COLUMNS
  if (e.lanes !== 1 && (!four || isConst(column) !== 0))
    throw new Error(`internal: ${e.lanes} lanes of ${e.buf.name}, which is kept by fours`)
  const part = (x: Text): Text => (four ? x : component(x, column, s))
  const levels = part(decoded(e.buf.layout!.kept!.as, wordText(e.buf, word, s), row, s))
  if (scale === undefined) return levels
  return infix('*', P.mul, levels, part(call(s.helper('scales'), half(wordText(e.buf, scale.word, s), scale.row, s))))
}

const wordText = (b: Buffer, word: Ix, s: AccessScope): Text =>
  atomText(s.word(b, word) ?? `${s.held(b).name}[${s.ix(word).s}]`)

/** A row of a word as four floats. */
function decoded(as: KeptAs, word: Text, row: Ix, s: AccessScope): Text {
  switch (as) {
    case 'f16':
      return call(s.helper('halves'), half(word, row, s))
    case 'bf16':
      return call(s.helper('bhalves'), half(word, row, s))
    case 'int8':
      return call(s.helper('bytes'), component(word, row, s))
    case 'int4': {
      const two = component(word, floorDiv(row, 2), s)
      const odd = isConst(mod(row, 2))
      if (odd === 0) return call(s.helper('nibbles'), two)
      const shift = odd === 1 ? '16' : `u32(${s.ix(mul(16, mod(row, 2))).s})`
      return call(s.helper('nibbles'), atomText(`${two.s} >> ${shift}`))
    }
  }
}

function component(x: Text, i: Ix, s: AccessScope): Text {
  const n = isConst(i)
  return atomText(n === undefined ? `${x.s}[${s.ix(i).s}]` : `${x.s}.${'xyzw'[n]}`)
}

/** The first or the second two components. */
function half(x: Text, i: Ix, s: AccessScope): Text {
  const n = isConst(i)
  if (n !== undefined) return atomText(`${x.s}.${['xy', 'zw'][n]}`)
  return atomText(`select(${x.s}.xy, ${x.s}.zw, ${s.ix(i).s} == 1)`)
}
