// Weights: streamed into their buffers piece by piece, or packed into them as soon as all that they are made of has come.
import type { ReadInto, readTensors, WeightSource } from '../../runtime/source.ts'
import type { LoadOptions, WeightRules, WeightSpec } from '../../runtime/weights.ts'
import { loadWeights } from '../../runtime/weights.ts'
import { TfmError } from '../../runtime/errors.ts'
import { Buffers } from './buffers.ts'
import type { GpuOptions, KernelSpec } from './device.ts'
import { alternatives, choiceOf, isSoftware, makeKernels, openDevice } from './device.ts'
import { fits } from './limits.ts'
import type { ModelSpec, Step } from './session.ts'
import { Session } from './session.ts'
import { recall, remember, tune, tuningKey } from './tune.ts'

/** A matrix [k, n] that is kept in fewer bits; `turned` if its elements come as [n, k]. */
export interface Keep {
  readonly as: 'f16' | 'bf16' | 'int8' | 'int4'
  readonly k: number
  readonly n: number
  readonly turned?: boolean
  /** Columns of each part, where it is in several. */
  readonly cut?: number
  /** The largest magnitude that kernels take. */
  readonly most?: number
}
/** How matrices are kept (`keep.ts`), in modules that keep any. */
export interface Keeper {
  /** Bytes of each part of a matrix. */
  readonly bytes: (keep: Keep) => readonly number[]
  readonly matrix: (keep: Keep, to: readonly ArrayBuffer[], from: Float32Array, name?: string) => void
  /** Reads a tensor, without floats of all of it; gives how many of its numbers are NaN or infinite. */
  readonly read: (keep: Keep, to: readonly ArrayBuffer[], into: ReadInto, name: string) => Promise<number>
}
export interface WeightSlot {
  readonly name: string
  /** The tensors it is made of; itself when absent. */
  readonly from?: readonly string[]
  /** Fills the slot (`length` elements) from the tensors. Absent: the tensor as it is. */
  readonly pack?: (...arrays: Float32Array[]) => void
  readonly length?: number
  /** What it is kept as, after packing. */
  readonly keep?: Keep
  /** Elements of each part, where it is in several: the first has the weight's name, others their number in front. */
  readonly cut?: number
}
export interface Parts {
  readonly model: ModelSpec
  readonly kernels: Readonly<Record<string, KernelSpec>>
  readonly specs: readonly WeightSpec[]
  readonly rules: WeightRules
  readonly slots: readonly WeightSlot[]
  /** What knows the files, where they may be quantised. */
  readonly read?: typeof readTensors
  readonly keeper?: Keeper
}
export type OpenOptions = LoadOptions & GpuOptions & { readonly weights: WeightSource }

/**
 * Compiles kernels while the weights come in. Those of a first call are ready then; the others, and entries for few rows, go on behind, and
 * calls wait for what they need.
 */
