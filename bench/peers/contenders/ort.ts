/** ONNX Runtime, native and as WebAssembly: all optimisations, of several graphs the fastest. */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { peer, peerFile } from '../places.ts'
import { graphPath, pastPath } from '../prepare.ts'
import { gpt2 } from '../workloads.ts'
import type { Workload } from '../workloads.ts'
import type { Open, Opened, Task } from './contender.ts'

type OrtTensor = { readonly data: Float32Array; readonly dims: readonly number[] }
interface Session {
  readonly run: (feeds: Readonly<Record<string, OrtTensor>>) => Promise<Readonly<Record<string, OrtTensor>>>
  readonly release: () => Promise<void>
  readonly inputNames: readonly string[]
}
interface Ort {
  readonly InferenceSession: { readonly create: (model: string | Uint8Array, options: object) => Promise<Session> }
  readonly Tensor: new (type: string, data: ArrayLike<number>, dims: readonly number[]) => OrtTensor
  readonly env: { readonly wasm: { numThreads: number }; logLevel: string }
}

type Name = 'onnxruntime-node' | 'onnxruntime-web' | 'onnxruntime-web/webgpu'

const open =
  (name: Name): Open =>
  async (task) => {
    const ort = await library(name)
    ort.env.logLevel = 'error'
    if (name !== 'onnxruntime-node') ort.env.wasm.numThreads = task.threads
    let best: (Opened & { readonly session: Session; readonly ms: number }) | undefined
    const failed: string[] = []
    for (const variant of task.variants) {
      try {
        const session = await sessionOf(ort, name, task, variant)
        const feeds = feedsOf(ort, session, task.workload)
        const run = async () => (await session.run(feeds))[task.workload.output].data
        const ms = task.variants.length > 1 ? await fastest(run) : 0
        const [loser, winner] =
          best && best.ms <= ms ? [{ session }, best] : [best, { run, session, ms, note: variant }]
        await loser?.session.release()
        best = winner
      } catch (thrown) {
        failed.push(`${variant}: ${thrown instanceof Error ? thrown.message : thrown}`)
      }
    }
    if (best === undefined) throw new Error(failed.join('\n'))
    for (const text of failed) console.error(`${name}: ${text}`)
    return best
  }

/** With WebGPU it is the file for pages that runs in Node too. */
const library = (name: Name): Promise<Ort> =>
  name === 'onnxruntime-web/webgpu' ? peerFile('onnxruntime-web/dist/ort.webgpu.bundle.min.mjs') : peer(name)

function sessionOf(ort: Ort, name: Name, { workload, threads }: Task, variant: string): Promise<Session> {
  const path = graphPath(workload, variant)
  const common = { graphOptimizationLevel: 'all', executionMode: 'sequential', logSeverityLevel: 3 }
  if (name === 'onnxruntime-node')
    return ort.InferenceSession.create(path, { ...common, executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1 }) // prettier-ignore
  const files = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as string[]
  const places = files.map((file) => join(dirname(path), file))
  if (name === 'onnxruntime-web')
    return ort.InferenceSession.create(path, { ...common, executionProviders: ['wasm'], externalData: files.map((file, i) => ({ path: file, data: places[i] })) }) // prettier-ignore
  // As a page has them: bytes.
  const externalData = files.map((file, i) => ({ path: file, data: new Uint8Array(readFileSync(places[i])) }))
  return ort.InferenceSession.create(new Uint8Array(readFileSync(path)), { ...common, executionProviders: ['webgpu'], externalData }) // prettier-ignore
}

function feedsOf(ort: Ort, session: Session, w: Workload): Record<string, OrtTensor> {
  const feeds: Record<string, OrtTensor> = {}
  for (const [name, { data, shape }] of Object.entries(w.inputs))
    feeds[name] = new ort.Tensor(data instanceof Int32Array ? 'int32' : 'float32', data, shape)
  if (w.past === 0) return feeds
  const bytes = readFileSync(pastPath(w.past, w.bits))
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  const width = gpt2.d / gpt2.heads
  const size = gpt2.d * w.past
  for (const name of session.inputNames) {
    const [, part, layer] = /^past_?([kv]?)\.(\d+)$/.exec(name) ?? []
    if (layer === undefined) continue
    const from = size * (2 * Number(layer) + (part === 'v' ? 1 : 0))
    const shape = [1, gpt2.heads, w.past, width]
    feeds[name] =
      part === ''
        ? new ort.Tensor('float32', all.slice(from, from + 2 * size), [2, ...shape])
        : new ort.Tensor('float32', all.slice(from, from + size), shape)
  }
  return feeds
}

/** Writes the keys and values after `prefill`'s tokens to `pastPath`, as ONNX Runtime computes them. */
export async function writePast(task: Task, name: Name = 'onnxruntime-node'): Promise<void> {
  const ort = await library(name)
  const session = await sessionOf(ort, name, task, task.variants[0])
  const results = await session.run(feedsOf(ort, session, task.workload))
  const parts = Array.from({ length: gpt2.layers }, (_, i) =>
    ['k', 'v'].map((part) => results[`present_${part}.${i}`].data),
  )
  const bytes = parts.flat().map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength))
  writeFileSync(pastPath(task.workload.inputs.ids.shape[1], task.workload.bits), Buffer.concat(bytes))
}

async function fastest(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  let least = Infinity
  for (let i = 0; i < 3 || (i < 30 && performance.now() - start < 400); i++) {
    const from = performance.now()
    await run()
    least = Math.min(least, performance.now() - from)
  }
  return least
}

export const ortNative = open('onnxruntime-node')
export const ortWeb = open('onnxruntime-web')
export const ortWebGpu = open('onnxruntime-web/webgpu')
