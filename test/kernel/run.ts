/** Runs nests on seeded inputs. Storage beyond what a kernel may read is poisoned with NaN. */
import type { Buffer } from '../../src/kernel/buffer.ts'
import { storageOf } from '../../src/kernel/address.ts'
import type { Cells, ExecuteOptions } from '../../src/kernel/execute.ts'
import { compileExecutor } from '../../src/kernel/execute.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import type { ErrorMode, Rules } from '../../src/kernel/pairs.ts'
import type { KernelArg } from '../../src/kernel/stage.ts'
import { evaluate } from '../../src/types/ix.ts'
import type { Sym } from '../../src/types/ix.ts'

export const rules: Rules = {
  roundoff: 2 ** -24,
  accumulate: 2 ** -24,
  ulp: { exp: 3, div: 2.5, sqrt: 3 },
  expSlope: 2,
  flush: 0,
}
export type Values = ReadonlyMap<Sym, number>

export function random(seed: number): () => number {
  let s = seed | 0
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const lookup = (params: Values) => (s: Sym) => {
  const n = params.get(s)
  if (n === undefined) throw new Error(`no value of ${s.name}`)
  return n
}
export const sizeOf = (b: Buffer, params: Values): number => evaluate(storageOf(b), lookup(params))

/** Inputs by position of the argument, so that rewritten kernels see the same. */
export function inputsOf(args: readonly KernelArg[], params: Values, seed = 1): readonly Cells[] {
  const next = random(seed)
  return args.map((a) => {
    const n = sizeOf(a.buffer, params)
    const value = new Float64Array(n).fill(NaN)
    const integer = a.buffer.of === 'i32'
    if (a.access !== 'write')
      for (let i = 0; i < n; i++) value[i] = integer ? Math.floor(next() * 8) : Math.fround(next() * 2 - 1)
    return { value, error: new Float64Array(n) }
  })
}

export interface RunOptions extends ExecuteOptions {
  readonly mode?: ErrorMode
  readonly rules?: Rules
  readonly seed?: number
  readonly inputs?: readonly Cells[]
}
/** The written arguments after a run, in order. */
export function run(nest: NestKernel, params: Values, options: RunOptions = {}): readonly Cells[] {
  const cells = options.inputs ?? inputsOf(nest.args, params, options.seed)
  const execute = compileExecutor(nest, options.rules ?? rules, options.mode ?? 'worst', { checked: true, ...options })
  execute(new Map(nest.args.map((a, i) => [a.buffer, cells[i]])), params)
  return cells.filter((_, i) => nest.args[i].access !== 'read')
}
