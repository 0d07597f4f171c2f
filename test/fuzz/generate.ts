/** Random models as text, from pieces that fit together by construction: what the compiler refuses is a fault. */
import * as elementwise from './elementwise.ts'
import type { Grammar, Piece } from './grammar.ts'
import { B, fits, input, rank, S, T, width } from './grammar.ts'
import * as layers from './layers.ts'
import type { Dims, Extent, Model, Statement, Var } from './model.ts'
import { fixed, mentions } from './model.ts'
import type { Random } from './random.ts'
import { hash, makeRandom } from './random.ts'
import * as sequences from './sequences.ts'
import * as shapes from './shapes.ts'

const pieces: readonly (readonly [number, Piece])[] = [
  [8, elementwise.unary],
  [9, elementwise.binary],
  [3, elementwise.crowd],
  [4, elementwise.affine],
  [5, elementwise.norm],
  [4, elementwise.statistics],
  [4, elementwise.softmax],
  [5, elementwise.reduce],
  [1.5, elementwise.argmax],
  [1.5, elementwise.compare],
  [1, elementwise.logic],
  [2.5, elementwise.masked],
  [1.5, elementwise.whole],
  [3, elementwise.ownBlock],
  [4, shapes.reshape],
  [3.5, shapes.permute],
  [2, shapes.units],
  [4, shapes.slice],
  [1, shapes.latest],
  [4, shapes.join],
  [2, shapes.moved],
  [3, shapes.lookUp],
  [0.7, shapes.oneHot],
  [3, shapes.comprehension],
  [4, shapes.product],
  [2, shapes.positions],
  [6, layers.linear],
  [3, layers.gated],
  [3, layers.attention],
  [8, layers.residual],
  [2.5, layers.layers],
  [0.8, layers.another],
  [3, sequences.recurrence],
  [2.5, sequences.convolution],
  [1, sequences.pool],
  [1.5, sequences.running],
  [1.5, sequences.order],
]

/** Dims of the calls: the one that sizes are chosen for, and another with shorter axes. */
function callsOf(r: Random): Dims[] {
  const first = { B: r.pick([1, 2, 3]), T: r.pick([1, 2, 3, 5, 7, 9, 13]), S: r.pick([1, 2, 4, 7]) }
  return [first, { B: r.pick([1, 2]), T: r.pick([1, 1, 2, 4]), S: r.pick([1, 3]) }]
}

function start(g: Grammar): void {
  const r = g.r
  const kind = (): 'normal' | 'large' | 'tiny' | 'repeated' =>
    r.weighted([
      [6, 'normal'],
      [1, 'large'],
      [1, 'tiny'],
      [1, 'repeated'],
    ])
  const shapesOf: readonly (readonly [number, readonly Extent[]])[] = [
    [g.causal ? 6 : 3, [B, T, fixed(width(g))]],
    [g.causal ? 0 : 1.5, [T, fixed(width(g))]],
    [g.causal ? 0 : 1, [B, fixed(width(g))]],
    [g.causal ? 0 : 1, [fixed(r.pick([3, 4, 6])), fixed(width(g))]],
    [g.causal ? 0 : 1, [B, fixed(r.pick([2, 3])), T, fixed(r.pick([1, 3, 4]))]],
    [g.causal ? 0 : 0.5, [fixed(width(g))]],
  ]
  const fitting = shapesOf.filter(([, shape]) => fits(g, shape))
  if (r.chance(0.75) || g.causal) input(g, r.weighted(fitting), { k: kind() })
  if (r.chance(g.causal ? 0.4 : 0.3) || g.vars.length === 0) {
    input(g, [B, T], { k: 'ids', below: r.pick([3, 5, 11]) })
    shapes.lookUp(g)
  }
  if (r.chance(0.25)) input(g, [B, T], { k: 'flags' })
  if (r.chance(0.25)) input(g, [B, S, fixed(width(g))], { k: 'normal' })
}

/** Results: what nothing reads, and some that others read too, inputs among them. */
function outputs(g: Grammar): Statement[] {
  const read = new Set(
    g.statements.flatMap((s) => [...mentions(s)].filter((n) => !s.defines.some((v) => v.name === n))),
  )
  const loose = g.vars.filter((v) => !read.has(v.name) && !isLeaf(g, v)).slice(-3)
  const others = g.vars.filter((v) => read.has(v.name) && (g.r.chance(0.1) || (isLeaf(g, v) && g.r.chance(0.05))))
  const chosen = loose.length > 0 ? [...loose, ...others.slice(-2)] : g.vars.slice(-1)
  return chosen.map((v, i) => ({ k: 'output', text: `output y${i} = ${v.name}`, defines: [] }))
}
const isLeaf = (g: Grammar, v: Var): boolean =>
  g.statements.some((s) => s.k === 'input' && s.defines.includes(v)) ||
  g.statements.some((s) => s.k === 'param' && s.defines.includes(v))

/** The model of a seed and index, of at most about `size` statements. */
export function generate(seed: number, index: number, size = 12): Model {
  const r = makeRandom(hash(`${seed}/${index}`))
  const sequence = r.chance(0.5)
  let next = 0
  const g: Grammar = {
    r, causal: sequence && r.chance(0.85), statements: [], vars: [], dims: callsOf(r),
    fresh: (prefix) => `${prefix}${next++}`,
  } // prettier-ignore
  start(g)
  const wanted = r.int(3, size)
  for (let tries = 0; tries < 200 && g.statements.length < wanted; tries++) r.weighted(pieces)(g)
  // Bools are results of nothing yet.
  const statements = [...g.statements, ...outputs(g)]
  return prune({ name: `m${seed}_${index}`, sequence, statements, calls: g.dims })
}

/** Without what no output needs, other than what binds a dim. */
export function prune(model: Model): Model {
  const all = model.statements
  const needed = new Set<string>()
  const kept: Statement[] = []
  for (const s of [...all].reverse()) {
    const names = [...s.defines.map((v) => v.name), ...(/^(?:block|share) (\w+)/.exec(s.text)?.slice(1) ?? [])]
    if (s.k !== 'output' && !names.some((n) => needed.has(n))) continue
    kept.unshift(s)
    for (const n of mentions(s)) needed.add(n)
  }
  const bound = (d: string): boolean =>
    kept.some((s) => s.k === 'input' && s.defines[0].shape.some((e) => e.text === d))
  const missing = ['B', 'T', 'S'].filter((d) => (needed.has(d) || (d === 'T' && model.sequence)) && !bound(d))
  const binders = missing.map((d): Statement => ({
    k: 'input',
    text: `input size${d}: f32[${d}]`,
    defines: [{ name: `size${d}`, dtype: 'f32', shape: [{ text: d, size: (dims) => dims[d] }], most: 1 }],
    draw: { k: 'zero' },
  }))
  return { ...model, statements: [...binders, ...kept] }
}
export { rank }
