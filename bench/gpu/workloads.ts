/** What is measured on a graphics card. With TFM_BENCH_SMALL set, small sizes that a processor can play. */
import { addLayernorm, bertRun, decoding, matmul, prefilling, small, type Workload } from '../peers/workloads.ts'

const full: readonly Workload[] = [
  matmul(1024, 1024, 1024),
  matmul(4096, 768, 3072),
  matmul(2048, 2048, 2048),
  matmul(1, 768, 3072),
  matmul(1, 3072, 768),
  // Too much for a cache.
  matmul(1, 4096, 16384),
  addLayernorm(16384),
  prefilling(64),
  prefilling(256),
  decoding(64),
  decoding(256),
  bertRun(128),
  decoding(64, 16),
  decoding(64, 8),
  decoding(64, 4),
  prefilling(256, 16),
]
const few: readonly Workload[] = [
  matmul(256, 256, 256),
  matmul(1, 768, 3072),
  addLayernorm(256),
  prefilling(16),
  decoding(16),
  bertRun(16),
  decoding(16, 16),
  decoding(16, 8),
  decoding(16, 4),
  prefilling(32, 16),
]

export const workloads: readonly Workload[] = small ? few : full

export function workload(id: string): Workload {
  const found = workloads.find((w) => w.id === id) ?? [...pasts()].find((w) => w.id === id)
  if (found === undefined) throw new Error(`internal: no workload ${id}`)
  return found
}
/** The prompt before a step. That of weights in f16 is computed with f32. */
export const before = (w: Workload): Workload => prefilling(w.past, w.bits === 16 ? undefined : w.bits)
function* pasts(): Generator<Workload> {
  for (const w of workloads) if (w.past > 0) yield before(w)
}