export async function openSession(parts: Parts, options: OpenOptions): Promise<Session> {
  const { onProgress, signal } = options
  signal?.throwIfAborted()
  const { device, own } = await openDevice(options)
  const buffers = new Buffers(device)
  const release = () => own && device.destroy()
  let stop = () => {}
  try {
    checkWeights(parts, device)
    const software = isSoftware(device)
    const tuning = software || options.alternatives ? undefined : options.tuning
    const key = tuning ? tuningKey(device, [parts.kernels, parts.specs]) : ''
    const known = tuning ? await recall(tuning, key) : (options.alternatives ?? (software ? alternatives : []))
    const kernels = makeKernels(device, parts.kernels, onProgress, options.features, known ?? [])
    const compile = () => {
      const ready: Promise<void>[] = []
      if ((options.compile ?? (software ? 'needed' : 'all')) === 'all') {
        // In the order of first use: entries for most rows, then what is left.
        for (const name of kernelsOf(parts.model)) {
          const { order, compile } = kernels.get(name)!
          ready.push(...order.slice(-1).map(compile))
        }
        for (const { order, compile } of kernels.values()) order.forEach(compile)
      }
      return ready
    }
    const begin = async () => {
      const ready = known ? compile() : []
      await Promise.all([loadSlots(buffers, parts, options), ...ready])
      if (known) return
      const taken = await tune(parts.model, device, kernels, buffers, options)
      for (const kernel of kernels.values()) Object.assign(kernel, choiceOf(kernel, taken))
      await Promise.all([remember(tuning!, key, taken), ...compile()])
    }
    const stopped = new Promise<never>((_, reject) => {
      stop = () => reject(signal!.reason)
      signal?.addEventListener('abort', stop)
      device.lost.then(({ reason, message }) =>
        reject(new TfmError('TFM2105', `the GPU device was lost (${reason || 'unknown'}): ${message}`)),
      )
    })
    await Promise.race([stopped, begin()])
    const full = await buffers.full()
    if (full) throw new TfmError('TFM2106', `the GPU has too little memory for the weights: ${full}`)
    return new Session(parts.model, device, kernels, buffers, release)
  } catch (thrown) {
    buffers.destroy()
    release()
    throw thrown
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/** The buffer of a part of a weight. */
const bufferOf = (name: string, part: number) => `${part || 'w'}:${name}`
/** The buffers of a weight, and the elements that lie in each. */
function partsOf({ name, cut = Infinity }: WeightSlot, length: number): [buffer: string, from: number, to: number][] {
  return Array.from({ length: Math.ceil(length / cut) || 1 }, (_, i) => [
    bufferOf(name, i),
    i && i * cut,
    Math.min((i + 1) * cut, length),
  ])
}

/** Before anything is compiled or read. */
function checkWeights({ specs, slots, keeper }: Parts, { limits }: GPUDevice): void {
  for (const { name, from = [name], length, keep, cut = Infinity } of slotsOf(specs, slots)) {
    const spec = specs.find((s) => s.name === from[0])
    const size = length ?? spec?.shape.reduce((a, b) => a * b, 1) ?? 0
    fits(name, keep ? keeper!.bytes(keep)[0] : 4 * Math.min(size, cut), limits)
  }
}

/** Tensors that no slot names are slots of their own. */
function slotsOf(specs: readonly WeightSpec[], listed: readonly WeightSlot[]): readonly WeightSlot[] {
  const named = new Set(listed.flatMap((s) => [s.name, ...(s.from ?? [])]))
  return [...listed, ...specs.filter((s) => !named.has(s.name))]
}

/** Those that a first call takes, in the order of their use. */
function kernelsOf({ programs }: ModelSpec): Set<string> {
  const names = (steps: readonly Step[]): string[] => steps.flatMap((s) => ('t' in s ? names(s.steps) : [s[0]]))
  const { prepare, prefill, run } = programs
  return new Set((prefill ? [prepare, prefill] : [run]).flatMap((program) => names(program?.steps ?? [])))
}

async function loadSlots(
  buffers: Buffers,
  { specs, rules, slots: listed, read, keeper }: Parts,
  options: OpenOptions,
): Promise<void> {
  const slots = slotsOf(specs, listed)
  const raw = new Map<string, Float32Array>()
  const open = new Set(slots)
  const tied = new Set(specs.map((s) => s.fallback))
  /** Mapped memory of what is kept. */
  const opened = (name: string, keep: Keep): GPUBuffer[] =>
    keeper!.bytes(keep).map((bytes, i) => buffers.open(bufferOf(name, i), bytes))
  const memory = (parts: readonly GPUBuffer[]) => parts.map((b) => b.getMappedRange())
  const done = (slot: WeightSlot) => {
    open.delete(slot)
    const loaded = slots.length - open.size
    options.onProgress?.({ phase: 'packing', loaded, total: slots.length, tensor: slot.name })
  }
  const settle = (name: string): void => {
    for (const slot of open) {
      const from = slot.from ?? [slot.name]
      if ((from.length > 0 && !from.includes(name)) || !from.every((n) => raw.has(n))) continue
      const arrays = from.map((n) => raw.get(n)!)
      const { keep, length = arrays[0].length, cut = Infinity } = slot
      const pack = (to: Float32Array) => (slot.pack ? slot.pack(...arrays, to) : to.set(arrays[0]))
      let [whole] = arrays
      if (slot.pack && (keep || length > cut)) pack((whole = new Float32Array(length)))
      if (keep) {
        const parts = opened(slot.name, keep)
        keeper!.matrix(keep, memory(parts), whole, slot.name)
        for (const b of parts) b.unmap()
      } else
        for (const [buffer, from, to] of partsOf(slot, length))
          buffers.fill(buffer, (to - from) * 4, (memory) => {
            if (length > cut) new Float32Array(memory).set(whole.subarray(from, to))
            else pack(new Float32Array(memory, 0, length))
          })
      done(slot)
    }
    for (const n of raw.keys())
      if (!tied.has(n) && ![...open].some((s) => (s.from ?? [s.name]).includes(n))) raw.delete(n)
  }
  settle('')
  const aliases = await loadWeights(
    options.weights,
    specs,
    rules,
    ({ name }, data) => {
      raw.set(name, data)
      settle(name)
    },
    options,
    read,
    (spec, into, strange, shared) => {
      const [slot, ...more] = [...open].filter((s) => (s.from ?? [s.name]).includes(spec.name))
      if (shared || !slot || more.length > 0 || slot.from || slot.pack) return undefined
      const bytes = spec.shape.reduce((a, b) => a * b, 4)
      let bad = 0
      const next = async (piece: Uint8Array<ArrayBuffer>) => {
        await into(piece)
        const numbers = new Float32Array(piece.buffer, 0, piece.length / 4)
        for (let i = 0; i < numbers.length; i++) if (numbers[i] - numbers[i] !== 0) bad++
      }
      return (async () => {
        const { keep, name } = slot
        if (keep) {
          const parts = opened(name, keep)
          bad = await keeper!.read(keep, memory(parts), into, name)
          for (const b of parts) b.unmap()
        } else
          for (const [buffer, from, to] of partsOf(slot, bytes / 4)) await buffers.stream(buffer, (to - from) * 4, next)
        strange(bad)
        done(slot)
      })()
    },
  )
  for (const [name, other] of aliases) {
    raw.set(name, raw.get(other)!)
    settle(name)
  }
}
