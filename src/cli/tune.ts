/** Schedules of the WebAssembly target, tried on this machine: `tfmc tune`; and files of what was found. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { schedule } from '../../targets/wasm/recipes.ts'
import { kernelsBinary } from '../../targets/wasm/wat.ts'
import { choices, keyOf } from '../../targets/wasm/tuning.ts'
import { fail, say } from '../diagnostics/index.ts'
import { at } from '../explain/bytes.ts'
import { flopsOf } from '../explain/work.ts'
import { storageOf } from '../kernel/address.ts'
import { printNest } from '../kernel/print.ts'
import type { StageKernel } from '../kernel/stage.ts'
import { fewRows } from '../program/steps.ts'
import type { Module } from '../program/types.ts'
import type { Choice, Tuning } from '../target.ts'
import type { Sym } from '../types/ix.ts'
import type { Context } from './context.ts'

/** A kind of kernel, one of that kind, and the sizes to try it at. */
export interface Heavy {
  readonly key: string
  readonly kernel: StageKernel
  readonly short: boolean
  readonly dims: ReadonlyMap<Sym, number>
  readonly flops: number
}
export interface Tried {
  readonly key: string
  readonly choice: Choice
  /** How often the default's time fits into that of the choice. */
  readonly gain: number
}

/** Contractions of a module, one of each key, most arithmetic first. `sizes` are those of a prompt; steps are taken at one position. */
export function heavyKernels(module: Module, sizes: Readonly<Record<string, number>>): Heavy[] {
  const found = new Map<string, Heavy>()
  for (const [i, kernel] of module.kernels.entries()) {
    if (kernel.args.some((a) => a.buffer.layout?.kept)) continue
    const short = fewRows(module, i)
    const key = keyOf(kernel, short)
    if (key === undefined || found.has(key)) continue
    const dims = new Map(kernel.params.map((s): [Sym, number] => [s, sizes[s.name] ?? 1]))
    if (short && module.sequence) dims.set(module.sequence.T, 1)
    found.set(key, { key, kernel, short, dims, flops: at(flopsOf(kernel), dims) })
  }
  return [...found.values()].sort((a, b) => b.flops - a.flops)
}

/** A choice wins only with this much less time. */
const clearly = 0.97
/** Calls of a sample take at least so long, in ms. */
const sample = 2

/**
 * Tries all choices for a kernel in alternating turns for about `milliseconds`, on one thread. Gives the winner, if one wins clearly; a choice whose
 * results differ from the default's is none.
 */
export async function tuneKernel(
  heavy: Heavy,
  milliseconds: number,
  /** Hears which of the default and the choices give right results. */
  heard?: (right: readonly boolean[]) => void,
): Promise<Tried | undefined> {
  const { kernel, short, dims, key } = heavy
  const all: (Choice | undefined)[] = [undefined, ...others(kernel, short)]
  const { names, scratch, bytes } = await kernelsBinary(
    all.map(() => kernel),
    (i) => ({ short, ...(all[i] ? { choice: all[i] } : {}) }),
  )
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true })
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } })
  const functions = instance.exports as Readonly<Record<string, (...args: readonly number[]) => void>>
  functions.place(0, 1, 1024)
  let end = 1024 + 64 * Math.ceil(scratch / 64)
  const places = kernel.args.map(({ buffer }) => {
    const from = end
    end += 64 * Math.ceil((4 * at(storageOf(buffer), dims)) / 64)
    return { from, length: at(storageOf(buffer), dims) }
  })
  memory.grow(Math.ceil((end + 64) / 65536))
  const view = (i: number): Float32Array => new Float32Array(memory.buffer, places[i].from, places[i].length)
  const fill = (): void =>
    kernel.args.forEach(({ buffer }, i) => {
      if (buffer.of === 'f32') view(i).forEach((_, j, a) => (a[j] = Math.sin(j + i)))
    })
  const args = [...places.map((p) => p.from), ...kernel.params.map((s) => dims.get(s)!)]
  const results = names.map((name) => {
    fill()
    functions[name](...args)
    return kernel.args.flatMap((a, i) => (a.access === 'read' ? [] : [view(i).slice()]))
  })
  const right = results.map((r) => r.every((a, i) => agree(a, results[0][i])))
  heard?.(right)
  const repeats = names.map(() => 1)
  const measure = (who: readonly number[]): number[] => {
    const best = names.map(() => Infinity)
    const stop = performance.now() + milliseconds / 2
    for (let round = 0; round < 3 || (performance.now() < stop && round < 10_000); round++) {
      for (const i of who) {
        const start = performance.now()
        for (let n = 0; n < repeats[i]; n++) functions[names[i]](...args)
        const took = performance.now() - start
        best[i] = Math.min(best[i], took / repeats[i])
        if (took < sample) repeats[i] *= 2
      }
    }
    return best
  }
  const first = measure(names.flatMap((_, i) => (right[i] ? [i] : [])))
  const winner = first.indexOf(Math.min(...first))
  const choice = all[winner]
  if (!choice || first[winner] >= clearly * first[0]) return undefined
  // Once more, side by side: the least of many times is a matter of luck.
  const again = measure([0, winner])
  return again[winner] < clearly * again[0] ? { key, choice, gain: again[0] / again[winner] } : undefined
}

/** Choices that are not what a kernel gets by default, each form of it once. */
function others(kernel: StageKernel, short: boolean): Choice[] {
  const seen = new Set([printNest(schedule(kernel, { short }))])
  return choices.filter((choice) => {
    const text = printNest(schedule(kernel, { short, choice }))
    return !seen.has(text) && seen.add(text)
  })
}

/** Sums in another order differ in their last bits. */
function agree(a: Float32Array, b: Float32Array): boolean {
  const most = b.reduce((m, x) => Math.max(m, Math.abs(x)), 0)
  return a.every((x, i) => Math.abs(x - b[i]) <= 1e-5 * most)
}

/** The format of the file. */
const version = 1

export const tuningText = (tried: readonly Tried[], machine: object): string =>
  `${JSON.stringify({ version, target: 'wasm', machine, kernels: Object.fromEntries(tried.map((t) => [t.key, { ...t.choice, gain: Number(t.gain.toFixed(2)) }])) }, null, 2)}\n`

/** Reads what `tfmc tune` wrote. Throws `DiagnosticError`: TFM2203, TFM2210. */
export async function readTuning(ctx: Context, path: string | undefined): Promise<Tuning | undefined> {
  if (path === undefined) return undefined
  const bad = (why: string): never => fail(say.badTuning(undefined, path, why))
  const text = await readFile(resolve(ctx.io.cwd, path), 'utf8')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return bad('it is not JSON')
  }
  const isObject = (x: unknown): x is Record<string, unknown> =>
    typeof x === 'object' && x !== null && !Array.isArray(x)
  if (!isObject(json) || !isObject(json.kernels)) return bad('it has no "kernels"')
  if (json.version !== version) return bad(`it is of version ${String(json.version)}, not ${version}`)
  if (json.target !== 'wasm') return bad(`it is for the target ${String(json.target)}; only wasm has a choice`)
  const out: Record<string, Choice> = {}
  for (const [key, x] of Object.entries(json.kernels)) {
    const found = isObject(x) ? choices.find((c) => c.form === x.form && c.rows === x.rows) : undefined
    if (!found) return bad(`"${key}" has none of the choices ${choices.map((c) => `${c.form} ${c.rows}`).join(', ')}`)
    Object.defineProperty(out, key, { value: found, enumerable: true })
  }
  return out
}
