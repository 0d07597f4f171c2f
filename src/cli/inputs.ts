/** Inputs of a call from the command line, or made-up ones that fit the model. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { bindInputs, type PortSpec } from '../../targets/runtime/inputs.ts'
import { randomNumbers } from '../../targets/runtime/sampling.ts'
import type { Compiled } from '../compile.ts'
import { didYouMean, fail, say } from '../diagnostics/index.ts'
import { bindDims } from '../interpret/index.ts'
import type { Port, Program } from '../program/types.ts'
import { evaluate, isConst, of, symbolsOf, type Ix, type Sym } from '../types/ix.ts'
import type { Tensor } from '../types/tensor.ts'
import { withDiagnostics } from '../weights/errors.ts'
import { UsageError, type Context } from './context.ts'

/** What `--input` gave, by name: nested lists of numbers, or values with a shape. */
export type Given = Readonly<Record<string, unknown>>

/** `ids=[1,2]`, `ids=@ids.json`, `x=@io.safetensors` (the tensor of that name, or `x=@io.safetensors:in.x`). */
export async function readInputs(ctx: Context, texts: readonly string[]): Promise<Given> {
  const given: Record<string, unknown> = {}
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at < 1) throw new UsageError(`--input takes name=value or name=@file, not '${text}'`)
    const [name, value] = [text.slice(0, at), text.slice(at + 1)]
    given[name] = value.startsWith('@') ? await fromFile(ctx, name, value.slice(1)) : parse(name, value)
  }
  return given
}

function parse(name: string, text: string): unknown {
  try {
    const found: unknown = JSON.parse(text)
    if (typeof found === 'object' || typeof found === 'number') return found
  } catch {
    // said below
  }
  return fail(say.badInput(undefined, name, 'it is not JSON with numbers, such as [[1, 2, 3]]'))
}

async function fromFile(ctx: Context, name: string, place: string): Promise<unknown> {
  const found = /^(.*\.safetensors)(?::(.+))?$/.exec(place)
  if (!found) return parse(name, await readFile(resolve(ctx.io.cwd, place), 'utf8'))
  const { openWeights, readTensor } = await import('../weights/open.ts')
  const file = await openWeights(resolve(ctx.io.cwd, found[1]))
  const wanted = found[2] ?? name
  if (!file.tensors.has(wanted))
    fail(say.badInput(undefined, name, `${found[1]} has no tensor ${wanted}${hint(wanted, [...file.tensors.keys()])}`))
  const { data, shape } = await readTensor(file, wanted)
  return { data, shape }
}
const hint = (name: string, names: readonly string[]): string => {
  const near = didYouMean(name, names)
  return near === undefined ? `; it has ${names.slice(0, 10).join(', ')}` : `; ${near}`
}

export interface BoundInputs {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly dims: ReadonlyMap<Sym, number>
  /** As `run` of an emitted module takes them. */
  readonly values: Readonly<
    Record<string, { readonly data: Float32Array | Int32Array; readonly shape: readonly number[] }>
  >
  /** Names of inputs that were made up. */
  readonly made: readonly string[]
}

/**
 * The inputs of `run`: those given, checked as an emitted module checks them, and made-up ones for the rest. Throws `DiagnosticError`:
 * TFM2001 … TFM2005.
 */
export function bindGiven(
  compiled: Compiled,
  given: Given,
  sizes: Readonly<Record<string, number>>,
  seed: number,
): Promise<BoundInputs> {
  return withDiagnostics(() => {
    const program = runOf(compiled)
    const dims: Record<string, number> = {}
    const ports = new Map(program.inputs.map((p) => [p.name, specOf(p, compiled)]))
    const own = program.inputs.filter((p) => given[p.name] !== undefined)
    bindInputs(
      own.map((p) => ports.get(p.name)!),
      Object.fromEntries(own.map((p) => [p.name, given[p.name]])),
      dims,
    )
    const all: Record<string, unknown> = { ...given }
    const made: string[] = []
    for (const port of program.inputs) {
      if (given[port.name] !== undefined || port.optional) continue
      for (const s of port.shape.flatMap((x) => [...symbolsOf(x)])) dims[s.name] ??= sizes[s.name] ?? usual(s)
      all[port.name] = madeUp(port, dims, seed)
      made.push(port.name)
    }
    const arrays = bindInputs([...ports.values()], all, dims)
    const values: Record<string, { data: Float32Array | Int32Array; shape: number[] }> = {}
    const tensors = new Map<string, Tensor>()
    for (const port of program.inputs) {
      if (port.optional && given[port.name] === undefined) continue
      const shape = port.shape.map((x) => at(x, dims))
      values[port.name] = { data: arrays[port.name], shape }
      tensors.set(port.name, { dtype: port.dtype, shape, data: Float64Array.from(arrays[port.name]) })
    }
    return { tensors, values, made, dims: bindDims(compiled.graph, tensors) }
  })
}

export function runOf(compiled: Compiled): Program {
  const program = compiled.lowered.module.programs.find((p) => p.name === 'run')
  if (program === undefined) throw new Error('internal: a module without run')
  return program
}

const at = (x: Ix, dims: Readonly<Record<string, number>>): number => evaluate(x, (s) => dims[s.name] ?? 1)

function specOf(port: Port, compiled: Compiled): PortSpec {
  const shape = port.shape.map((x) => {
    const [s] = symbolsOf(x)
    return isConst(x) ?? (of(s) === x ? s.name : (d: Readonly<Record<string, number>>) => at(x, d))
  })
  const below = port.below === undefined ? undefined : isConst(port.below)
  const named = Object.entries(compiled.lowered.module.hyper).find(([, v]) => v === below)?.[0]
  return {
    name: port.name,
    dtype: port.dtype,
    shape,
    ...(below === undefined ? {} : { below: [below, named ?? 'table size'] as const }),
    ...(port.optional ? { fill: port.fill ?? 0 } : {}),
  }
}

export type MadeUp = Record<string, { readonly data: readonly number[]; readonly shape: readonly number[] }>

/** Inputs for ports that must be given; sizes of dims that `dims` lacks are chosen and added to it. */
export function makeUp(ports: readonly Port[], dims: Record<string, number>, seed: number): MadeUp {
  const made: MadeUp = {}
  for (const port of ports) {
    if (port.optional) continue
    for (const s of port.shape.flatMap((x) => [...symbolsOf(x)])) dims[s.name] ??= usual(s)
    made[port.name] = madeUp(port, dims, seed)
  }
  return made
}

/** A small size that the dim allows. */
function usual(s: Sym): number {
  const wanted = s.name === 'B' ? 1 : 8
  const [lo, hi] = [isConst(s.lo) ?? 1, isConst(s.hi) ?? Infinity]
  const fitting = Math.min(Math.max(wanted, lo), hi)
  return Math.max(s.multipleOf, Math.floor(fitting / s.multipleOf) * s.multipleOf)
}

/** Numbers in [-1, 1), ids below the size of their table, masks that keep most, and the first of each row for sure. */
function madeUp(port: Port, dims: Readonly<Record<string, number>>, seed: number): { data: number[]; shape: number[] } {
  const shape = port.shape.map((x) => at(x, dims))
  const random = randomNumbers(seed + port.name.length)
  const below = port.below === undefined ? undefined : at(port.below, dims)
  const last = shape.at(-1) ?? 1
  const one = (i: number): number => {
    const u = random()
    if (port.dtype === 'f32') return 2 * u - 1
    if (below !== undefined) return Math.floor(u * below)
    return i % last === 0 || u < 0.75 ? 1 : 0
  }
  const data = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => one(i))
  return { data, shape }
}
