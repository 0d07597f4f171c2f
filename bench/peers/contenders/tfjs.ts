/** TensorFlow.js: its WebAssembly backend (XNNPACK) and the one in plain JavaScript, in its own API with fused products. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { tensorsOf } from '../checkpoint.ts'
import { peer, requirePeer } from '../places.ts'
import { checkpointOf, pastPath, peersCheckpointOf } from '../prepare.ts'
import { gpt2 } from '../workloads.ts'
import type { Workload } from '../workloads.ts'
import type { Open } from './contender.ts'

interface T {
  readonly shape: readonly number[]
  readonly data: () => Promise<Float32Array>
  readonly add: (x: T | number) => T
  readonly sub: (x: T | number) => T
  readonly mul: (x: T | number) => T
  readonly square: () => T
  readonly rsqrt: () => T
  readonly tanh: () => T
  readonly erf: () => T
  readonly softmax: () => T
  readonly mean: (axis: number, keep: boolean) => T
  readonly reshape: (shape: readonly number[]) => T
  readonly transpose: (axes: readonly number[]) => T
  readonly slice: (begin: readonly number[], size: readonly number[]) => T
  readonly dispose: () => void
}
interface Tf {
  readonly setBackend: (name: string) => Promise<boolean>
  readonly ready: () => Promise<void>
  readonly tensor: (data: ArrayLike<number>, shape: readonly number[], dtype?: string) => T
  readonly tidy: <R>(f: () => R) => R
  readonly matMul: (a: T, b: T, transposeA?: boolean, transposeB?: boolean) => T
  readonly fused: { readonly matMul: (options: { a: T; b: T; bias: T; activation?: string }) => T }
  readonly split: (x: T, parts: number, axis: number) => T[]
  readonly concat: (xs: readonly T[], axis: number) => T
  readonly gather: (x: T, indices: T) => T
}
interface WasmBackend {
  readonly setWasmPaths: (folder: string) => void
  readonly setThreadsCount: (threads: number) => void
}

const open =
  (backend: 'wasm' | 'cpu'): Open =>
  async ({ workload: w, threads }) => {
    const tf = await peer<Tf>('@tensorflow/tfjs')
    if (backend === 'wasm') {
      const wasm = await peer<WasmBackend>('@tensorflow/tfjs-backend-wasm')
      wasm.setWasmPaths(join(dirname(requirePeer.resolve('@tensorflow/tfjs-backend-wasm')), '/'))
      wasm.setThreadsCount(threads)
    }
    if (!(await tf.setBackend(backend))) throw new Error(`tfjs has no backend ${backend}`)
    await tf.ready()
    const program = programs(tf, w)
    const inputs = Object.values(w.inputs)
    return {
      run: async () => {
        const given = inputs.map(({ data, shape }) =>
          tf.tensor(data, shape, data instanceof Int32Array ? 'int32' : 'float32'),
        )
        const [result, ...others] = tf.tidy(() => program(given))
        const data = await result.data()
        for (const t of [...given, result, ...others]) t.dispose()
        return data
      },
    }
  }

function programs(tf: Tf, w: Workload): (inputs: readonly T[]) => T[] {
  const from = (path: string) => {
    const read = tensorsOf(path)
    return (name: string): T => {
      const { data, shape } = read(name)
      return tf.tensor(data, shape)
    }
  }
  const tensor = from(w.graph === 'encoder' ? peersCheckpointOf(w) : checkpointOf(w))
  const pair = (name: string) => ({ weight: tensor(`${name}.weight`), bias: tensor(`${name}.bias`) })
  type Pair = ReturnType<typeof pair>
  const layernorm = (x: T, { weight, bias }: Pair): T => {
    const c = x.sub(x.mean(-1, true))
    return c.mul(c.square().mean(-1, true).add(1e-5).rsqrt()).mul(weight).add(bias)
  }
  const dense = (a: T, { weight, bias }: Pair, activation?: string): T =>
    tf.fused.matMul({ a, b: weight, bias, ...(activation ? { activation } : {}) })
  const geluTanh = (x: T): T => {
    const inner = x
      .square()
      .mul(0.044715)
      .add(1)
      .mul(x)
      .mul(Math.sqrt(2 / Math.PI))
    return inner.tanh().add(1).mul(x).mul(0.5)
  }
  /** [rows, heads · width] → [heads, rows, width] */
  const split = (x: T, heads: number): T => x.reshape([x.shape[0], heads, x.shape[1] / heads]).transpose([1, 0, 2])
  const attend = (q: T, k: T, v: T, mask?: T): T => {
    const scores = tf.matMul(q.mul(q.shape[2] ** -0.5), k, false, true)
    const mixed = tf.matMul((mask ? scores.add(mask) : scores).softmax(), v)
    return mixed.transpose([1, 0, 2]).reshape([q.shape[1], q.shape[0] * q.shape[2]])
  }

  if (w.graph === 'matmul') {
    const m = tensor('w')
    return ([x]) => [tf.matMul(x, m)]
  }
  if (w.graph === 'layernorm' || w.graph === 'add-layernorm') {
    const p = pair('norm')
    return ([x, r]) => [layernorm(r ? x.add(r) : x, p)]
  }
  if (w.graph === 'softmax') return ([x]) => [x.softmax()]
  if (w.graph === 'gelu')
    return ([x]) => [w.set.kind === 'gelu' ? x.mul(Math.SQRT1_2).erf().add(1).mul(x).mul(0.5) : geluTanh(x)]
  if (w.graph === 'encoder') {
    const names = ['self_attn.in_proj', 'self_attn.out_proj', 'norm1', 'linear1', 'linear2', 'norm2']
    const [qkv, out, norm1, up, down, norm2] = names.map(pair)
    return ([batch]) => {
      const x = batch.reshape([128, 512])
      const [q, k, v] = tf.split(dense(x, qkv), 3, 1).map((part) => split(part, 8))
      const y = layernorm(dense(attend(q, k, v), out).add(x), norm1)
      return [layernorm(dense(dense(y, up, 'relu'), down).add(y), norm2)]
    }
  }
  return decoder()

  function decoder(): (inputs: readonly T[]) => T[] {
    const rows = w.inputs.ids.shape[1]
    const table = tensor('wte.weight')
    const places = tensor('wpe.weight').slice([w.past, 0], [rows, gpt2.d])
    const final = pair('ln_f')
    const parts = ['ln_1', 'attn.c_attn', 'attn.c_proj', 'ln_2', 'mlp.c_fc', 'mlp.c_proj']
    const layers = Array.from({ length: gpt2.layers }, (_, i) => parts.map((part) => pair(`h.${i}.${part}`)))
    const hidden = Float32Array.from({ length: rows * rows }, (_, at) =>
      at % rows <= Math.floor(at / rows) ? 0 : -1e30,
    )
    const mask = rows > 1 ? tf.tensor(hidden, [1, rows, rows]) : undefined
    const past = w.past === 0 ? [] : pastOf(w.past)
    return ([ids]) => {
      let x = tf.gather(table, ids.reshape([rows])).add(places)
      const kept: T[] = []
      layers.forEach(([norm1, qkv, out, norm2, up, down], i) => {
        const [q, k, v] = tf.split(dense(layernorm(x, norm1), qkv), 3, 1).map((part) => split(part, gpt2.heads))
        const [keys, values] =
          w.past === 0 ? [k, v] : [tf.concat([past[2 * i], k], 1), tf.concat([past[2 * i + 1], v], 1)]
        kept.push(keys, values)
        x = x.add(dense(attend(q, keys, values, mask), out))
        x = x.add(dense(geluTanh(dense(layernorm(x, norm2), up)), down))
      })
      const last = layernorm(x.slice([rows - 1, 0], [1, gpt2.d]), final)
      return [tf.matMul(last, table, false, true), ...kept]
    }
  }

  function pastOf(past: number): T[] {
    const bytes = readFileSync(pastPath(past, w.bits))
    const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    const size = gpt2.d * past
    return Array.from({ length: 2 * gpt2.layers }, (_, i) =>
      tf.tensor(all.slice(i * size, (i + 1) * size), [gpt2.heads, past, gpt2.d / gpt2.heads]),
    )
  }
}

export const tfjsWasm = open('wasm')
export const tfjsCpu = open('cpu')
