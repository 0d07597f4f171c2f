/**
 * A step of a Llama with the peers, for counting: as their own converters and examples write it, with as many layers as are asked for. Sizes are small, since what is
 * counted does not depend on them; the proportions are TinyLlama's (grouped queries, a gated unit).
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { randomNumbers } from '../../targets/runtime/sampling.ts'
import { writeOnce } from '../peers/checkpoint.ts'
import { onnxGraph } from '../peers/onnx/graph.ts'
import { provideIteratorMethods } from '../peers/contenders/jax.ts'
import { cache, peer, peerFile } from '../peers/places.ts'

export const small = { d: 256, heads: 8, kv: 2, ff: 704, vocab: 1024, past: 64 }
const width = small.d / small.heads

function random(shape: readonly number[], seed: number): Float32Array {
  const next = randomNumbers(seed)
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.1 * (next() - 0.5))
}
const layerShapes = {
  norm1: [small.d],
  qkv: [small.d, small.d + 2 * small.kv * width],
  o: [small.d, small.d],
  norm2: [small.d],
  gate: [small.d, small.ff],
  up: [small.d, small.ff],
  down: [small.ff, small.d],
} as const

interface Arr {
  readonly ref: Arr
  readonly add: (x: Arr | number) => Arr
  readonly sub: (x: Arr) => Arr
  readonly mul: (x: Arr | number) => Arr
  readonly reshape: (shape: readonly number[]) => Arr
  readonly data: () => Promise<Float32Array>
}
type Tree = Arr | readonly Tree[] | { readonly [key: string]: Tree }
interface Jax {
  readonly init: (device: string) => Promise<unknown>
  readonly defaultDevice: (device: string) => void
  readonly jit: (f: (...args: readonly Tree[]) => readonly Arr[]) => (...args: readonly Tree[]) => readonly Arr[]
  readonly tree: { readonly ref: (tree: Tree) => Tree; readonly dispose: (tree: Tree) => void }
  readonly blockUntilReady: (tree: Tree) => Promise<unknown>
  readonly nn: { readonly silu: (x: Arr) => Arr; readonly dotProductAttention: (q: Arr, k: Arr, v: Arr, o: object) => Arr }
  readonly numpy: {
    readonly array: (data: unknown, options?: object) => Arr
    readonly matmul: (a: Arr, b: Arr) => Arr
    readonly split: (x: Arr, at: readonly number[], axis: number) => Arr[]
    readonly concatenate: (xs: readonly Arr[], axis: number) => Arr
    readonly take: (x: Arr, at: Arr, axis: number) => Arr
    readonly mean: (x: Arr, axis: number, o: object) => Arr
    readonly square: (x: Arr) => Arr
    readonly sqrt: (x: Arr) => Arr
    readonly reciprocal: (x: Arr) => Arr
    readonly int32: unknown
  }
} // prettier-ignore

/** One step, jitted. */
export async function jaxStep(layers: number): Promise<() => Promise<unknown>> {
  provideIteratorMethods()
  const jax = await peer<Jax>('@jax-js/jax')
  await jax.init('webgpu')
  jax.defaultDevice('webgpu')
  const { numpy: np, nn } = jax
  let seed = 1
  const weight = (shape: readonly number[]): Arr => np.array(random(shape, seed++), { shape })
  const { d, heads, kv, vocab, past } = small
  const args: Tree = {
    table: weight([vocab, d]), head: weight([d, vocab]), norm: weight([d]), cos: weight([1, width / 2]), sin: weight([1, width / 2]),
    layers: Array.from({ length: layers }, () => Object.fromEntries(Object.entries(layerShapes).map(([name, shape]) => [name, weight(shape)]))),
    caches: Array.from({ length: layers }, () => ({ k: weight([1, past, kv, width]), v: weight([1, past, kv, width]) })),
  } // prettier-ignore
  const norm = (x: Arr, w: Arr): Arr =>
    x.ref.mul(np.reciprocal(np.sqrt(np.mean(np.square(x), -1, { keepdims: true }).add(1e-5)))).mul(w)
  interface Args {
    readonly table: Arr
    readonly head: Arr
    readonly norm: Arr
    readonly cos: Arr
    readonly sin: Arr
    readonly layers: readonly Record<keyof typeof layerShapes, Arr>[]
    readonly caches: readonly { readonly k: Arr; readonly v: Arr }[]
  }
  const step = jax.jit((ids, given) => {
    const a = given as unknown as Args
    const rope = (x: Arr): Arr => {
      const [l, r] = np.split(x, [width / 2], -1)
      return np.concatenate(
        [l.ref.mul(a.cos.ref).sub(r.ref.mul(a.sin.ref)), r.mul(a.cos.ref).add(l.mul(a.sin.ref))],
        -1,
      )
    }
    let x = np.take(a.table, ids as Arr, 0)
    const kept: Arr[] = []
    a.layers.forEach((p, i) => {
      const [q, k, v] = np.split(np.matmul(norm(x.ref, p.norm1), p.qkv), [d, d + kv * width], -1)
      const keys = np.concatenate([a.caches[i].k, rope(k.reshape([1, 1, kv, width]))], 1)
      const values = np.concatenate([a.caches[i].v, v.reshape([1, 1, kv, width])], 1)
      kept.push(keys.ref, values.ref)
      const mixed = nn.dotProductAttention(rope(q.reshape([1, 1, heads, width])), keys, values, {}).reshape([1, d])
      x = x.add(np.matmul(mixed, p.o))
      const y = norm(x.ref, p.norm2)
      x = x.add(np.matmul(nn.silu(np.matmul(y.ref, p.gate)).mul(np.matmul(y, p.up)), p.down))
    })
    return [np.matmul(norm(x, a.norm), a.head), ...kept]
  })
  return async () => {
    const [logits, ...kept] = step(np.array(Int32Array.of(3), { shape: [1], dtype: np.int32 }), jax.tree.ref(args))
    await logits.data()
    await jax.blockUntilReady(kept)
    jax.tree.dispose(kept)
  }
}

