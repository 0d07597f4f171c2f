import { TfmError } from './errors.ts'

// Inputs of a call: any array-like in, checked typed arrays and dims out. Every message names the input.

/** Numbers as they come: flat or nested arrays, typed arrays, one number, or `{ data, shape }`. Masks may be booleans. */
export type TensorLike = Nested | ArrayLike<number> | { readonly data: ArrayLike<number | boolean>; readonly shape: readonly number[] }
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

/** Codes: 2001 shape, 2002 missing or unknown, 2003 kind of value, 2005 index out of range. */
const wrong = (code: number, message: string): TfmError => new TfmError(`TFM${code}`, message)

export function extent(e: Extent, d: Dims): number | undefined {
  return typeof e === 'number' ? e : typeof e === 'string' ? d[e] : e(d)
}

/**
 * Checks inputs against ports and binds dims into `dims`. An array without a shape fills the port's shape: where several dims are still
 * open, all but the last are 1, so that `[5, 6, 7]` is a batch of one. Nested arrays say their own shape; leading axes of 1 may be left out.
 */
export function bindInputs(ports: readonly PortSpec[], given: Readonly<Record<string, unknown>>, dims: Dims): Record<string, Float32Array | Int32Array> {
  if (typeof given !== 'object' || given === null) throw wrong(2002, `inputs: expected an object with ${ports.map((p) => p.name).join(', ')}`)
  for (const name of Object.keys(given)) {
    if (given[name] !== undefined && !ports.some((p) => p.name === name)) throw wrong(2002, `${name}: no such input; this call takes ${ports.map((p) => p.name).join(', ')}`)
  }
  const flat = ports.flatMap((port) => {
    const value = given[port.name]
    if (value === undefined && port.fill === undefined) throw wrong(2002, `${port.name}: missing; expected ${port.dtype}${describe(port, dims)}`)
    return value === undefined ? [] : [{ port, ...flatten(port.name, value) }]
  })
  // Shapes that are given bind dims before shapes that must be inferred.
  flat.sort((a, b) => Number(a.shape === undefined) - Number(b.shape === undefined))
  const arrays: Record<string, Float32Array | Int32Array> = Object.create(null)
  for (const { port, data, shape } of flat) bindShape(port, shape ?? infer(port, data.length, dims), dims)
  for (const { port, data, shape } of flat) {
    const want = port.shape.map((e) => extent(e, dims) ?? 0)
    const count = want.reduce((n, x) => n * x, 1)
    if (count !== data.length || (shape && !sameShape(shape, want))) {
      throw wrong(2001, `${port.name}: ${data.length} elements${shape ? ` of shape [${shape.join(', ')}]` : ''}, expected ${describe(port, dims)} = [${want.join(', ')}]`)
    }
    arrays[port.name] = convert(port, data, want, dims)
  }
  for (const port of ports) {
    if (arrays[port.name] !== undefined) continue
    const count = port.shape.reduce<number>((n, e) => n * (extent(e, dims) ?? NaN), 1)
    if (Number.isNaN(count)) throw wrong(2002, `${port.name}: missing, and no other input gives the dims of ${describe(port, dims)}`)
    arrays[port.name] = (port.dtype === 'f32' ? new Float32Array(count) : new Int32Array(count)).fill(port.fill ?? 0)
  }
  return arrays
}

const describe = (port: PortSpec, dims: Dims): string =>
  `[${port.shape.map((e) => (typeof e === 'function' ? (Object.values(dims).includes(NaN) ? '…' : String(e(dims)).replace('NaN', '…')) : e)).join(', ')}]`
/** Leading axes of 1 may be left out. */
const sameShape = (shape: readonly number[], want: readonly number[]): boolean => {
  const lead = want.length - shape.length
  return lead >= 0 && want.every((x, i) => (i < lead ? x === 1 : x === shape[i - lead]))
}

