/** What stages and kernels are, read off their structure. Recipes and fusion laws look here, never at op names. */
import type { Sym } from '../types/ix.ts'
import { arrange } from './build.ts'
import type { Expr } from './expr.ts'
import type { Rows } from './rows.ts'
import type { Body, Stage, StageKernel } from './stage.ts'
import { isUnit, symbolsOfExpr } from './walk.ts'

export type LoadExpr = Expr & { readonly k: 'load' }
type Reduce = Body & { readonly k: 'reduce' }

/** A sum of products: out[batch, m, n] = sum over k of a[batch, m, k] * b[batch, k, n] * scale. */
export interface Contraction {
  readonly stage: Stage
  /** Domain symbols in both operands, in one, in the other. `m` is empty for a matrix-vector product; axes of one element are left out. */
  readonly batch: readonly Sym[]
  readonly m: readonly Sym[]
  readonly n: readonly Sym[]
  /** The symbols summed over. */
  readonly sum: readonly Sym[]
  readonly a: LoadExpr
  readonly b: LoadExpr
  /** Factors that no reduction axis occurs in. */
  readonly scale: readonly Expr[]
}

export type Structure =
  /** Row symbols are those of the naive nest's outer loops. */
  | { readonly k: 'map'; readonly rows: Rows }
  | { readonly k: 'rows'; readonly rows: Rows }
  | ({ readonly k: 'contraction'; readonly epilogue: readonly Stage[] } & Contraction)
  | {
      readonly k: 'carried'
      readonly stage: Stage
      readonly rows: readonly Sym[]
      readonly columns: readonly Sym[]
      readonly axis: Sym
    }

/** Whether a stage is a contraction whose operands each have a domain symbol that the other lacks. */
export function isContraction(stage: Stage): boolean {
  const c = contractionOf(stage)
  return c !== undefined && c.m.length > 0 && c.n.length > 0
}

function factorsOf(e: Expr): readonly Expr[] {
  return e.k === 'bin' && e.f === 'mul' ? [...factorsOf(e.a), ...factorsOf(e.b)] : [e]
}
const bare = (e: Expr): Expr => (e.k === 'cast' ? bare(e.x) : e)

/** The parts of a contraction, where one operand (`b`) has a domain symbol that the other lacks; the other may have none of its own. */
export function contractionOf(stage: Stage): Contraction | undefined {
  if (stage.body.k !== 'reduce' || stage.body.fold !== 'add') return undefined
  const body: Reduce = stage.body
  const over = (e: Expr): readonly Sym[] => body.axes.filter((k) => symbolsOfExpr(e).has(k))
  const factors = factorsOf(body.e)
  const varying = factors.filter((f) => over(f).length > 0).map(bare)
  if (varying.length !== 2) return undefined
  const [x, y] = varying
  if (x.k !== 'load' || y.k !== 'load' || !over(x).some((k) => over(y).includes(k))) return undefined
  const domain = stage.domain.filter((s) => !isUnit(s))
  const only = (p: Expr, q: Expr): readonly Sym[] =>
    domain.filter((s) => symbolsOfExpr(p).has(s) && !symbolsOfExpr(q).has(s))
  const ofX = only(x, y)
  const ofY = only(y, x)
  if (ofX.length + ofY.length === 0) return undefined
  // The operand with the innermost symbol of the domain gives the columns.
  const last = (syms: readonly Sym[]): number => Math.max(-1, ...syms.map((s) => domain.indexOf(s)))
  const swap = last(ofX) > last(ofY)
  const [a, b, m, n] = swap ? [y, x, ofY, ofX] : [x, y, ofX, ofY]
  const batch = domain.filter((s) => !m.includes(s) && !n.includes(s))
  return { stage, batch, m, n, sum: body.axes, a, b, scale: factors.filter((f) => over(f).length === 0) }
}

/** The structure that a recipe is chosen by. */
export function structureOf(kernel: StageKernel): Structure {
  const carried = kernel.stages.find((s) => s.body.k === 'carried')
  if (carried?.body.k === 'carried') {
    const { columns, axis } = carried.body
    return { k: 'carried', stage: carried, rows: carried.domain.filter((s) => !columns.includes(s)), columns, axis }
  }
  const reduces = kernel.stages.filter((s) => s.body.k === 'reduce')
  if (reduces.length === 0) return { k: 'map', rows: arrange(kernel) }
  const contraction = reduces.length === 1 ? contractionOf(reduces[0]) : undefined
  if (contraction !== undefined) {
    const at = kernel.stages.indexOf(contraction.stage)
    return { k: 'contraction', ...contraction, epilogue: kernel.stages.slice(at + 1) }
  }
  return { k: 'rows', rows: arrange(kernel) }
}
