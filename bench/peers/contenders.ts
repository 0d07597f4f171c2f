/** Who takes part in which workload. */
import type { Target } from '../../src/target.ts'
import { typescript } from '../../targets/typescript/index.ts'
import { wasm } from '../../targets/wasm/index.ts'
import { newerNode } from './places.ts'
import type { Contender } from './process.ts'
import type { Workload } from './workloads.ts'

export const native: Contender = { name: 'ORT native', kind: 'ort-native', threads: 1 }
const nativeTwo: Contender = { ...native, threads: 2 }
const web: Contender = { name: 'ORT web', kind: 'ort-web', threads: 1 }
const tfjs: Contender = { name: 'tfjs wasm', kind: 'tfjs-wasm', threads: 1 }
const tfjsCpu: Contender = { name: 'tfjs cpu', kind: 'tfjs-cpu', threads: 1 }
const jax: Contender = { name: 'jax-js', kind: 'jax-js', threads: 1 }
const oursWasm: Contender = { name: 'ours wasm', kind: 'ours-wasm', threads: 1 }
const oursTypescript: Contender = { name: 'ours TypeScript', kind: 'ours-typescript', threads: 1 }
const peak: Contender = { name: '128-bit peak', kind: 'limits-wasm', threads: 1 }
const blocked: Contender = { name: 'blocked JS loop', kind: 'limits-js', threads: 1 }

/** The target whose module a contender runs. */
export const targetOf = (c: Contender): Target | undefined =>
  c.kind === 'ours-typescript' ? typescript : c.kind === 'ours-wasm' ? wasm : undefined

/** In the order in which they take turns. */
export function contendersFor(w: Workload): Contender[] {
  const node = newerNode()
  const two = (c: Contender): Contender => ({ ...c, threads: 2 })
  const newer = (c: Contender): Contender[] => (node === undefined ? [] : [{ ...c, node }])
  // V8 joins pairs of 128-bit operations into 256-bit ones where it is asked to, which pays from Node 24 on.
  const wide = newer({ ...oursWasm, name: 'ours wasm --wide', wide: true })
  // Node 22 has relaxed SIMD without being asked.
  const relaxed: Contender = { ...oursWasm, name: 'ours wasm relaxed', flags: ['--experimental-wasm-relaxed-simd'] }
  const webNewer = newer({ ...web, name: 'ORT web Node 24' })
  const ours = [oursWasm, two(oursWasm), relaxed, two(relaxed)]
  const ort = [native, nativeTwo, web, two(web)]
  const js = [tfjs, jax, two(jax)]
  if (w.bits !== undefined) return [...ours, ...wide, ...ort]
  if (w.id === 'gpt2-prefill-1024') return [...ours, native, web]
  if (w.graph === 'gpt2' && w.program === 'prefill')
    return [...ours, ...wide, oursTypescript, ...ort, ...webNewer, ...js, blocked]
  if (w.graph === 'gpt2') return [...ours, ...wide, oursTypescript, ...ort, ...js]
  if (w.graph === 'bert') return [...ours, ...wide, ...ort]
  const all = [...ours, ...wide, oursTypescript, ...ort, ...webNewer, ...js, tfjsCpu]
  return w.graph === 'matmul' ? [...all, peak] : all
}