function flatten(name: string, value: unknown): { data: ArrayLike<number | boolean>; shape?: readonly number[] } {
  if (typeof value === 'number' || typeof value === 'boolean') return { data: [value] }
  if (typeof value !== 'object' || value === null) throw wrong(2003, `${name}: expected numbers, got ${value === null ? 'null' : typeof value}`)
  if ('data' in value && 'shape' in value) {
    const { data, shape } = value as { data: ArrayLike<number>; shape: readonly number[] }
    if (!Array.isArray(shape) || !shape.every((n) => Number.isInteger(n) && n >= 0)) throw wrong(2003, `${name}: shape must be a list of extents`)
    if (typeof data?.length !== 'number') throw wrong(2003, `${name}: data must be an array`)
    if (shape.reduce((n, x) => n * x, 1) !== data.length) throw wrong(2001, `${name}: ${data.length} elements do not fill shape [${shape.join(', ')}]`)
    return { data, shape }
  }
  if (!Array.isArray(value)) {
    if (ArrayBuffer.isView(value) && 'length' in value) return { data: value as unknown as ArrayLike<number> }
    throw wrong(2003, `${name}: expected an array, a typed array or { data, shape }`)
  }
  if (!value.some((x) => typeof x === 'object')) return { data: value }
  const shape: number[] = []
  for (let x: unknown = value; isList(x); x = x[0]) shape.push(x.length)
  const data: number[] = []
  const walk = (x: unknown, depth: number, at: string): void => {
    if (depth === shape.length) return void data.push(x as number)
    if (!isList(x) || x.length !== shape[depth]) {
      throw wrong(2001, `${name}${at}: ${isList(x) ? `${x.length} elements` : 'no list'}, where ${name}${at.replace(/\d+/g, '0')} has ${shape[depth]}`)
    }
    for (let i = 0; i < x.length; i++) walk(x[i], depth + 1, `${at}[${i}]`)
  }
  walk(value, 0, '')
  return { data, shape }
}
const isList = (x: unknown): x is ArrayLike<unknown> => Array.isArray(x) || (ArrayBuffer.isView(x) && 'length' in x)

function infer(port: PortSpec, count: number, dims: Dims): number[] {
  const known = port.shape.map((e) => (typeof e === 'function' ? undefined : extent(e, dims)))
  const open = [...new Set(port.shape.filter((e, i) => typeof e === 'string' && known[i] === undefined))]
  const last = open[open.length - 1]
  const rest = port.shape.reduce<number>((n, e, i) => (e === last ? n : n * (known[i] ?? (typeof e === 'function' ? e(dims) : 1))), 1)
  return port.shape.map((e, i) => known[i] ?? (e === last ? Math.floor(count / rest) : typeof e === 'function' ? e(dims) : 1))
}

function bindShape(port: PortSpec, shape: readonly number[], dims: Dims): void {
  const lead = port.shape.length - shape.length
  if (lead < 0) throw wrong(2001, `${port.name}: shape [${shape.join(', ')}] has ${shape.length} axes, expected ${describe(port, dims)}`)
  port.shape.forEach((e, i) => {
    const n = i < lead ? 1 : shape[i - lead]
    if (n === 0) throw wrong(2001, `${port.name}: empty; expected ${describe(port, dims)}`)
    if (typeof e === 'string') {
      if (dims[e] === undefined) dims[e] = n
      else if (dims[e] !== n) throw wrong(2001, `${port.name}: axis ${i} has ${n} elements, but ${e} = ${dims[e]}`)
    } else if (typeof e === 'number' && e !== n) throw wrong(2001, `${port.name}: axis ${i} has ${n} elements, expected ${e}`)
  })
}

function convert(port: PortSpec, data: ArrayLike<number | boolean>, shape: readonly number[], dims: Dims): Float32Array | Int32Array {
  const where = (i: number): string => {
    const at: number[] = []
    for (let axis = shape.length - 1, rest = i; axis >= 0; rest = Math.floor(rest / shape[axis--])) at.unshift(rest % shape[axis])
    return `${port.name}[${at.join(', ')}] = ${data[i]}`
  }
  const limit = port.below && extent(port.below[0], dims)
  if (port.dtype === 'f32') {
    const out = data instanceof Float32Array ? data : Float32Array.from(data, Number)
    for (let i = 0; i < out.length; i++) if (out[i] !== out[i]) throw wrong(2003, `${where(i)}, expected a number`)
    return out
  }
  const out = data instanceof Int32Array ? data : new Int32Array(data.length)
  for (let i = 0; i < out.length; i++) {
    const x = Number(data[i])
    if (port.dtype === 'bool' ? x !== 0 && x !== 1 : (x | 0) !== x) throw wrong(2003, `${where(i)}, expected ${port.dtype === 'bool' ? '0 or 1' : 'an integer'}`)
    if (limit !== undefined && (x < 0 || x >= limit)) throw wrong(2005, `${where(i)}, ${port.below?.[1]} = ${limit}`)
    out[i] = x
  }
  return out
}
