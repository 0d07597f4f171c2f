import { TfmError } from './errors.ts'

// Inputs of a call: any array-like in, checked typed arrays and dims out. Every message names the input.

/** Numbers as they come: flat or nested arrays, typed arrays, one number, or `{ data, shape }`. Masks may be booleans. */
export type TensorLike =
  Nested | ArrayLike<number> | { readonly data: ArrayLike<number | boolean>; readonly shape: readonly number[] }
export type Nested = number | boolean | readonly Nested[]
/** A result, row-major. */
export interface Tensor<A extends Float32Array | Int32Array = Float32Array> {
  readonly data: A
  readonly shape: number[]
}
export type Dims = Record<string, number>
/** A number, the name of a dim, or a formula of dims. */
export type Extent = number | string | ((d: Dims) => number)
export interface PortSpec {
  name: string
  dtype: 'f32' | 'i32' | 'bool'
  shape: readonly Extent[]
  /** Indices into a table must stay below this extent; its name is for the message. */
  below?: readonly [Extent, string]
  /** The value everywhere when the input is not given. */
  fill?: number
}
interface Part {
  port: PortSpec
  data?: ArrayLike<number | boolean>
  /** Absent where it must be inferred. */
  shape?: readonly number[]
}

/** Codes: 2001 shape, 2002 missing or unknown, 2003 kind of value, 2005 index out of range. */
const wrong = (code: number, message: string) => new TfmError(`TFM${code}`, message)

/** NaN where a dim is not known. */
export const extent = (e: Extent, d: Dims) => (typeof e === 'number' ? e : typeof e === 'string' ? (d[e] ?? NaN) : e(d))
export const count = (shape: readonly number[]) => shape.reduce((n, x) => n * x, 1)
const isList = (x: unknown): x is ArrayLike<unknown> => Array.isArray(x) || (ArrayBuffer.isView(x) && 'length' in x)
const shapeOf = (port: PortSpec, dims: Dims) => port.shape.map((e) => extent(e, dims))
const text = (port: PortSpec) => `[${port.shape.map((e) => (typeof e === 'function' ? '…' : e)).join(', ')}]`

/**
 * Checks inputs against ports and binds dims into `dims`. An array without a shape fills the port's shape: where several dims are still
 * open, all but the last are 1, so that `[5, 6, 7]` is a batch of one. Nested arrays say their own shape; leading axes of 1 may be left out.
 * `later`: elements of a Float32Array are not looked at; the caller does, and calls `checked` if there is a NaN.
 */
export function bindInputs(
  ports: readonly PortSpec[],
  given: Readonly<Record<string, unknown>>,
  dims: Dims,
  later?: boolean,
) {
  const own = Object.assign(Object.create(null), given)
  for (const name in own)
    if (own[name] !== undefined && !ports.some((p) => p.name === name))
      throw wrong(2002, `${name}: no such input; there is ${ports.map((p) => p.name).join(', ')}`)
  const parts = ports.map((port) => flatten(port, own[port.name]))
  // Shapes that are given bind dims before shapes that must be inferred.
  for (const part of parts) if (part.shape) bindShape(part, dims)
  for (const part of parts) if (part.data && !part.shape) bindShape(part, dims)
  const arrays: Record<string, Float32Array | Int32Array> = Object.create(null)
  for (const { port, data } of parts) {
    const shape = shapeOf(port, dims)
    const size = count(shape)
    if (!data && (port.fill === undefined || !(size >= 0)))
      throw wrong(2002, `${port.name}: missing; expected ${port.dtype}${text(port)}`)
    if (data && data.length !== size)
      throw wrong(2001, `${port.name}: ${data.length} elements, expected ${text(port)} = [${shape.join(', ')}]`)
    const values = data ?? new Float32Array(size).fill(port.fill!)
    const whole = port.dtype === 'f32' && !port.below && values instanceof Float32Array
    arrays[port.name] = whole && (later || finite(values)) ? values : checked(port, values, dims)
  }
  return arrays
}

