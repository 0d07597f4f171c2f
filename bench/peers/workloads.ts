/** What is measured: models, sizes, inputs. The inputs and weights depend on a seed only. */
import { randomNumbers } from '../../targets/runtime/sampling.ts'

export interface Data {
  readonly data: Float32Array | Int32Array
  readonly shape: readonly number[]
}

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
  /** Weights in blocks of 32 numbers of so many bits. */
  readonly bits?: 4 | 8
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

const matmul = (m: number, k: number, n: number): Workload =>
  kernel(
    m === 1 ? 'matvec' : `matmul-${m}x${k}x${n}`,
    m === 1 ? `matvec 1×${k}×${n}` : `matmul ${m}×${k}×${n}`,
    'matmul',
    { x: numbers([m, k], 1) },
    2 * m * k * n,
    { k, n },
  )

/** Sizes of GPT-2 124M. */
export const gpt2 = { layers: 12, heads: 12, d: 768, ff: 3072, vocab: 50257, eps: 1e-5 } as const
export const bert = { layers: 12, heads: 12, d: 768, ff: 3072, vocab: 30522, eps: 1e-12 } as const

/** Projections and feed-forward of `tokens` tokens, scores and mixtures of `tokens` × `keys`. */
const layerFlops = (d: number, ff: number, tokens: number, keys: number): number =>
  2 * tokens * (4 * d * d + 2 * d * ff) + 4 * tokens * keys * d
const gpt2Flops = (tokens: number, keys: number): number =>
  gpt2.layers * layerFlops(gpt2.d, gpt2.ff, tokens, keys) + 2 * gpt2.d * gpt2.vocab

function prefill(tokens: number, bits?: 4 | 8): Workload {
  return {
    id: `gpt2-${bits ? `int${bits}-` : ''}prefill-${tokens}`,
    title: `GPT-2 124M prefill T = ${tokens}${bits ? `, int${bits}` : ''}`,
    model: `${models}/gpt2.tfm`, set: {}, checkpoint: 'gpt2', graph: 'gpt2', program: 'prefill', past: 0,
    inputs: { ids: ids(tokens, gpt2.vocab) }, output: 'logits', flops: gpt2Flops(tokens, tokens),
    tolerance: quantised(bits), ...(bits ? { bits } : {}),
  } // prettier-ignore
}

function step(past: number, bits?: 4 | 8): Workload {
  return {
    id: `gpt2-${bits ? `int${bits}-` : ''}step-${past}`,
    title: `GPT-2 124M decode, past ${past}${bits ? `, int${bits}` : ''}`,
    model: `${models}/gpt2.tfm`, set: {}, checkpoint: 'gpt2', graph: 'gpt2', program: 'step', past,
    inputs: { ids: ids(1, gpt2.vocab, past) }, output: 'logits', flops: gpt2Flops(1, past + 1),
    tolerance: quantised(bits), ...(bits ? { bits } : {}),
  } // prettier-ignore
}

/** Of logits, whose sums run over many layers; int8 activations have a precision of their own. */
const quantised = (bits: 4 | 8 | undefined): number => (bits === undefined ? 1e-4 : 0.05)

export const workloads: readonly Workload[] = [
  matmul(128, 768, 3072),
  matmul(512, 512, 512),
  matmul(1, 768, 3072),
  kernel('layernorm', 'layer norm [256, 768]', 'layernorm', { x: numbers([256, 768], 2) }, 8 * 256 * 768),
  kernel('add-layernorm', 'residual + layer norm [256, 768]', 'add-layernorm', { x: numbers([256, 768], 2), r: numbers([256, 768], 3) }, 9 * 256 * 768), // prettier-ignore
  kernel('softmax', 'softmax [12, 256, 256]', 'softmax', { x: numbers([12, 256, 256], 4, 4) }, 5 * 12 * 256 * 256),
  kernel('gelu-tanh', 'gelu (tanh) [256, 3072]', 'gelu', { x: numbers([256, 3072], 5, 3) }, 10 * 256 * 3072, { kind: 'gelu_new' }), // prettier-ignore
  kernel('gelu-erf', 'gelu (erf) [256, 3072]', 'gelu', { x: numbers([256, 3072], 5, 3) }, 10 * 256 * 3072, { kind: 'gelu' }), // prettier-ignore
  kernel('encoder', 'encoder layer d512 T128', 'encoder', { x: numbers([1, 128, 512], 6) }, layerFlops(512, 2048, 128, 128)), // prettier-ignore
  {
    id: 'bert', title: 'BERT-base T = 128', model: 'examples/bert/model.tfm', set: { class: 'BertModel' }, checkpoint: 'bert', graph: 'bert',
    program: 'run', past: 0, inputs: { ids: ids(128, bert.vocab) }, output: 'last_hidden_state', tolerance: 1e-4,
    flops: bert.layers * layerFlops(bert.d, bert.ff, 128, 128) + 2 * bert.d * bert.d,
  },
  prefill(64),
  prefill(256),
  prefill(1024),
  step(64),
  step(256),
  step(64, 8),
  step(64, 4),
  prefill(64, 8),
  prefill(64, 4),
] // prettier-ignore

export function workload(id: string): Workload {
  const found = workloads.find((w) => w.id === id)
  if (found === undefined) throw new Error(`internal: no workload ${id}`)
  return found
}
