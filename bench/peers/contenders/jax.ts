/** jax-js on WebAssembly, compiled by its jit. Node has no `Worker`; with one, as in a page, jax-js uses all cores. */
import { readFileSync } from 'node:fs'
import { Worker as NodeWorker } from 'node:worker_threads'
import { tensorsOf } from '../checkpoint.ts'
import { peer } from '../places.ts'
import { pastPath, peersCheckpointOf, checkpointOf } from '../prepare.ts'
import { gpt2 } from '../workloads.ts'
import type { Workload } from '../workloads.ts'
import type { Open, Opened } from './contender.ts'

/** Arrays count their owners: passing one to a function gives it away, `ref` keeps it. */
interface Arr {
  readonly ref: Arr
  readonly shape: readonly number[]
  readonly add: (x: Arr | number) => Arr
  readonly mul: (x: Arr | number) => Arr
  readonly reshape: (shape: readonly number[]) => Arr
  readonly transpose: (axes: readonly number[]) => Arr
  readonly slice: (...index: unknown[]) => Arr
  readonly data: () => Promise<Float32Array>
  readonly dispose: () => void
}
type Tree = Arr | readonly Tree[] | { readonly [key: string]: Tree }
interface Jax {
  readonly init: (device: string) => Promise<unknown>
  readonly defaultDevice: (device: string) => void
  readonly jit: <A extends readonly Tree[], R>(f: (...args: A) => R, options?: object) => (...args: A) => R
  readonly tree: { readonly ref: <T extends Tree>(tree: T) => T; readonly dispose: (tree: Tree) => void }
  readonly blockUntilReady: (tree: Tree) => Promise<unknown>
  readonly nn: {
    readonly softmax: (x: Arr) => Arr
    readonly relu: (x: Arr) => Arr
    readonly gelu: (x: Arr, options: object) => Arr
    readonly standardize: (x: Arr, axis: number, options: object) => Arr
    readonly dotProductAttention: (q: Arr, k: Arr, v: Arr, options: object) => Arr
  }
  readonly numpy: {
    readonly array: (data: unknown, options?: object) => Arr
    readonly matmul: (a: Arr, b: Arr) => Arr
    readonly split: (x: Arr, sections: number, axis: number) => Arr[]
    readonly concatenate: (xs: readonly Arr[], axis: number) => Arr
    readonly take: (x: Arr, indices: Arr, axis: number) => Arr
    readonly int32: unknown
  }
}
type Norm = { readonly weight: Arr; readonly bias: Arr }

export const jax: Open = ({ workload: w, threads }) => {
  if (threads > 1) provideWorkers(threads)
  return open(w, 'wasm')
}
/** On the graphics card of `navigator.gpu`. */
export const jaxWebGpu: Open = ({ workload: w }) => open(w, 'webgpu')

async function open(w: Workload, device: 'wasm' | 'webgpu'): Promise<Opened> {
  provideIteratorMethods()
  const jax = await peer<Jax>('@jax-js/jax')
  await jax.init(device)
  jax.defaultDevice(device)
  const { f, args } = programs(jax, w)
  const compiled = jax.jit(f)
  const inputs = Object.values(w.inputs)
  return {
    run: async () => {
      const given = inputs.map(({ data, shape }) =>
        jax.numpy.array(data, { shape, ...(data instanceof Int32Array ? { dtype: jax.numpy.int32 } : {}) }),
      )
      const [result, ...others] = compiled(given, jax.tree.ref(args))
      const data = await result.data()
      if (others.length > 0) {
        await jax.blockUntilReady(others)
        jax.tree.dispose(others)
      }
      return data
    },
  }
}

/** jax-js uses the methods of iterators, which Node 20 does not have yet. */
export function provideIteratorMethods(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([].values())) as object
  for (const name of ['map', 'filter', 'flatMap', 'some', 'every', 'find', 'reduce', 'forEach'] as const) {
    if (name in prototype) continue
    const value = function (this: Iterable<unknown>, ...args: unknown[]): unknown {
      const result: unknown = Reflect.apply(Array.prototype[name], [...this], args)
      return Array.isArray(result) ? result.values() : result
    }
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true })
  }
}

/** The `Worker` of pages, as far as jax-js uses it: a module from a blob, messages both ways. */
function provideWorkers(threads: number): void {
  class PageWorker {
    onmessage: ((event: { data: unknown }) => void) | undefined
    onerror: ((event: Error) => void) | undefined
    readonly #worker: Promise<NodeWorker>
    constructor(url: string) {
      this.#worker = fetch(url)
        .then((response) => response.text())
        .then((text) => {
          const before = `import { parentPort } from 'node:worker_threads';globalThis.self=globalThis;globalThis.postMessage=(m,t)=>parentPort.postMessage(m,t);parentPort.on('message',(data)=>globalThis.onmessage?.({data}));`
          const worker = new NodeWorker(new URL(`data:text/javascript,${encodeURIComponent(before + text)}`))
          worker.on('message', (data) => this.onmessage?.({ data }))
          worker.on('error', (error) => this.onerror?.(error as Error))
          worker.unref()
          return worker
        })
    }
    postMessage(message: unknown): void {
      void this.#worker.then((worker) => worker.postMessage(message))
    }
  }
  Object.assign(globalThis, { Worker: PageWorker, crossOriginIsolated: true })
  Object.defineProperty(globalThis, 'navigator', { value: { hardwareConcurrency: threads }, configurable: true })
}

