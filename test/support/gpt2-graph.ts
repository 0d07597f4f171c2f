/** GPT-2 as a graph, built by hand: tests of passes, sequence analysis and lowering without a front end. */
import { sourceFile, spanOf } from '../../src/diagnostics/span.ts'
import { makeBuilder } from '../../src/ir/build.ts'
import type { Graph, Node, ParamSpec } from '../../src/ir/types.ts'
import type { Attrs } from '../../src/ops/define.ts'
import { con, of, sym } from '../../src/types/ix.ts'

export interface Gpt2Shape {
  readonly vocab: number
  readonly ctx: number
  readonly d: number
  readonly heads: number
  readonly layers: number
}

export function gpt2Graph({ vocab, ctx, d, heads, layers }: Gpt2Shape): Graph {
  const file = sourceFile('gpt2.tfm', 'model gpt2\n')
  const span = spanOf(file, 0, 5)
  const build = makeBuilder()
  const B = sym('B', { lo: 1, role: 'dim' })
  const T = sym('T', { lo: 1, hi: ctx, role: 'dim' })
  let scope = ''
  const node = (op: string, inputs: (Node | undefined)[], attrs: Attrs = {}, name?: string): Node =>
    build.node(op, inputs, attrs, { span, frames: [], scope, ...(name ? { name } : {}) })
  const params: ParamSpec[] = []
  const param = (name: string, ...shape: number[]): Node => {
    params.push({ name, shape, span })
    return node('param', [], { name, shape: shape.map((n) => con(n)) })
  }
  const num = (value: number): Node => node('full', [], { value, shape: [], dtype: 'f32' })
  const prefix = (i: number, s: string): string => `h.${i}.${s}`
  const layernorm = (x: Node, path: string): Node => {
    const mean = node('div', [node('reduce_sum', [x], { axes: [2], keep: true }), num(d)], {}, 'mean')
    const c = node('sub', [x, mean])
    const variance = node(
      'div',
      [node('reduce_sum', [node('mul', [c, c])], { axes: [2], keep: true }), num(d)],
      {},
      'variance',
    )
    const y = node('div', [c, node('sqrt', [node('add', [variance, num(1e-5)])])])
    return node('add', [node('mul', [y, param(`${path}.weight`, d)]), param(`${path}.bias`, d)], {}, 'y')
  }
  const linear = (x: Node, path: string, i: number, o: number): Node =>
    node('add', [node('matmul', [x, param(`${path}.weight`, i, o)]), param(`${path}.bias`, o)])
  const gelu = (x: Node): Node => {
    const cube = node('mul', [node('mul', [x, x]), x])
    const u = node('mul', [num(1.5957691216057308), node('add', [x, node('mul', [num(0.044715), cube])])])
    return node('div', [x, node('add', [num(1), node('exp', [node('neg', [u])])])], {}, 'gelu')
  }
  const headsOf = (x: Node): Node =>
    node('permute', [node('reshape', [x], { shape: [of(B), of(T), con(heads), con(d / heads)] })], {
      order: [0, 2, 1, 3],
    })
  const causal = (): Node => {
    const i = node('reshape', [node('iota', [], { n: of(T), start: con(0) })], { shape: [of(T), con(1)] })
    const j = node('iota', [], { n: of(T), start: con(0) })
    return node('le', [j, i], {}, 'causal')
  }
  const ids = node('input', [], { name: 'ids', dtype: 'i32', shape: [of(B), of(T)] }, 'ids')
  const wte = param('wte.weight', vocab, d)
  const wpe = param('wpe.weight', ctx, d)
  const positions = node('slice', [wpe], { axis: 0, start: con(0), size: of(T) })
  let x = node('add', [node('gather', [wte, ids], { axis: 0, batch: 0 }), positions], {}, 'x')
  for (let i = 0; i < layers; i++) {
    scope = 'h.{i}.ln_1'
    const a = layernorm(x, prefix(i, 'ln_1'))
    scope = 'h.{i}.attn.c_attn'
    const qkv = linear(a, prefix(i, 'attn.c_attn'), d, 3 * d)
    scope = 'h.{i}.attn'
    const [q, k, v] = [0, 1, 2].map((n) => headsOf(node('slice', [qkv], { axis: 2, start: con(n * d), size: con(d) })))
    const o = node(
      'attention',
      [q, { ...k, origin: { ...k.origin, name: 'k' } }, { ...v, origin: { ...v.origin, name: 'v' } }, causal()],
      {},
      'o',
    )
    const merged = node('reshape', [node('permute', [o], { order: [0, 2, 1, 3] })], { shape: [of(B), of(T), con(d)] })
    scope = 'h.{i}.attn.c_proj'
    const attn = linear(merged, prefix(i, 'attn.c_proj'), d, d)
    scope = 'h.{i}'
    x = node('add', [x, attn], {}, 'x')
    scope = 'h.{i}.ln_2'
    const b = layernorm(x, prefix(i, 'ln_2'))
    scope = 'h.{i}.mlp.c_fc'
    const up = gelu(linear(b, prefix(i, 'mlp.c_fc'), d, 4 * d))
    scope = 'h.{i}.mlp.c_proj'
    const down = linear(up, prefix(i, 'mlp.c_proj'), 4 * d, d)
    scope = 'h.{i}'
    x = node('add', [x, down], {}, 'x')
  }
  scope = 'ln_f'
  const last = layernorm(x, 'ln_f')
  scope = ''
  const logits = node('matmul', [last, node('permute', [wte], { order: [1, 0] })], {}, 'logits')
  return {
    name: 'gpt2', inputs: [{ name: 'ids', node: ids }], params, outputs: [{ name: 'logits', node: logits }], entries: [],
    dims: [B, T], sequence: T, constraints: [{ k: 'le', a: of(T), b: con(ctx), span, text: 'T <= ctx' }],
    rules: { prefixes: [], ignore: [], rename: [] }, hyper: { vocab, ctx, d, heads, layers },
  } // prettier-ignore
}
