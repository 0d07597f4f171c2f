/** Not contenders but limits, timed in the same turns: how fast V8's vectors and the best loop in plain JavaScript can be. */
import binaryen from 'binaryen'
import { blockedMatmul } from '../../blocked.ts'
import type { Open } from './contender.ts'

/** What is used of it; the type library in use does not know WebAssembly. */
const assembly = Object(globalThis).WebAssembly as {
  readonly instantiate: (bytes: Uint8Array) => Promise<{ readonly instance: { readonly exports: unknown } }>
}
const chains = 13
const iterations = 100_000
/** Of one call of `vectorPeak`: each chain multiplies and adds four numbers. */
export const peakFlops = 8 * chains * iterations
const problem = { m: 64, k: 768, n: 3072 }
/** Of one call of `blockedLoop`. */
export const blockedFlops = 2 * problem.m * problem.k * problem.n

/** Thirteen chains of x = x · 0.999 + 0.001 on four lanes, all in registers: what no kernel of 128-bit multiplications and additions can exceed. */
export const vectorPeak: Open = async () => {
  const each = (text: (i: number) => string): string => Array.from({ length: chains }, (_, i) => text(i)).join('\n')
  const wat = `(module (memory (export "memory") 1) (func (export "run") (param $n i32)
    (local $m v128) (local $a v128) ${each((i) => `(local $x${i} v128)`)}
    (local.set $m (v128.load (i32.const 0))) (local.set $a (v128.load (i32.const 16)))
    (loop $again
      ${each((i) => `(local.set $x${i} (f32x4.add (f32x4.mul (local.get $x${i}) (local.get $m)) (local.get $a)))`)}
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    ${each((i) => `(v128.store offset=${64 + 16 * i} (i32.const 0) (local.get $x${i}))`)}))`
  const module = binaryen.parseText(wat)
  module.setFeatures(binaryen.Features.SIMD128)
  const { instance } = await assembly.instantiate(module.emitBinary())
  const { memory, run } = instance.exports as unknown as { memory: { buffer: ArrayBuffer }; run: (n: number) => void }
  const values = new Float32Array(memory.buffer)
  values.fill(0.999, 0, 4).fill(0.001, 4, 8)
  return {
    run: async () => {
      run(iterations)
      return values.subarray(16, 20)
    },
  }
}

/** The best blocked loop in plain JavaScript (bench/blocked.ts). */
export const blockedLoop: Open = async () => {
  const a = Float32Array.from({ length: problem.m * problem.k }, (_, i) => Math.sin(i))
  const b = Float32Array.from({ length: problem.k * problem.n }, (_, i) => Math.cos(i))
  const c = new Float32Array(problem.m * problem.n)
  return {
    run: async () => {
      blockedMatmul(a, b, c, problem)
      return c
    },
  }
}
