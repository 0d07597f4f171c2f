/** What is measured: models, sizes, inputs. The inputs and weights depend on a seed only. */
import { randomNumbers } from '../../targets/runtime/sampling.ts'

export interface Data {
  readonly data: Float32Array | Int32Array
  readonly shape: readonly number[]
}

export type Bits = 4 | 8 | 16

export interface Workload {
  readonly id: string
  readonly title: string
  /** Path of the `.tfm` model from the package root, and its hyperparameters. */
  readonly model: string
  readonly set: Readonly<Record<string, number | string>>
  /** Workloads with one checkpoint have one name here. */
  readonly checkpoint: string
  /** Which builder makes the peers' graphs. */
  readonly graph: 'matmul' | 'layernorm' | 'add-layernorm' | 'softmax' | 'gelu' | 'encoder' | 'bert' | 'gpt2'
  /** `step`: one token after `past` others. */
  readonly program: 'run' | 'prefill' | 'step'
  readonly past: number
  readonly inputs: Readonly<Record<string, Data>>
  readonly output: string
  /** Multiply-adds of a call, twice. */
  readonly flops: number
  /** Weights in so many bits: 16 are f16, the others are in blocks of 32 numbers. */
  readonly bits?: Bits
  /** Largest deviation from the reference, as a share of its largest magnitude. */
  readonly tolerance: number
}

function numbers(shape: readonly number[], seed: number, scale = 1): Data {
  const random = randomNumbers(seed)
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1))
  for (let i = 0; i < data.length; i++) data[i] = scale * (random() + random() + random() - 1.5)
  return { data, shape }
}

/** Token ids that visit the whole vocabulary. */
export const ids = (count: number, vocab: number, from = 0): Data => ({
  data: Int32Array.from({ length: count }, (_, i) => ((i + from) * 7919 + 13) % vocab),
  shape: [1, count],
})

const models = 'bench/peers/models'
const kernel = (
  id: string,
  title: string,
  graph: Workload['graph'],
  inputs: Readonly<Record<string, Data>>,
  flops: number,
  set: Workload['set'] = {},
): Workload => ({
  id, title, graph, inputs, flops, set, model: `${models}/${graph}.tfm`, program: 'run', past: 0, output: 'y', tolerance: 2e-5,
  checkpoint: [graph, ...Object.values(set)].join('-'),
}) // prettier-ignore

export const matmul = (m: number, k: number, n: number): Workload =>
  kernel(
    m > 1 ? `matmul-${m}x${k}x${n}` : k === 768 && n === 3072 ? 'matvec' : `matvec-${k}x${n}`,
    m === 1 ? `matvec 1×${k}×${n}` : `matmul ${m}×${k}×${n}`,
    'matmul',
    { x: numbers([m, k], 1) },
    2 * m * k * n,
    { k, n },
  )

/** Small sizes instead, to try a benchmark out. */
export const small = process.env.TFM_BENCH_SMALL !== undefined

/** Sizes of GPT-2 124M and of BERT-base. */
export const gpt2 = { ...(small ? { layers: 2, heads: 4, d: 128, ff: 512, vocab: 1009 } : { layers: 12, heads: 12, d: 768, ff: 3072, vocab: 50257 }), eps: 1e-5 } // prettier-ignore
export const bert = { ...(small ? { layers: 2, heads: 4, d: 128, ff: 512, vocab: 1009 } : { layers: 12, heads: 12, d: 768, ff: 3072, vocab: 30522 }), eps: 1e-12 } // prettier-ignore
const { eps: _gpt2, ...gpt2Sizes } = gpt2
const { eps: _bert, ...bertSizes } = bert
const [gpt2Name, bertName] = small ? ['GPT-2 with 2 layers', 'BERT with 2 layers'] : ['GPT-2 124M', 'BERT-base']
const checkpointName = (name: string): string => (small ? `${name}-small` : name)

/** Projections and feed-forward of `tokens` tokens, scores and mixtures of `tokens` × `keys`. */
const layerFlops = (d: number, ff: number, tokens: number, keys: number): number =>
  2 * tokens * (4 * d * d + 2 * d * ff) + 4 * tokens * keys * d
const gpt2Flops = (tokens: number, keys: number): number =>
  gpt2.layers * layerFlops(gpt2.d, gpt2.ff, tokens, keys) + 2 * gpt2.d * gpt2.vocab

