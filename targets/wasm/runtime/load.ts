// The binary, the threads and the weights: all three come in at once. Tensors are read to where they stay, or packed from there piece by piece.
import { TfmError } from '../../runtime/errors.ts'
import type { readTensors, WeightSource } from '../../runtime/source.ts'
import type { LoadOptions, WeightRules, WeightSpec } from '../../runtime/weights.ts'
import { loadWeights } from '../../runtime/weights.ts'
import { aligned, Machine, type Files, type Layout } from './machine.ts'
import type { Keep, keepWeights } from './keep.ts'
import { nodeModule } from './pool.ts'

/** How a slot is filled: `pack` is a program, after `rows` of it a program that packs some rows; without one it is the tensor as it is. */
interface Packing {
  pack?: number
  /** Whether it packs any number of rows. */
  sliced?: boolean
  /** Elements, where there are more than the tensor's. */
  length?: number
  /** What it is kept as after packing. */
  keep?: Keep
}
/** A tensor, and the slot of that name unless it is only for others. */
export type PackedSpec = WeightSpec & Packing & { other?: boolean }
/** A slot that is not one tensor; it has `size` elements. */
export type WeightSlot = Packing & { name: string; from?: readonly string[] }

export type WasmOptions = LoadOptions & {
  readonly weights: WeightSource
  /** How many threads compute: by default as many as there are cores, at most 8. One without shared memory. */
  readonly threads?: number
  /** The binary, if it is not the file beside this one. */
  readonly wasm?: string | URL | Uint8Array | ArrayBuffer | WebAssembly.Module
  /** In Node: lets V8 use vectors of 256 bits, for the whole process. */
  readonly wide?: boolean
}
export interface Parts {
  layout: Layout
  specs: readonly PackedSpec[]
  rules: WeightRules
  slots: readonly WeightSlot[]
  files: Files
  read?: typeof readTensors
  keep?: typeof keepWeights
}
/** A function with one fused multiply-add. */
const probe = [
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0],
  ...[10, 13, 1, 11, 0, 32, 0, 32, 0, 32, 0, 253, 133, 2, 11],
]

export async function openMachine(parts: Parts, options: WasmOptions): Promise<{ machine: Machine; end: number }> {
  const shared = typeof SharedArrayBuffer === 'function' && Object(globalThis).crossOriginIsolated !== false
  const cores = nodeModule('os')?.availableParallelism() ?? Object(globalThis).navigator?.hardwareConcurrency ?? 1
  const { threads = Math.min(cores, 8) } = options
  if (!(Number.isInteger(threads) && threads > 0 && threads <= 64))
    throw new TfmError('TFM2111', `threads: ${threads} is no whole number from 1 to 64`)
  if (!shared && threads > 1)
    (options.onWarning ?? console.warn)({
      code: 'TFM2114',
      message: 'memory cannot be shared here (the page is not cross-origin isolated): one thread computes',
      tensor: '',
      count: 0,
    })
  if (options.wide) nodeModule('v8')?.setFlagsFromString('--experimental-wasm-revectorize')
  const module = await compileBinary(parts.files, options, shared)
  const machine = new Machine(module, parts.layout, shared ? threads : 1, shared)
  const starting = machine.share(module, shared ? threads : 1, parts.files.worker)
  starting.catch(() => {})
  try {
    const end = await packWeights(machine, parts, options)
    await starting
    return { machine, end }
  } catch (thrown) {
    starting.finally(() => machine.dispose()).catch(() => {})
    throw thrown
  }
}

async function compileBinary({ wasm, relaxed }: Files, options: WasmOptions, shared: boolean) {
  const given: unknown = options.wasm
  if (Object.prototype.toString.call(given) === '[object WebAssembly.Module]') return given as WebAssembly.Module
  let source = given as string | URL | Uint8Array | ArrayBuffer | undefined
  source ??= (WebAssembly.validate(Uint8Array.from(probe)) ? relaxed : undefined)?.() ?? wasm()
  try {
    if (typeof source === 'string' || source instanceof URL) {
      const fs = nodeModule('fs')
      if (fs && !/^(https?|blob|data):/i.test(`${source}`)) source = fs.readFileSync(source) as Uint8Array<ArrayBuffer>
      else {
        const response = await fetch(source)
        if (!response.ok) throw new Error(`status ${response.status}`)
        if (shared && /wasm/.test(response.headers.get('content-type') ?? ''))
          return await WebAssembly.compileStreaming(response)
        source = await response.arrayBuffer()
      }
    }
    const bytes = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source)
    return await WebAssembly.compile(shared ? bytes : ownMemory(bytes))
  } catch (thrown) {
    throw new TfmError('TFM2115', `the binary of the model cannot be read: ${thrown}`)
  }
}

/** The import of `env.memory`, not shared: its flags are the byte after its name and kind. */
function ownMemory(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice()
  const name = [3, ...new TextEncoder().encode('env'), 6, ...new TextEncoder().encode('memory'), 2]
  const found = copy.findIndex((_, i) => name.every((byte, j) => copy[i + j] === byte))
  copy[found + name.length] = 1
  return copy
}

