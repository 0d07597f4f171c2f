/** Who takes part. */
import type { ModuleOptions } from '../peers/prepare.ts'
import type { Workload } from '../peers/workloads.ts'

export interface Contender {
  readonly name: string
  /** Which code runs: see child.ts. */
  readonly kind: 'ours-wgsl' | 'ours-wasm' | 'jax-js' | 'ort-web' | 'yardstick'
  /** Of ours: how it is compiled. */
  readonly compiled?: ModuleOptions
}

/** Gives the results that others are compared with: our other target, on the processor. */
export const reference: Contender = { name: 'ours wasm', kind: 'ours-wasm' }
export const ours: Contender = { name: 'ours', kind: 'ours-wgsl' }
/** Products of many rows in f16. */
const inHalf: Contender = { name: 'ours, arithmetic f16', kind: 'ours-wgsl', compiled: { arithmetic: 'f16' } }
/** What it is worth that norms are made by the products that read them (docs/decisions/0012). */
const apart: Contender = { name: 'ours, norms apart', kind: 'ours-wgsl', compiled: { apart: true } }
export const handWritten: Contender = { name: 'hand-written', kind: 'yardstick' }
const jax: Contender = { name: 'jax-js', kind: 'jax-js' }
const ort: Contender = { name: 'ORT web', kind: 'ort-web' }

/** In the order in which they take turns. */
export function contendersFor(w: Workload): Contender[] {
  if (w.bits !== undefined) return w.program === 'prefill' && w.bits === 16 ? [ours, inHalf, ort] : [ours, ort]
  if (w.graph === 'bert') return [ours, ort]
  if (w.graph === 'matmul') return [ours, jax, ort, handWritten]
  return w.program === 'step' ? [ours, apart, jax, ort] : [ours, jax, ort]
}