function flatten(port: PortSpec, value: unknown): Part {
  const { name } = port
  if (value === undefined) return { port }
  if (typeof value === 'number' || typeof value === 'boolean') return { port, data: [value] }
  if (!isList(value)) {
    const { data, shape } = Object(value)
    if (!isList(data) || !isList(shape))
      throw wrong(2003, `${name}: expected an array, a typed array or { data, shape }`)
    const extents = Array.from(shape, Number)
    if (count(extents) !== data.length)
      throw wrong(2001, `${name}: ${data.length} elements do not fill shape [${extents.join(', ')}]`)
    return { port, data: data as ArrayLike<number>, shape: extents }
  }
  if (!isList(value[0])) return { port, data: value as ArrayLike<number> }
  const [shape, data]: number[][] = [[], []]
  for (let x: unknown = value; isList(x); x = x[0]) shape.push(x.length)
  const walk = (x: unknown, depth: number, at: string) => {
    const [length, first] = [isList(x) ? x.length : 'no', shape[depth] ?? 'none']
    if (depth < shape.length ? length !== first : isList(x))
      throw wrong(2001, `${name}${at}: ${length} elements, where the first list there has ${first}`)
    if (isList(x)) for (let i = 0; i < x.length; i++) walk(x[i], depth + 1, `${at}[${i}]`)
    else data.push(x as number)
  }
  walk(value, 0, '')
  return { port, data, shape }
}

function bindShape({ port, data, shape }: Part, dims: Dims) {
  const { length } = data!
  const open = port.shape.filter((e) => typeof e === 'string' && dims[e] === undefined)
  const last = open[open.length - 1]
  const known = port.shape.map((e) => (open.includes(e) ? (e === last ? 0 : 1) : extent(e, dims)))
  const lead = port.shape.length - (shape ?? port.shape).length
  if (!length) throw wrong(2001, `${port.name}: empty; expected ${text(port)}`)
  if (lead < 0)
    throw wrong(2001, `${port.name}: shape [${shape!.join(', ')}] has ${shape!.length} axes, expected ${text(port)}`)
  const rest = count(known.filter((n, i) => port.shape[i] !== last && n > 0))
  port.shape.forEach((e, i) => {
    const n = shape ? (shape[i - lead] ?? 1) : e === last ? Math.floor(length / rest) : known[i]
    if (typeof e === 'string') dims[e] ??= n
    const want = extent(e, dims)
    if (n === want || want !== want) return
    const name = typeof e === 'string' ? `${e} = ` : ''
    throw wrong(2001, `${port.name}: axis ${i} has ${n} elements, expected ${name}${want}`)
  })
}

/** Whether all elements are finite, at the rate of memory: the product with 0 of any other is NaN, and stays so in a sum. */
function finite(x: ArrayLike<number>): boolean {
  let [i, a, b, c, d] = [x.length % 4, 0, 0, 0, 0]
  for (let k = 0; k < i; k++) a += x[k] * 0
  for (; i < x.length; i += 4) {
    a += x[i] * 0
    b += x[i + 1] * 0
    c += x[i + 2] * 0
    d += x[i + 3] * 0
  }
  return a + b + c + d === 0
}
/** The elements as numbers of the port's type; throws for the first that is none. */
export function checked(port: PortSpec, data: ArrayLike<number | boolean>, dims: Dims) {
  const { name, dtype, below } = port
  const Kind = dtype === 'f32' ? Float32Array : Int32Array
  const out = data instanceof Kind ? data : new Kind(Array.from(data, Number))
  const limit = below ? extent(below[0], dims) : Infinity
  const kind = { f32: 'a number', i32: 'an integer', bool: '0 or 1' }[dtype]
  for (let i = 0; i < out.length; i++) {
    const x = Number(data[i])
    const bad = dtype === 'bool' ? x !== 0 && x !== 1 : dtype === 'i32' ? x !== out[i] : x !== x
    if (!bad && (!below || (x >= 0 && x < limit))) continue
    const shape = shapeOf(port, dims)
    const at = shape.map((n, axis) => Math.floor(i / count(shape.slice(axis + 1))) % n)
    const fault = bad ? `expected ${kind}` : `${below![1]} = ${limit}`
    throw wrong(bad ? 2003 : 2005, `${name}[${at.join(', ')}] = ${data[i]}, ${fault}`)
  }
  return out
}
