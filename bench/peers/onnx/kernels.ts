/** ONNX graphs of single kernels and of one encoder layer. */
import type { Workload } from '../workloads.ts'
import type { OnnxGraph } from './graph.ts'

/** Adds nodes for a workload; `plain` uses ONNX's own ops, the others those that ONNX Runtime contributes. */
export type Build = (g: OnnxGraph, w: Workload) => void
export type Variants = Readonly<Record<string, Build>>

/** Declares the inputs of the workload and the one output, around `body`. */
const shaped =
  (body: (g: OnnxGraph, inputs: Readonly<Record<string, string>>, w: Workload) => string): Build =>
  (g, w) => {
    const inputs = Object.fromEntries(
      Object.entries(w.inputs).map(([name, { shape }]) => [name, g.input(name, 'f32', shape)]),
    )
    const x = w.inputs.x.shape
    g.output('y', body(g, inputs, w), 'f32', w.graph === 'matmul' ? [x[0], Number(w.set.n)] : x)
  }

const eps = { epsilon: { float: 1e-5 } }
const norm = (g: OnnxGraph, x: string, name: string): string =>
  g.op('LayerNormalization', [x, g.weight(`${name}.weight`), g.weight(`${name}.bias`)], { axis: -1, ...eps })
const skipNorm = (g: OnnxGraph, x: string, r: string, name: string, bias = ''): string =>
  g.op('SkipLayerNormalization', [x, r, g.weight(`${name}.weight`), g.weight(`${name}.bias`), bias], eps)

export const kernels: Readonly<Record<Exclude<Workload['graph'], 'bert' | 'gpt2'>, Variants>> = {
  matmul: {
    plain: shaped((g, { x }) => g.op('MatMul', [x, g.weight('w')])),
    gemm: shaped((g, { x }) => g.op('Gemm', [x, g.weight('w')])),
  },
  layernorm: { plain: shaped((g, { x }) => norm(g, x, 'norm')) },
  'add-layernorm': {
    plain: shaped((g, { x, r }) => norm(g, g.op('Add', [x, r]), 'norm')),
    SkipLayerNormalization: shaped((g, { x, r }) => skipNorm(g, x, r, 'norm')),
  },
  softmax: { plain: shaped((g, { x }) => g.op('Softmax', [x], { axis: -1 })) },
  gelu: {
    plain: shaped((g, { x }, w) => g.op('Gelu', [x], { approximate: w.set.kind === 'gelu' ? 'none' : 'tanh' })),
    contributed: shaped((g, { x }, w) => (w.set.kind === 'gelu' ? g.op('com.microsoft.Gelu', [x]) : g.op('FastGelu', [x]))),
  },
  encoder: { plain: shaped((g, { x }) => encoder(g, x, false)), Attention: shaped((g, { x }) => encoder(g, x, true)) },
} // prettier-ignore

function encoder(g: OnnxGraph, x: string, fused: boolean): string {
  const dense = (v: string, name: string): string => g.op('MatMul', [v, g.weight(`${name}.weight`)])
  const biased = (v: string, name: string): string => g.op('Add', [dense(v, name), g.weight(`${name}.bias`)])
  let mixed: string
  if (fused)
    mixed = g.op('Attention', [x, g.weight('self_attn.in_proj.weight'), g.weight('self_attn.in_proj.bias')], {
      num_heads: 8,
    })
  else {
    const heads = g.ops('Split', [biased(x, 'self_attn.in_proj')], [true, true, true], { axis: -1, num_outputs: 3 })
    mixed = selfAttention(g, heads, { rows: 128, heads: 8, width: 64 })
  }
  const add = (branch: string, from: string, name: string, normName: string): string =>
    fused
      ? skipNorm(g, dense(branch, name), from, normName, g.weight(`${name}.bias`))
      : norm(g, g.op('Add', [biased(branch, name), from]), normName)
  const a = add(mixed, x, 'self_attn.out_proj', 'norm1')
  return add(g.op('Relu', [biased(a, 'linear1')]), a, 'linear2', 'norm2')
}

/** Attention of ONNX's own ops: q, k, v of [1, rows, heads · width] → the same. `mask` is added to the scores. */
export function selfAttention(
  g: OnnxGraph,
  [q, k, v]: readonly string[],
  { rows, heads, width }: { readonly rows: number; readonly heads: number; readonly width: number },
  mask?: string,
  grow: (part: 'k' | 'v', x: string) => string = (_, x) => x,
): string {
  const split = (x: string): string =>
    g.op('Transpose', [g.op('Reshape', [x, g.ints([1, rows, heads, width])])], { perm: [0, 2, 1, 3] })
  const keys = g.op('Transpose', [grow('k', split(k))], { perm: [0, 1, 3, 2] })
  const scores = g.op('Mul', [g.op('MatMul', [split(q), keys]), g.float(width ** -0.5)])
  const seen = g.op('Softmax', [mask === undefined ? scores : g.op('Add', [scores, mask])], { axis: -1 })
  const mixed = g.op('Transpose', [g.op('MatMul', [seen, grow('v', split(v))])], { perm: [0, 2, 1, 3] })
  return g.op('Reshape', [mixed, g.ints([1, rows, heads * width])])
}