type Program = {
  readonly f: (inputs: readonly Arr[], args: readonly Tree[]) => readonly Arr[]
  readonly args: readonly Tree[]
}

function programs({ numpy: np, nn }: Jax, w: Workload): Program {
  const read = tensorsOf(checkpointOf(w))
  const readPeers = tensorsOf(peersCheckpointOf(w))
  const tensor = (name: string, from = read): Arr => {
    const { data, shape } = from(name)
    return np.array(data, { shape })
  }
  const norm = (name: string): Norm => ({ weight: tensor(`${name}.weight`), bias: tensor(`${name}.bias`) })
  const layernorm = (x: Arr, { weight, bias }: Norm): Arr =>
    nn.standardize(x, -1, { epsilon: 1e-5 }).mul(weight).add(bias)
  const dense = (x: Arr, { weight, bias }: Norm): Arr => np.matmul(x, weight).add(bias)

  if (w.graph === 'matmul') return { args: [tensor('w')], f: ([x], [m]) => [np.matmul(x, m as Arr)] }
  if (w.graph === 'layernorm') return { args: [norm('norm')], f: ([x], [p]) => [layernorm(x, p as Norm)] }
  if (w.graph === 'add-layernorm') return { args: [norm('norm')], f: ([x, r], [p]) => [layernorm(x.add(r), p as Norm)] }
  if (w.graph === 'softmax') return { args: [], f: ([x]) => [nn.softmax(x)] }
  if (w.graph === 'gelu') return { args: [], f: ([x]) => [nn.gelu(x, { approximate: w.set.kind !== 'gelu' })] }
  if (w.graph === 'encoder') {
    const of = (name: string): Norm => ({
      weight: tensor(`${name}.weight`, readPeers),
      bias: tensor(`${name}.bias`, readPeers),
    })
    return {
      args: ['self_attn.in_proj', 'self_attn.out_proj', 'norm1', 'linear1', 'linear2', 'norm2'].map(of),
      f: ([x], p) => {
        const [qkv, out, norm1, up, down, norm2] = p as readonly Norm[]
        const [q, k, v] = np.split(dense(x.ref, qkv), 3, -1).map((part) => part.reshape([1, 128, 8, 64]))
        const mixed = nn.dotProductAttention(q, k, v, {}).reshape([1, 128, 512])
        const y = layernorm(dense(mixed, out).add(x), norm1)
        return [layernorm(dense(nn.relu(dense(y.ref, up)), down).add(y), norm2)]
      },
    }
  }
  return decoder()

  function decoder(): Program {
    const { heads, d, layers } = gpt2
    const width = d / heads
    const rows = w.inputs.ids.shape[1]
    const of = (name: string): Norm => norm(name)
    const layer = (i: number) =>
      Object.fromEntries(
        ['ln_1', 'attn.c_attn', 'attn.c_proj', 'ln_2', 'mlp.c_fc', 'mlp.c_proj'].map((part) => [
          part,
          of(`h.${i}.${part}`),
        ]),
      ) as Record<string, Norm>
    const past: Tree[] = w.past === 0 ? [] : pastOf(w.past).map(({ k, v }) => ({ k, v }))
    type Args = readonly [Arr, Arr, Norm, readonly Record<string, Norm>[], readonly { k: Arr; v: Arr }[]]
    return {
      args: [
        tensor('wte.weight'),
        tensor('wpe.weight'),
        of('ln_f'),
        Array.from({ length: layers }, (_, i) => layer(i)),
        past,
      ],
      f: ([ids], args) => {
        const [wte, wpe, final, all, caches] = args as unknown as Args
        let x = np.take(wte.ref, ids.reshape([rows]), 0).add(wpe.slice([w.past, w.past + rows]))
        const kept: Arr[] = []
        all.forEach((p, i) => {
          const parts = np.split(dense(layernorm(x.ref, p.ln_1), p['attn.c_attn']), 3, -1)
          const [q, k, v] = parts.map((part) => part.reshape([1, rows, heads, width]))
          const keys = w.past === 0 ? k : np.concatenate([caches[i].k, k], 1)
          const values = w.past === 0 ? v : np.concatenate([caches[i].v, v], 1)
          kept.push(keys.ref, values.ref)
          const mixed = nn.dotProductAttention(q, keys, values, { isCausal: rows > 1 }).reshape([rows, d])
          x = x.add(dense(mixed, p['attn.c_proj']))
          const up = nn.gelu(dense(layernorm(x.ref, p.ln_2), p['mlp.c_fc']), { approximate: true })
          x = x.add(dense(up, p['mlp.c_proj']))
        })
        const last = layernorm(x.slice([rows - 1, rows]), final)
        return [np.matmul(last, wte.transpose([1, 0])), ...kept]
      },
    }
  }

  /** Keys and values before a step, [1, past, heads, width]. */
  function pastOf(past: number): { k: Arr; v: Arr }[] {
    const bytes = readFileSync(pastPath(past, w.bits))
    const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    const size = gpt2.d * past
    const at = (i: number): Arr =>
      np
        .array(all.slice(i * size, (i + 1) * size), { shape: [1, gpt2.heads, past, gpt2.d / gpt2.heads] })
        .transpose([0, 2, 1, 3])
    return Array.from({ length: gpt2.layers }, (_, i) => ({ k: at(2 * i), v: at(2 * i + 1) }))
  }
}