/** Bytes of a tensor that are read, then packed while the next are read. */
const piece = 2 ** 23

async function packWeights(
  machine: Machine,
  { layout, specs, rules, slots, read, keep: keepAs }: Parts,
  options: WasmOptions,
) {
  const all: (WeightSlot & { shape?: readonly number[] })[] = [...specs.filter((s) => !s.other), ...slots]
  const sizes = new Map(specs.map((s) => [s.name, s.shape.reduce((a, b) => a * b, 1)]))
  const sources = (slot: WeightSlot) => slot.from ?? [slot.name]
  const lengthOf = (slot: WeightSlot) => slot.length ?? sizes.get(sources(slot)[0])!
  /** Blocks of 512 numbers and 16 scales, or two bytes a number. */
  const bytesOf = (slot: WeightSlot) =>
    lengthOf(slot) * ({ int8: 576 / 512, int4: 320 / 512, f16: 2, bf16: 2 }[slot.keep!] ?? 4)
  const places = new Map<WeightSlot, number>()
  let end = machine.start
  all.forEach((slot, i) => {
    places.set(slot, end)
    machine.point(i, end)
    end += aligned(bytesOf(slot))
  })
  machine.reach(end)
  let done = Promise.resolve()
  const pack = (slot: WeightSlot, arrays: number[], dims: Readonly<Record<string, number>>, to = places.get(slot)!) => {
    for (const [i, at] of [...arrays, to].entries()) machine.point(layout.ports + i, at)
    machine.call(slot.pack!, dims)
  }
  /** From arrays: what is made of several tensors, stored in another type, or shared. */
  const settle = (slot: WeightSlot, arrays: Float32Array[]) => {
    if (slot.pack === undefined) return machine.f32(places.get(slot)!, arrays[0].length).set(arrays[0])
    let top = end
    const at = arrays.map((a) => {
      const from = top
      top += aligned(4 * a.length)
      return from
    })
    const length = lengthOf(slot)
    machine.reach(top + (slot.keep ? 4 * length : 0))
    arrays.forEach((a, i) => machine.f32(at[i], a.length).set(a))
    const dims = { from: 0, rows: slot.sliced ? shapeOf(slot)[0] : 0 }
    if (!slot.keep) return pack(slot, at, dims)
    const floats = machine.f32(top, length).fill(0)
    pack(slot, at, dims, top)
    keepAs!(floats, bytesAt(places.get(slot)!, bytesOf(slot)), slot.keep)
  }
  const shapeOf = (slot: WeightSlot) => specs.find((s) => s.name === sources(slot)[0])!.shape
  const bytesAt = (at: number, length: number) => new Uint8Array(machine.memory.buffer, at, length)
  const raw = new Map<string, Float32Array>()
  const open = new Set(all)
  const tied = new Set(specs.map((s) => s.fallback))
  const settleAll = () => {
    for (const slot of open) {
      const arrays = sources(slot).map((name) => raw.get(name)!)
      if (!arrays.every(Boolean)) continue
      settle(slot, arrays)
      open.delete(slot)
    }
    const wanted = new Set([...tied, ...[...open].flatMap(sources)])
    for (const name of raw.keys()) if (!wanted.has(name)) raw.delete(name)
  }
  const keep = ({ name }: WeightSpec, data: Float32Array) => {
    raw.set(name, data)
    settleAll()
  }
  settleAll()
  const aliases = await loadWeights(
    options.weights,
    specs,
    rules,
    keep,
    options,
    read,
    (spec, into, strange, shared) => {
      const users = [...open].filter((s) => sources(s).includes(spec.name))
      const [slot] = users
      if (shared || users.length > 1) return
      if (!slot) return (async () => void (await into(new Uint8Array(4 * sizes.get(spec.name)!))))()
      if (sources(slot).length > 1 || slot.keep || (slot.pack !== undefined && !slot.sliced)) return
      open.delete(slot)
      const length = sizes.get(spec.name)!
      const [count = 1] = spec.shape
      const row = (4 * length) / count
      const some = Math.max(1, Math.floor(piece / row))
      return (async () => {
        let bad = 0
        for (let from = 0, turn = 0; from < count; from += some, turn ^= 1) {
          const rows = Math.min(some, count - from)
          const at = slot.pack === undefined ? places.get(slot)! + from * row : end + turn * aligned(some * row)
          machine.reach(at + rows * row)
          await into(bytesAt(at, rows * row))
          // The last piece has been packed; this one is, while the next is read.
          await done
          done = Promise.resolve().then(() => {
            bad += machine.strange(at, (rows * row) / 4)
            if (slot.pack !== undefined) pack(slot, [at], { from, rows })
          })
          done.catch(() => {})
        }
        await done
        strange(bad)
      })()
    },
  )
  for (const [name, other] of aliases) {
    raw.set(name, raw.get(other)!)
    settleAll()
  }
  return end
}
