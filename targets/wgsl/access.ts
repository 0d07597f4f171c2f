/**
 * What a kernel binds and allocates, and its loads and stores, as text. The one place that knows how an element of a buffer lies in what is
 * declared for it: recipes and statements speak of logical coordinates only.
 */
import { offsetOf, storageOf } from '../../src/kernel/address.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { Expr, Lanes, Scalar } from '../../src/kernel/expr.ts'
import type { Stmt } from '../../src/kernel/nest.ts'
import { exprsOf, loadsOf, ownIndices, visitStmts } from '../../src/kernel/walk.ts'
import type { Ix } from '../../src/types/ix.ts'
import { add, ceilDiv, floorDiv, isConst, mod, print, valuesOf } from '../../src/types/ix.ts'
import type { Taken } from './kept-load.ts'
import type { MathHelper } from './math.ts'
import type { Text } from './syntax.ts'
import { P, atomText, call, infix, within } from './syntax.ts'
import type { Parts } from './parts.ts'
import { elementReader, wordReader } from './parts.ts'
import { comment } from './text.ts'

export type Load = Expr & { readonly k: 'load' }
export type Store = Stmt & { readonly k: 'store' }

/** How a buffer is declared: as an array of scalars or of vectors of four, or, where it is private and as large as one, as a vector. */
export interface Held {
  readonly name: string
  readonly as: 'scalars' | 'vectors' | 'vector'
  /** Of a weight that is read through a function, as one in parts is. */
  readonly split?: Parts
}

/** What an access needs of its surroundings. */
export interface AccessScope {
  readonly held: (b: Buffer) => Held
  readonly ix: (x: Ix) => Text
  readonly helper: (h: MathHelper) => string
  /** The name of a word of kept weights, or of scales, that were read before, if they were. */
  readonly taken: (t: Taken) => string | undefined
}

/** `f32`, `vec4f`, `vec4<bool>`: a value in a kernel. */
export function typeText(of: Scalar, lanes: Lanes = 1): string {
  if (of === 'bool' || of === 'f16') return lanes === 1 ? of : `vec${lanes}<${of}>`
  const scalar = of === 'i32' ? 'i' : 'f'
  return lanes === 1 ? `${scalar}32` : `vec${lanes}${scalar}`
}
/** Truth values are stored as 0 or 1. */
const storedType = (of: Scalar, lanes: Lanes = 1): string => typeText(of === 'bool' ? 'i32' : of, lanes)
const elementType = (b: Buffer, held: Held): string => storedType(b.of, held.as === 'scalars' ? 1 : 4)

/**
 * How the buffers of a kernel, in all its variants, are declared. Vectors: what some access takes four neighbours of, all such at multiples of four, unless
 * threads store single elements, which WGSL lets them do by writing whole vectors.
 */
export function waysOf(bodies: readonly (readonly Stmt[])[]): (b: Buffer) => Held['as'] {
  const fours = new Set<Buffer>()
  const scalars = new Set<Buffer>()
  const access = (a: Load | Store, lanes: Lanes): void => {
    if (lanes === 1 && (a.k === 'load' || a.buf.space === 'private')) return
    const aligned = lanes === 4 && isConst(mod(offsetOf(a.buf, a.at), 4)) === 0
    ;(aligned ? fours : scalars).add(a.buf)
  }
  for (const body of bodies)
    visitStmts(body, (s) => {
      const inner = ownIndices(s).flatMap((x) => [...valuesOf(x)].map((v) => v.value as Expr))
      for (const l of [...exprsOf(s), ...inner].flatMap(loadsOf)) access(l, l.lanes)
      if (s.k === 'store') access(s, s.axis === undefined ? 1 : s.e.lanes)
    })
  return (b) =>
    !fours.has(b) || scalars.has(b) ? 'scalars' : b.space === 'private' && isConst(storageOf(b)) === 4 ? 'vector' : 'vectors' // prettier-ignore
}

