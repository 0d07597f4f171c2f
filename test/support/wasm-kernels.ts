/** Kernels of the WebAssembly target, assembled and run by hand. */
import type { NestKernel } from '../../src/kernel/nest.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { assemble } from '../../targets/wasm/assemble.ts'
import { schedule } from '../../targets/wasm/recipes.ts'
import { printKernel } from '../../targets/wasm/text/kernel.ts'
import { moduleText } from '../../targets/wasm/text/module.ts'
import { printer } from '../../targets/wasm/text/printer.ts'

export type Storage = Float32Array | Int32Array | Uint8Array | Uint16Array | Int8Array

export interface WasmKernels {
  readonly text: string
  readonly binary: Uint8Array<ArrayBuffer>
  readonly memory: WebAssembly.Memory
  /** Runs the kernel at a place in the list on arrays, which are copied in, and back out, in the order of its arguments; then dims. */
  readonly call: (kernel: number | string, arrays: readonly Storage[], dims?: readonly number[]) => void
  /** The exported function of a kernel, and where arrays could lie, for measuring. */
  readonly raw: (kernel: number | string) => (...args: readonly number[]) => void
  /** Where free memory starts. */
  readonly free: number
}
export interface WasmOptions {
  /** Fused multiply-adds; Node 20 needs its flag. */
  readonly relaxed?: boolean
  /** The threads that a call plays one after another. */
  readonly threads?: number
}

/** The text of kernels: those that are not scheduled are, by the target's recipes. */
export function kernelsText(
  kernels: readonly (StageKernel | NestKernel)[],
  { relaxed = false }: WasmOptions = {},
): {
  readonly text: string
  readonly names: readonly string[]
  readonly scratchBytes: number
} {
  const p = printer({ relaxed })
  const printed = kernels.map((k) => printKernel('stages' in k ? schedule(k) : k, p))
  const exports = new Map(printed.map((k) => [k.name.slice(1), k.name]))
  return {
    text: moduleText(p, { functions: printed.map((k) => k.lines), exports }),
    names: [...exports.keys()],
    scratchBytes: p.scratchBytes(),
  }
}

export async function wasmKernels(
  kernels: readonly (StageKernel | NestKernel)[],
  options: WasmOptions = {},
): Promise<WasmKernels> {
  const { threads = 1, relaxed = false } = options
  if (relaxed) (await import('node:v8')).setFlagsFromString('--experimental-wasm-relaxed-simd')
  const { text, names, scratchBytes } = kernelsText(kernels, options)
  const binary = await assemble(text)
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true })
  const { instance } = await WebAssembly.instantiate(binary, { env: { memory } })
  const functions = instance.exports as Record<string, (...args: readonly number[]) => void>
  const scratch = 1024
  const free = Math.ceil((scratch + threads * scratchBytes) / 64) * 64
  const reach = (bytes: number): void => {
    const missing = bytes - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / 65536))
  }
  reach(free)
  functions.place(0, 1, scratch)
  const raw = (kernel: number | string): ((...args: readonly number[]) => void) =>
    functions[typeof kernel === 'number' ? names[kernel] : kernel]
  return {
    text,
    binary,
    memory,
    free,
    raw,
    call: (kernel, arrays, dims = []) => {
      // What lies between arrays is poison: a kernel that leaves an array shows.
      let end = free
      const places = arrays.map((a) => {
        const at = end + 64
        end = Math.ceil((at + a.byteLength) / 64) * 64
        return at
      })
      reach(end + 64)
      new Uint8Array(memory.buffer, free, end + 64 - free).fill(0xff)
      const bytes = (a: Storage): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength)
      arrays.forEach((a, i) => new Uint8Array(memory.buffer, places[i], a.byteLength).set(bytes(a)))
      for (let t = 0; t < threads; t++) {
        functions.place(t, threads, scratch + t * scratchBytes)
        raw(kernel)(...places, ...dims)
      }
      arrays.forEach((a, i) => bytes(a).set(new Uint8Array(memory.buffer, places[i], a.byteLength)))
      const ends = [free, ...places.map((at, i) => at + arrays[i].byteLength)]
      const gaps = ends.map((from, i) => new Uint8Array(memory.buffer, from, (places[i] ?? end + 64) - from))
      if (gaps.some((gap) => gap.some((x) => x !== 0xff))) throw new Error(`${kernel} wrote outside of its arguments`)
    },
  }
}
