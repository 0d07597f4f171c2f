/** Who takes part. */
import type { Workload } from '../peers/workloads.ts'

export interface Contender {
  readonly name: string
  /** Which code runs: see child.ts. */
  readonly kind: 'ours-wgsl' | 'ours-wasm' | 'jax-js' | 'ort-web' | 'yardstick'
}

/** Gives the results that others are compared with: our other target, on the processor. */
export const reference: Contender = { name: 'ours wasm', kind: 'ours-wasm' }
export const ours: Contender = { name: 'ours', kind: 'ours-wgsl' }
export const handWritten: Contender = { name: 'hand-written', kind: 'yardstick' }
const jax: Contender = { name: 'jax-js', kind: 'jax-js' }
const ort: Contender = { name: 'ORT web', kind: 'ort-web' }

/** In the order in which they take turns. */
export function contendersFor(w: Workload): Contender[] {
  if (w.bits !== undefined) return [ours, ort]
  if (w.graph === 'bert') return [ours, ort]
  return w.graph === 'matmul' ? [ours, jax, ort, handWritten] : [ours, jax, ort]
}