/** `array<f32, 64>`: storage that a kernel allocates. */
export function allocatedType(buf: Buffer, held: Held): string {
  if (held.as === 'vector') return elementType(buf, held)
  const size = isConst(held.as === 'vectors' ? ceilDiv(storageOf(buf), 4) : storageOf(buf))
  if (size === undefined) throw new Error(`internal: ${buf.name} has no constant size`)
  return `array<${elementType(buf, held)}, ${size}>`
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
  const { kept } = buf.layout ?? {}
  const element = kept ? 'vec4u' : elementType(buf, held)
  const bound = (name: string, i: number, about: string): string =>
    `@group(0) @binding(${first + i}) var<storage, ${access}> ${name}: array<${element}>;${about}`
  const about = ` ${comment(called + shape)}`
  if (held.split === undefined) return [bound(held.name, 0, about)]
  return [
    ...held.split.names.map((name, i, { length }) =>
      bound(name, i, i > 0 ? '' : length === 1 ? about : `${about}, in ${length} parts`),
    ),
    ...(kept ? wordReader(held.split) : elementReader(element, held.split, held.as === 'scalars' ? 1 : 4)),
  ]
}

/** Which element of the declared array an access begins at: loops compute those of its terms that they do not change ahead. */
export function positionOf(a: Load | Store, held: Held): Ix {
  const offset = offsetOf(a.buf, a.at)
  return held.as !== 'scalars' && isConst(mod(offset, 4)) !== undefined ? floorDiv(offset, 4) : offset
}

const components = 'xyzw'
/** One component of a vector. */
export const component = (x: Text, i: number): Text => atomText(`${within(x, P.call)}.${components[i]}`)

/** The element that an access begins at: of the array, or a component of it. */
function elementText(a: Load | Store, lanes: Lanes, s: AccessScope): string {
  const held = s.held(a.buf)
  const { name, split } = held
  const element = (i: string): string => (split === undefined ? `${name}[${i}]` : `${split.read}(${i})`)
  const offset = offsetOf(a.buf, a.at)
  if (held.as === 'scalars') return element(s.ix(offset).s)
  const inside = isConst(mod(offset, 4))
  if (held.as === 'vector' && lanes === 1)
    return inside === undefined ? `${name}[${s.ix(offset).s}]` : `${name}.${components[inside]}`
  if (inside === undefined) {
    const at = within(s.ix(offset), P.call)
    return `${element(`${at} >> 2u`)}[${at} & 3]`
  }
  const whole = held.as === 'vector' ? name : element(s.ix(floorDiv(offset, 4)).s)
  return lanes === 4 ? whole : `${whole}.${components[inside]}`
}
/** The elements of a vector access one by one. */
const apart = (a: Load | Store, lanes: Lanes, s: AccessScope): readonly string[] =>
  Array.from({ length: lanes }, (_, i) => {
    const at = a.at.map((x, d) => (d === a.axis ? add(x, i) : x))
    return elementText({ ...a, at }, 1, s)
  })

/** The value of a load. */
export function loadText(e: Load, s: AccessScope): Text {
  const whole = e.lanes === 1 || (e.lanes === 4 && s.held(e.buf).as !== 'scalars')
  const value = whole
    ? atomText(elementText(e, e.lanes, s))
    : call(storedType(e.of, e.lanes), ...apart(e, e.lanes, s).map(atomText))
  const none = e.lanes === 1 ? '0' : `${storedType(e.of, e.lanes)}()`
  return e.of === 'bool' ? infix('!=', P.compare, value, atomText(none)) : value
}

/** Statements that store `value`, or add it to what is there. `named` makes a name for a value that is used several times. */
export function storeText(
  a: Store,
  value: Text,
  s: AccessScope,
  operator: '=' | '+=',
  named: () => string,
): readonly string[] {
  const { lanes } = a.e
  if (lanes === 1 || (lanes === 4 && s.held(a.buf).as !== 'scalars'))
    return [`${elementText(a, lanes, s)} ${operator} ${value.s};`]
  const name = named()
  const stores = apart(a, lanes, s).map((x, i) => `${x} ${operator} ${name}.${components[i]};`)
  return [`let ${name} = ${value.s};`, stores.join(' ')]
}
