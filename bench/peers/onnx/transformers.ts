/** ONNX graphs of GPT-2 and BERT: with ONNX's own ops, and with those that ONNX Runtime contributes. */
import { bert, gpt2 } from '../workloads.ts'
import type { Workload } from '../workloads.ts'
import type { OnnxGraph } from './graph.ts'
import { selfAttention } from './kernels.ts'
import type { Variants } from './kernels.ts'

type Style = 'plain' | 'Attention' | 'MultiHeadAttention' | 'GroupQueryAttention'

/** The names under which quantised tensors lie in their file (see quantise.ts). */
export const quantisedName = (name: string, bits: number): string => `${name}.q${bits}`
/** The table of embeddings as its levels mean it. */
export const lookupName = 'wte.lookup'
export const scaleName = (name: string, bits: number): string => `${name}.scale${bits}`

interface Ways {
  /** The table of the logits is turned before the run, not read by its rows. */
  readonly transposed?: boolean
  /** Of quantised weights: 4 takes activations in int8, 1 leaves them in f32. */
  readonly accuracy?: 1 | 4
}

/** Logits of the last position, and the cache of every layer, which the next step needs. */
function decoder(g: OnnxGraph, w: Workload, style: Style, { transposed = false, accuracy = 4 }: Ways = {}): void {
  const { d, heads, layers, vocab, ff } = gpt2
  const width = d / heads
  const rows = w.inputs.ids.shape[1]
  const keys = w.past + rows
  const eps = { epsilon: { float: gpt2.eps } }
  const norm = (name: string): string[] => [g.weight(`${name}.weight`), g.weight(`${name}.bias`)]
  /** What activations and caches are. */
  const type = w.bits === 16 ? 'f16' : 'f32'
  const blocks = w.bits === 4 || w.bits === 8
  const dense = (x: string, name: string, k: number, n: number): string =>
    !blocks ? g.op('MatMul', [x, g.weight(`${name}.weight`)]) : quantised(x, `${name}.weight`, k, n)
  const quantised = (x: string, name: string, k: number, n: number): string =>
    g.op('MatMulNBits', [x, g.weight(quantisedName(name, w.bits!)), g.weight(scaleName(name, w.bits!))], {
      K: k, N: n, bits: w.bits!, block_size: 32, accuracy_level: accuracy,
    }) // prettier-ignore
  const biased = (x: string, name: string, k: number, n: number): string =>
    g.op('Add', [dense(x, name, k, n), g.weight(`${name}.bias`)])

  const tokens = g.input('ids', 'i32', [1, rows])
  const mask = style === 'plain' && rows > 1 ? g.op('Unsqueeze', [causalMask(g, rows), g.ints([0, 1])]) : undefined
  const places = g.op('Slice', [g.weight('wpe.weight'), g.ints([w.past]), g.ints([keys]), g.ints([0])])
  let x = g.op('Add', [g.op('Gather', [g.weight(blocks ? lookupName : 'wte.weight'), tokens]), places])
  let y = g.op('LayerNormalization', [x, ...norm('h.0.ln_1')], { axis: -1, ...eps })

  const grown = (i: number) => (part: 'k' | 'v', now: string): string => {
    const old = w.past > 0 ? [g.input(`past_${part}.${i}`, type, [1, heads, w.past, width])] : []
    const whole = old.length > 0 ? g.op('Concat', [...old, now], { axis: 2 }) : now
    g.output(`present_${part}.${i}`, whole, type, [1, heads, keys, width])
    return whole
  } // prettier-ignore

  const attend = (i: number): string => {
    const name = `h.${i}.attn.c_attn`
    if (style === 'Attention') {
      const past = w.past > 0 ? g.input(`past.${i}`, type, [2, 1, heads, w.past, width]) : ''
      const from = [y, g.weight(`${name}.weight`), g.weight(`${name}.bias`), '', past]
      const [mixed, present] = g.ops('Attention', from, [true, true], { num_heads: heads, unidirectional: 1 })
      g.output(`present.${i}`, present, type, [2, 1, heads, keys, width])
      return mixed
    }
    const parts = g.ops('Split', [biased(y, name, d, 3 * d)], [true, true, true], { axis: -1, num_outputs: 3 })
    if (style === 'plain') return selfAttention(g, parts, { rows, heads, width }, mask, grown(i))
    const past = (['k', 'v'] as const).map((part) =>
      w.past > 0 ? g.input(`past_${part}.${i}`, type, [1, heads, w.past, width]) : '',
    )
    const all = [true, true, true]
    const [mixed, ...present] =
      style === 'MultiHeadAttention'
        ? g.ops(style, [...parts, '', '', '', ...past], all, { num_heads: heads, unidirectional: 1 })
        : g.ops(style, [...parts, ...past, g.int32([keys - 1]), g.int32([keys], [])], all, {
            num_heads: heads,
            kv_num_heads: heads,
          })
    present.forEach((value, part) => g.output(`present_${'kv'[part]}.${i}`, value, type, [1, heads, keys, width]))
    return mixed
  }

  /** The next norm of the sum, and the sum. */
  const add = (branch: string, name: string, k: number, normName: string): void => {
    if (style === 'plain') {
      x = g.op('Add', [x, biased(branch, name, k, d)])
      y = g.op('LayerNormalization', [x, ...norm(normName)], { axis: -1, ...eps })
      return
    }
    const from = [dense(branch, name, k, d), x, ...norm(normName), g.weight(`${name}.bias`)]
    const results = g.ops('SkipLayerNormalization', from, [true, false, false, true], eps)
    y = results[0]
    x = results[3]
  }
  for (let i = 0; i < layers; i++) {
    const h = `h.${i}`
    add(attend(i), `${h}.attn.c_proj`, d, `${h}.ln_2`)
    const up = dense(y, `${h}.mlp.c_fc`, d, ff)
    const bias = g.weight(`${h}.mlp.c_fc.bias`)
    const active =
      style === 'plain'
        ? g.op('Gelu', [g.op('Add', [up, bias])], { approximate: 'tanh' })
        : g.op('FastGelu', [up, bias])
    add(active, `${h}.mlp.c_proj`, ff, i + 1 < layers ? `h.${i + 1}.ln_1` : 'ln_f')
  }
  const last = g.op('Gather', [y, g.int32([rows - 1], [])], { axis: 1 })
  const logits = blocks
    ? quantised(last, 'wte.weight', d, vocab)
    : transposed
      ? g.op('MatMul', [last, g.weight('wte.transposed')])
      : g.op('Gemm', [last, g.weight('wte.weight')], { transB: 1 })
  g.output('logits', type === 'f16' ? g.op('Cast', [logits], { to: 1 }) : logits, 'f32', [1, vocab])
}

