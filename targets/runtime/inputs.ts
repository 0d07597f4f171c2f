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
  readonly name: string
  readonly dtype: 'f32' | 'i32' | 'bool'
  readonly shape: readonly Extent[]
  /** Indices into a table must stay below this extent; its name is for the message. */
  readonly below?: readonly [Extent, string]
  /** The value everywhere when the input is not given. */
  readonly fill?: number
}
interface Part {
  readonly data: ArrayLike<number | boolean>
  /** Absent where it must be inferred. */
  readonly shape?: readonly number[]
}

/** Codes: 2001 shape, 2002 missing or unknown, 2003 kind of value, 2005 index out of range. */
const wrong = (code: number, message: string) => new TfmError(`TFM${code}`, message)

/** NaN where a dim is not known. */
export function extent(e: Extent, d: Dims): number {
  return typeof e === 'number' ? e : typeof e === 'string' ? (d[e] ?? NaN) : e(d)
}
const count = (shape: readonly number[]) => shape.reduce((n, x) => n * x, 1)
const isList = (x: unknown): x is ArrayLike<unknown> => Array.isArray(x) || (ArrayBuffer.isView(x) && 'length' in x)
const text = (port: PortSpec) => `[${port.shape.map((e) => (typeof e === 'function' ? '…' : e)).join(', ')}]`

/**
 * Checks inputs against ports and binds dims into `dims`. An array without a shape fills the port's shape: where several dims are still
 * open, all but the last are 1, so that `[5, 6, 7]` is a batch of one. Nested arrays say their own shape; leading axes of 1 may be left out.
 */
export function bindInputs(
  ports: readonly PortSpec[],
  given: Readonly<Record<string, unknown>>,
  dims: Dims,
): Record<string, Float32Array | Int32Array> {
  const list = ports.map((p) => p.name)
  const names = Object.keys(given ?? {}).filter((name) => given[name] !== undefined)
  for (const name of names)
    if (!list.includes(name)) throw wrong(2002, `${name}: no such input; there is ${list.join(', ')}`)
  const parts = ports
    .filter((p) => names.includes(p.name))
    .map((port) => ({ port, part: flatten(port.name, given[port.name]) }))
  // Shapes that are given bind dims before shapes that must be inferred.
  parts.sort((a, b) => Number(!a.part.shape) - Number(!b.part.shape))
  for (const { port, part } of parts) bindShape(port, part, dims)
  const arrays: Record<string, Float32Array | Int32Array> = Object.create(null)
  for (const port of ports) {
    const shape = port.shape.map((e) => extent(e, dims))
    const size = count(shape)
    const part = parts.find((p) => p.port === port)?.part
    if (!part && (port.fill === undefined || !(size >= 0)))
      throw wrong(2002, `${port.name}: missing; expected ${port.dtype}${text(port)}`)
    const data = part?.data ?? new Float32Array(size).fill(port.fill ?? 0)
    if (data.length !== size)
      throw wrong(2001, `${port.name}: ${data.length} elements, expected ${text(port)} = [${shape.join(', ')}]`)
    arrays[port.name] = convert(port, data, shape, dims)
  }
  return arrays
}

function flatten(name: string, value: unknown): Part {
  if (typeof value === 'number' || typeof value === 'boolean') return { data: [value] }
  if (!isList(value)) {
    const { data, shape } = (value ?? {}) as { data?: unknown; shape?: unknown }
    if (!isList(data) || !isList(shape))
      throw wrong(2003, `${name}: expected an array, a typed array or { data, shape }`)
    const extents = Array.from(shape, Number)
    if (count(extents) !== data.length)
      throw wrong(2001, `${name}: ${data.length} elements do not fill shape [${extents.join(', ')}]`)
    return { data: data as ArrayLike<number>, shape: extents }
  }
  if (!isList(value[0])) return { data: value as ArrayLike<number> }
  const shape: number[] = []
  for (let x: unknown = value; isList(x); x = x[0]) shape.push(x.length)
  const data: number[] = []
  const walk = (x: unknown, depth: number, at: string) => {
    const length = isList(x) ? x.length : undefined
    if (length !== shape[depth])
      throw wrong(
        2001,
        `${name}${at}: ${length ?? 'no'} elements, where the first list there has ${shape[depth] ?? 'none'}`,
      )
    if (isList(x)) for (let i = 0; i < x.length; i++) walk(x[i], depth + 1, `${at}[${i}]`)
    else data.push(x as number)
  }
  walk(value, 0, '')
  return { data, shape }
}

function bindShape(port: PortSpec, { data, shape }: Part, dims: Dims): void {
  const open = port.shape.filter((e) => typeof e === 'string' && dims[e] === undefined)
  const last = open[open.length - 1]
  const known = port.shape.map((e) => (open.includes(e) ? (e === last ? 0 : 1) : extent(e, dims)))
  const rest = count(known.filter((n, i) => port.shape[i] !== last && n > 0))
  const lead = port.shape.length - (shape?.length ?? port.shape.length)
  if (data.length === 0) throw wrong(2001, `${port.name}: empty; expected ${text(port)}`)
  if (lead < 0)
    throw wrong(2001, `${port.name}: shape [${shape?.join(', ')}] has ${shape?.length} axes, expected ${text(port)}`)
  port.shape.forEach((e, i) => {
    const n = shape ? (i < lead ? 1 : shape[i - lead]) : e === last ? Math.floor(data.length / rest) : known[i]
    if (typeof e === 'string') dims[e] ??= n
    const want = extent(e, dims)
    if (n !== want && want === want)
      throw wrong(
        2001,
        `${port.name}: axis ${i} has ${n} elements, expected ${typeof e === 'string' ? `${e} = ` : ''}${want}`,
      )
  })
}

function convert(
  port: PortSpec,
  data: ArrayLike<number | boolean>,
  shape: readonly number[],
  dims: Dims,
): Float32Array | Int32Array {
  const Kind = port.dtype === 'f32' ? Float32Array : Int32Array
  const out = data instanceof Kind ? data : new Kind(Array.from(data, Number))
  const limit = port.below ? extent(port.below[0], dims) : Infinity
  for (let i = 0; i < out.length; i++) {
    const x = Number(data[i])
    const bad = port.dtype === 'bool' ? x !== 0 && x !== 1 : port.dtype === 'i32' ? x !== out[i] : x !== x
    if (!bad && (x >= 0 || !port.below) && x < limit) continue
    if (!bad && port.dtype === 'f32') continue
    const at = shape.map((n, axis) => Math.floor(i / count(shape.slice(axis + 1))) % n)
    const fault = bad
      ? `expected ${port.dtype === 'bool' ? '0 or 1' : port.dtype === 'i32' ? 'an integer' : 'a number'}`
      : `${port.below?.[1]} = ${limit}`
    throw wrong(bad ? 2003 : 2005, `${port.name}[${at.join(', ')}] = ${data[i]}, ${fault}`)
  }
  return out
}
