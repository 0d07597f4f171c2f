/**
 * What a kernel binds and allocates, and its loads and stores, as text. The one place that knows how an element of a buffer lies in what is
 * declared for it: recipes and statements speak of logical coordinates only.
 */
import { offsetOf, storageOf } from '../../src/kernel/address.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { Expr } from '../../src/kernel/expr.ts'
import type { Stmt } from '../../src/kernel/nest.ts'
import type { Ix } from '../../src/types/ix.ts'
import { isConst, print } from '../../src/types/ix.ts'
import type { Taken } from './kept-load.ts'
import type { MathHelper } from './math.ts'
import type { Text } from './syntax.ts'
import { P, atomText, infix } from './syntax.ts'
import { readerLines } from './parts.ts'
import { comment } from './text.ts'

export type Load = Expr & { readonly k: 'load' }
export type Store = Stmt & { readonly k: 'store' }

/** How a buffer is declared. */
export interface Held {
  readonly name: string
  /** Of a weight that is read through a function, as one in parts is: the names of the parts, the elements in each but the last, and the function that reads one. */
  readonly split?: { readonly names: readonly string[]; readonly each: number; readonly read: string }
}

/** What an access needs of its surroundings. */
export interface AccessScope {
  readonly held: (b: Buffer) => Held
  readonly ix: (x: Ix) => Text
  readonly helper: (h: MathHelper) => string
  /** The name of a word of kept weights, or of scales, that were read before, if they were. */
  readonly taken: (t: Taken) => string | undefined
}

export const scalarType = (of: Buffer['of']): 'f32' | 'i32' => (of === 'f32' || of === 'f64' ? 'f32' : 'i32')

/** `array<f32, 64>`: storage that a kernel allocates. */
export function arrayType(buf: Buffer): string {
  const size = isConst(storageOf(buf))
  if (size === undefined) throw new Error(`internal: ${buf.name} has no constant size`)
  return `array<${scalarType(buf.of)}, ${size}>`
}

/**
 * The declarations of an argument, bound from `first` on; `given` is the model's own buffer where the kernel calls it otherwise. One in parts has a
 * binding for each, and the function that reads it.
 */
export function bindingLines(buf: Buffer, held: Held, first: number, written: boolean, given: Buffer): string[] {
  const called = given === buf ? '' : `${given.name} `
  const layout = given.layout === undefined ? '' : ` as ${given.layout.name}`
  const shape = `${given.of}[${given.shape.map((x) => print(x)).join(', ')}]${layout}`
  const access = written ? 'read_write' : 'read'
  const type = buf.layout?.kept ? 'vec4u' : scalarType(buf.of)
  const bound = (name: string, i: number, about: string): string =>
    `@group(0) @binding(${first + i}) var<storage, ${access}> ${name}: array<${type}>;${about}`
  const about = ` ${comment(called + shape)}`
  if (held.split === undefined) return [bound(held.name, 0, about)]
  return [
    ...held.split.names.map((name, i, { length }) =>
      bound(name, i, i > 0 ? '' : length === 1 ? about : `${about}, in ${length} parts`),
    ),
    ...readerLines(buf.of, held.split),
  ]
}

/** Which element of the declared array an access is to: loops compute those of its terms that they do not change ahead. */
export const positionOf = (a: Load | Store): Ix => offsetOf(a.buf, a.at)

const placeText = (a: Load | Store, s: AccessScope): string => `${s.held(a.buf).name}[${s.ix(positionOf(a)).s}]`

/** The value of a load; a truth value is stored as 0 or 1. */
export function loadText(e: Load, s: AccessScope): Text {
  const { split } = s.held(e.buf)
  const value = atomText(split === undefined ? placeText(e, s) : `${split.read}(${s.ix(positionOf(e)).s})`)
  return e.of === 'bool' ? infix('!=', P.compare, value, atomText('0')) : value
}

/** A store of `value`, or `+=` of what is added to the element. Its position is that in `s`. */
export const storeText = (a: Store, value: string, s: AccessScope, operator: '=' | '+=' = '='): string =>
  `${placeText(a, s)} ${operator} ${value};`