const kept = (bits: Bits): string => (bits === 16 ? 'f16' : `int${bits}`)

export function prefilling(tokens: number, bits?: Bits): Workload {
  return {
    id: `gpt2-${bits ? `${kept(bits)}-` : ''}prefill-${tokens}`,
    title: `${gpt2Name} prefill T = ${tokens}${bits ? `, ${kept(bits)}` : ''}`,
    model: `${models}/gpt2.tfm`, set: small ? gpt2Sizes : {}, checkpoint: checkpointName('gpt2'), graph: 'gpt2', program: 'prefill', past: 0,
    inputs: { ids: ids(tokens, gpt2.vocab) }, output: 'logits', flops: gpt2Flops(tokens, tokens),
    tolerance: quantised(bits), ...(bits ? { bits } : {}),
  } // prettier-ignore
}

export function decoding(past: number, bits?: Bits): Workload {
  return {
    id: `gpt2-${bits ? `${kept(bits)}-` : ''}step-${past}`,
    title: `${gpt2Name} decode, past ${past}${bits ? `, ${kept(bits)}` : ''}`,
    model: `${models}/gpt2.tfm`, set: small ? gpt2Sizes : {}, checkpoint: checkpointName('gpt2'), graph: 'gpt2', program: 'step', past,
    inputs: { ids: ids(1, gpt2.vocab, past) }, output: 'logits', flops: gpt2Flops(1, past + 1),
    tolerance: quantised(bits), ...(bits ? { bits } : {}),
  } // prettier-ignore
}

export const addLayernorm = (rows: number): Workload =>
  kernel(rows === 256 ? 'add-layernorm' : `add-layernorm-${rows}`, `residual + layer norm [${rows}, 768]`, 'add-layernorm', { x: numbers([rows, 768], 2), r: numbers([rows, 768], 3) }, 9 * rows * 768) // prettier-ignore

export const bertRun = (tokens: number): Workload => ({
  id: 'bert', title: `${bertName} T = ${tokens}`, model: 'examples/bert/model.tfm', set: { class: 'BertModel', ...(small ? bertSizes : {}) },
  checkpoint: checkpointName('bert'), graph: 'bert', program: 'run', past: 0, inputs: { ids: ids(tokens, bert.vocab) }, output: 'last_hidden_state',
  tolerance: 1e-4, flops: bert.layers * layerFlops(bert.d, bert.ff, tokens, tokens) + 2 * bert.d * bert.d,
}) // prettier-ignore

/** Of logits, whose sums run over many layers; activations in int8 or f16 have a precision of their own. */
const quantised = (bits: Bits | undefined): number => (bits === undefined ? 1e-4 : 0.05)

export const workloads: readonly Workload[] = [
  matmul(128, 768, 3072),
  matmul(512, 512, 512),
  matmul(1, 768, 3072),
  kernel('layernorm', 'layer norm [256, 768]', 'layernorm', { x: numbers([256, 768], 2) }, 8 * 256 * 768),
  addLayernorm(256),
  kernel('softmax', 'softmax [12, 256, 256]', 'softmax', { x: numbers([12, 256, 256], 4, 4) }, 5 * 12 * 256 * 256),
  kernel('gelu-tanh', 'gelu (tanh) [256, 3072]', 'gelu', { x: numbers([256, 3072], 5, 3) }, 10 * 256 * 3072, { kind: 'gelu_new' }), // prettier-ignore
  kernel('gelu-erf', 'gelu (erf) [256, 3072]', 'gelu', { x: numbers([256, 3072], 5, 3) }, 10 * 256 * 3072, { kind: 'gelu' }), // prettier-ignore
  kernel('encoder', 'encoder layer d512 T128', 'encoder', { x: numbers([1, 128, 512], 6) }, layerFlops(512, 2048, 128, 128)), // prettier-ignore
  bertRun(128),
  prefilling(64),
  prefilling(256),
  prefilling(1024),
  decoding(64),
  decoding(256),
  decoding(64, 8),
  decoding(64, 4),
  prefilling(64, 8),
  prefilling(64, 4),
] // prettier-ignore

export function workload(id: string): Workload {
  const found = workloads.find((w) => w.id === id)
  if (found === undefined) throw new Error(`internal: no workload ${id}`)
  return found
}