interface Ort {
  readonly InferenceSession: {
    readonly create: (
      model: Uint8Array,
      options: object,
    ) => Promise<{
      readonly run: (feeds: object) => Promise<Readonly<Record<string, { readonly dispose: () => void }>>>
    }>
  }
  readonly Tensor: {
    new (type: string, data: ArrayLike<number>, dims: readonly number[]): object
    readonly fromGpuBuffer: (buffer: GPUBuffer, about: object) => object
  }
  readonly env: { readonly wasm: { numThreads: number }; readonly webgpu: { readonly device: GPUDevice } }
}

/** One step of the graph that onnxruntime-genai's builder makes: RMS norms with the residual sum, one attention op with rotary positions. */
export async function ortStep(layers: number): Promise<() => Promise<unknown>> {
  const { d, heads, kv, vocab, past } = small
  mkdirSync(cache, { recursive: true })
  const file = join(cache, `llama-${layers}.safetensors`)
  const shapes: [string, readonly number[]][] = [
    ['table', [vocab, d]], ['head', [d, vocab]], ['norm', [d]], ['cos', [128, width / 2]], ['sin', [128, width / 2]],
    ...Array.from({ length: layers }, (_, i) => Object.entries(layerShapes).map(([name, shape]): [string, readonly number[]] => [`${i}.${name}`, shape])).flat(),
  ] // prettier-ignore
  writeOnce(file, () => shapes.map(([name, shape], i) => ({ name, shape: [...shape], data: random(shape, i) })))
  const g = onnxGraph('llama', [file])
  const eps = { epsilon: { float: 1e-5 }, axis: -1 }
  const dense = (x: string, name: string): string => g.op('MatMul', [x, g.weight(name)])
  let x = g.op('Gather', [g.weight('table'), g.input('ids', 'i32', [1, 1])])
  let y = g.op('SimplifiedLayerNormalization', [x, g.weight('0.norm1')], eps)
  const add = (branch: string, norm: string): void => {
    const results = g.ops('com.microsoft.SkipSimplifiedLayerNormalization', [branch, x, g.weight(norm)], [true, false, false, true], { epsilon: { float: 1e-5 } }) // prettier-ignore
    y = results[0]
    x = results[3]
  }
  const lengths = [g.int32([past]), g.int32([past + 1], [])]
  for (let i = 0; i < layers; i++) {
    const caches = ['key', 'value'].map((part) => g.input(`past.${part}.${i}`, 'f32', [1, kv, past, width]))
    const inputs = [dense(y, `${i}.qkv`), '', '', ...caches, ...lengths, g.weight('cos'), g.weight('sin')]
    const [mixed, ...present] = g.ops('GroupQueryAttention', inputs, [true, true, true], { num_heads: heads, kv_num_heads: kv, do_rotary: 1 }) // prettier-ignore
    present.forEach((value, part) => g.output(`present.${'kv'[part]}.${i}`, value, 'f32', [1, kv, past + 1, width]))
    add(dense(mixed, `${i}.o`), `${i}.norm2`)
    const gate = dense(y, `${i}.gate`)
    const active = g.op('Mul', [g.op('Mul', [gate, g.op('Sigmoid', [gate])]), dense(y, `${i}.up`)])
    add(dense(active, `${i}.down`), i + 1 < layers ? `${i + 1}.norm1` : 'norm')
  }
  g.output('logits', dense(y, 'head'), 'f32', [1, 1, vocab])
  const ort = await peerFile<Ort>('onnxruntime-web/dist/ort.webgpu.bundle.min.mjs')
  ort.env.wasm.numThreads = 1
  const { readFileSync } = await import('node:fs')
  const present = Object.fromEntries(Array.from({ length: layers }, (_, i) => [`present.k.${i}`, `present.v.${i}`]).flat().map((n) => [n, 'gpu-buffer'])) // prettier-ignore
  const session = await ort.InferenceSession.create(await g.encode(), {
    executionProviders: ['webgpu'], graphOptimizationLevel: 'all', logSeverityLevel: 3, preferredOutputLocation: present,
    externalData: g.files().map((path) => ({ path, data: new Uint8Array(readFileSync(join(cache, path))) })),
  }) // prettier-ignore
  const { device } = ort.env.webgpu
  const feeds: Record<string, object> = { ids: new ort.Tensor('int32', Int32Array.of(3), [1, 1]) }
  for (let i = 0; i < layers; i++)
    for (const part of ['key', 'value']) {
      const buffer = device.createBuffer({ size: 4 * kv * past * width, usage: 4 | 8 | 128 })
      feeds[`past.${part}.${i}`] = ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [1, kv, past, width] })
    }
  return async () => {
    const results = await session.run(feeds)
    for (const [name, tensor] of Object.entries(results)) if (name.startsWith('present')) tensor.dispose()
  }
}