/** 0 where a key is seen, the lowest number elsewhere. */
function causalMask(g: OnnxGraph, rows: number): string {
  const seen = Array.from({ length: rows * rows }, (_, at) => (at % rows <= Math.floor(at / rows) ? 1 : 0))
  const hidden = g.op('Equal', [g.int32(seen, [rows, rows]), g.int32([0], [])])
  return g.op('Where', [hidden, g.float(-3e38), g.float(0)])
}

function encoder(g: OnnxGraph, w: Workload, fused: boolean): void {
  const { d, heads, layers } = bert
  const rows = w.inputs.ids.shape[1]
  const eps = { epsilon: { float: bert.eps } }
  const norm = (x: string, name: string): string =>
    g.op('LayerNormalization', [x, g.weight(`${name}.weight`), g.weight(`${name}.bias`)], { axis: -1, ...eps })
  const dense = (x: string, name: string): string => g.op('MatMul', [x, g.weight(`${name}.weight`)])
  const biased = (x: string, name: string): string => g.op('Add', [dense(x, name), g.weight(`${name}.bias`)])
  const tokens = g.input('ids', 'i32', [1, rows])
  const table = (name: string): string => g.weight(`embeddings.${name}_embeddings.weight`)
  const front = (name: string, to: number): string =>
    g.op('Slice', [table(name), g.ints([0]), g.ints([to]), g.ints([0])])
  const words = g.op('Add', [g.op('Gather', [table('word'), tokens]), front('token_type', 1)])
  let x = norm(g.op('Add', [words, front('position', rows)]), 'embeddings.LayerNorm')
  for (let i = 0; i < layers; i++) {
    const at = `encoder.layer.${i}`
    const qkv = `${at}.attention.self`
    let mixed: string
    if (fused) mixed = g.op('Attention', [x, g.weight(`${qkv}.weight`), g.weight(`${qkv}.bias`)], { num_heads: heads })
    else {
      const parts = g.ops('Split', [biased(x, qkv)], [true, true, true], { axis: -1, num_outputs: 3 })
      mixed = selfAttention(g, parts, { rows, heads, width: d / heads })
    }
    const add = (branch: string, name: string, normName: string): string => {
      if (!fused) return norm(g.op('Add', [biased(branch, name), x]), normName)
      const from = [dense(branch, name), x, g.weight(`${normName}.weight`), g.weight(`${normName}.bias`), g.weight(`${name}.bias`)]
      return g.op('SkipLayerNormalization', from, eps)
    } // prettier-ignore
    x = add(mixed, `${at}.attention.output.dense`, `${at}.attention.output.LayerNorm`)
    const up = `${at}.intermediate.dense`
    const active = fused
      ? g.op('BiasGelu', [dense(x, up), g.weight(`${up}.bias`)])
      : g.op('Gelu', [biased(x, up)], { approximate: 'none' })
    x = add(active, `${at}.output.dense`, `${at}.output.LayerNorm`)
  }
  g.output('last_hidden_state', x, 'f32', [1, rows, d])
  const first = g.op('Gather', [x, g.int32([0], [])], { axis: 1 })
  g.output('pooler_output', g.op('Tanh', [biased(first, 'pooler.dense')]), 'f32', [1, d])
}

export const gpt2Variants: Variants = {
  plain: (g, w) => decoder(g, w, 'plain'),
  Attention: (g, w) => decoder(g, w, 'Attention'),
  'MultiHeadAttention, head transposed': (g, w) =>
    decoder(g, w, 'MultiHeadAttention', { transposed: w.bits === undefined || w.bits === 16 }),
  GroupQueryAttention: (g, w) => decoder(g, w, 'GroupQueryAttention'),
}
/** Without those that do not fit quantised weights: `Attention` holds the projection of its input. The first sums in f32. */
export const quantisedVariants: Variants = {
  'f32 sums': (g, w) => decoder(g, w, 'plain', { accuracy: 1 }),
  ...Object.fromEntries(Object.entries(gpt2Variants).filter(([name]) => name !== 'Attention')),
}
/** Matrices, activations and caches in f16: with the ops that ONNX Runtime contributes. */
export const halfVariants: Variants = Object.fromEntries(
  Object.entries(gpt2Variants).filter(([name]) => name !== 'plain'),
)
export const bertVariants: Variants = {
  plain: (g, w) => encoder(g, w, false),
  Attention: (g, w) => encoder(g, w, true),
}
