/** What the tests of published cases share: a case compiled and loaded on a target, and comparing within its tolerance. */
import { expect } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import type { Target } from '../../src/target.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { compileFile, loadEmitted, type Result } from './emitted.ts'
import { goldenTensors } from './golden.ts'
import { expectClose, graphOfFile, modelOfCase, readText, run } from './models.ts'

export interface Case {
  readonly rtol: number
  readonly atol: number
  readonly hyper: Readonly<Record<string, number>>
  readonly config?: Json
  readonly outputs: Readonly<Record<string, { readonly rtol?: number; readonly atol?: number }>>
}
/** What was compared, one line each: to print after all tests of a file. */
export const table: string[] = ['case · output · target: max error, share of tolerance']

/** The case of `test/golden/name`, compiled from `source`, by default its own model. */
export async function open(
  name: string,
  target: Target,
  source = modelOfCase(name),
  weights = `test/golden/${name}/weights.safetensors`,
) {
  const about = JSON.parse(readText(`test/golden/${name}/case.json`)) as Case
  const io = goldenTensors(name, 'io.safetensors')
  const compiled = compileFile(source, target, about.config)
  const model = await loadEmitted(target, compiled, weights)
  const input = (key: string): Tensor => io.get(`in.${key}`)!
  const agree = (got: ArrayLike<number>, key: string): void => {
    const { rtol = about.rtol, atol = about.atol } = about.outputs[key]
    const want = io.get(`out.${key}`)!.data
    expect(got.length, key).toBe(want.length)
    let [error, share] = [0, 0]
    for (let i = 0; i < want.length; i++) {
      const e = Math.abs(got[i] - want[i])
      error = Math.max(error, e)
      share = Math.max(share, Number.isNaN(e) ? Infinity : e / (atol + rtol * Math.abs(want[i])))
    }
    table.push(`${name} · ${key} · ${target.name}: ${error.toExponential(2)}, ${(100 * share).toFixed(2)} %`)
    expect(share, key).toBeLessThanOrEqual(1)
  }
  const inputs = [...io].flatMap(([key, t]) => (key.startsWith('in.') ? [[key.slice(3), t] as const] : []))
  const shapeOf = (key: string): readonly number[] => io.get(`out.${key}`)!.shape
  return { about, model, input, inputs, agree, shapeOf }
}

/** What the reference makes of a case that is one call with tensors of the same names. */
export function reference(name: string) {
  const about = JSON.parse(readText(`test/golden/${name}/case.json`)) as Case
  const io = goldenTensors(name, 'io.safetensors')
  const inputs = Object.fromEntries(
    [...io].flatMap(([key, t]) => (key.startsWith('in.') ? [[key.slice(3), t] as const] : [])),
  )
  const graph = graphOfFile(modelOfCase(name))
  const outputs = run(graph, inputs, goldenTensors(name, 'weights.safetensors'))
  const agree = (got: Tensor | undefined, key: string): void => {
    const { rtol = about.rtol, atol = about.atol } = about.outputs[key]
    expect(got?.dtype === 'i32', key).toBe(io.get(`out.${key}`)!.dtype === 'i32')
    expectClose(got, io.get(`out.${key}`)!, rtol, atol)
  }
  return { about, outputs, agree }
}
export const ints = (data: ArrayLike<number>, shape: readonly number[]) => ({ data: Int32Array.from(data), shape })
export const given = (t: Tensor) => ({
  data: t.dtype === 'f32' ? Float32Array.from(t.data) : Int32Array.from(t.data),
  shape: t.shape,
})
/** Columns from … to - 1 of a [B, T] tensor. */
export function columns(t: Tensor, from: number, to: number) {
  const [rows, length] = t.shape
  const picked = Array.from({ length: rows }, (_, b) => [...t.data.slice(b * length + from, b * length + to)]).flat()
  return ints(picked, [rows, to - from])
}
/** [B, 1, V] results of single steps as [B, steps, V]. */
export function interleave(steps: readonly Result[]): Float32Array {
  const [rows, , width] = steps[0].shape
  const out = new Float32Array(rows * steps.length * width)
  steps.forEach((s, i) => {
    for (let b = 0; b < rows; b++) out.set(s.data.subarray(b * width, (b + 1) * width), (b * steps.length + i) * width)
  })
  return out
}
export const argmax = (x: Float32Array): number => x.indexOf(Math.max(...x))
