/** A costly value that two passes over a row compute is kept, in the first, where the second will put its result. */
import type { Ix } from '../../types/ix.ts'
import { of } from '../../types/ix.ts'
import type { Expr } from '../expr.ts'
import { load, local, newLocal, rewrite } from '../expr.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import {
  effectsOf,
  exprsOf,
  loadsOf,
  localsOf,
  mapper,
  substituteExpr,
  symbolsOfExpr,
  visitExpr,
  visitStmts,
} from '../walk.ts'
import { costOfExpr } from './cost.ts'
import { mapBlocks, outerAssigns } from './edit.ts'

/** Operations that are worth a store and a load. */
const worth = 6

/**
 * Of two loops of a block over the same range, where the second stores f(e(v)) and the first also computes e: the first stores e, the second
 * reads it back. Legal if nothing else touches what is stored there, and e is the same in both.
 */
export function reuse(nest: NestKernel): NestKernel {
  const results = new Set(nest.args.filter((a) => a.access === 'write').map((a) => a.buffer))
  const used = new Map<object, number>()
  const note = (b: object): void => void used.set(b, (used.get(b) ?? 0) + 1)
  visitStmts(nest.body, (s) => {
    exprsOf(s).forEach((e) => loadsOf(e).forEach((l) => note(l.buf)))
    if (s.k === 'store') note(s.buf)
  })
  const body = mapBlocks(nest.body, (block) => {
    for (const [j, b] of block.entries()) {
      if (b.k !== 'for' || b.reduces || b.step !== 1) continue
      const stores = b.body.filter((s): s is Stmt & { k: 'store' } => s.k === 'store')
      const [target] = stores
      if (b.body.length !== 1 || stores.length !== 1 || !results.has(target.buf) || used.get(target.buf) !== 1) continue
      for (const [i, a] of block.slice(0, j).entries()) {
        if (a.k !== 'for' || a.lo !== b.lo || a.hi !== b.hi || a.step !== b.step || a.kind !== b.kind) continue
        const e = shared(a, b, target, block.slice(i + 1, j))
        if (e === undefined) continue
        return [...block.slice(0, i), keeping(a, e, target, b), ...block.slice(i + 1, j), reading(b, e, target), ...block.slice(j + 1)] // prettier-ignore
      }
    }
    return block
  })
  return { ...nest, body }
}

/** The largest costly part of what is stored that the first loop computes too. */
function shared(a: For, b: For, target: Stmt & { k: 'store' }, between: readonly Stmt[]): Expr | undefined {
  const inFirst = new Set<Expr>()
  for (const s of a.body) {
    if (s.k === 'for' || s.k === 'if') return undefined
    exprsOf(s).forEach((e) => visitExpr(substituteExpr(e, new Map([[a.v, of(b.v)]])), (x) => inFirst.add(x)))
  }
  const [first, middle] = [effectsOf(a.body), effectsOf(between)]
  const assigned = new Set([...outerAssigns(a.body), ...middle.assigns])
  const own = new Set(a.body.flatMap((s) => (s.k === 'let' || s.k === 'var' ? [s.v] : [])))
  let found: Expr | undefined
  visitExpr(target.e, (e) => {
    if (found !== undefined && costOfExpr(found) >= costOfExpr(e)) return
    if (e.of !== target.buf.of || !symbolsOfExpr(e).has(b.v) || costOfExpr(e) < worth || !inFirst.has(e)) return
    if ([...localsOf(e)].some((v) => assigned.has(v) || own.has(v))) return
    if (loadsOf(e).some((l) => first.writes.has(l.buf) || middle.writes.has(l.buf))) return
    found = e
  })
  return found
}

const replaced = (e: Expr, part: Expr, by: Expr): Expr => rewrite(e, (x) => (x === part ? by : x))

function keeping(a: For, e: Expr, target: Stmt & { k: 'store' }, b: For): For {
  const back = mapper({ syms: new Map([[b.v, of(a.v)]]) })
  const value = back.expr(e)
  const v = newLocal(target.buf.name, e.of)
  const at: readonly Ix[] = target.at.map(back.ix)
  const rest = a.body.map((s): Stmt => ('e' in s ? { ...s, e: replaced(s.e, value, local(v)) } : s))
  return { ...a, body: [{ k: 'let', v, e: value }, { k: 'store', buf: target.buf, at, e: local(v) }, ...rest] }
}
const reading = (b: For, e: Expr, target: Stmt & { k: 'store' }): For => ({
  ...b,
  body: [{ ...target, e: replaced(target.e, e, load(target.buf, target.at)) }],
})
