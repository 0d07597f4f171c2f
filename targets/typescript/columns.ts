/**
 * A contraction over a constant number of products: columns of one operand and a row of the other are copied to float64 scratch of constant
 * size, four sums in locals run over it, and the epilogue is a plain loop over those. V8 knows where such scratch lies and how long it is:
 * what is left in the inner loop are loads, products and sums. Measured in docs/decisions/0004-typescript-register-tile.md.
 */
import { arrange, loop, naiveNest } from '../../src/kernel/build.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import { newBuffer } from '../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../src/kernel/expr.ts'
import { bin, constant, load, local, newLocal } from '../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt } from '../../src/kernel/nest.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { contractionOf } from '../../src/kernel/structure.ts'
import {
  extentOf,
  findLoop,
  loadsOf,
  localsOf,
  loopSymbol,
  mapExprs,
  mapper,
  mapStmts,
  symbolsOfExpr,
  symbolsOfIx,
} from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { add, con, isConst, min, mod, of, proveLe, range, sub, sym } from '../../src/types/ix.ts'
import { linearise } from '../../src/types/shape.ts'
import { innermost } from './contraction.ts'

/** Sums in locals: with more, V8 runs out of registers, and a sum that goes through memory costs twelve cycles. */
export const tileColumns = 4
/** Elements of the columns that are held at once: 384 KiB, for a second-level cache. */
const held = 49152

/** The sum of a naive nest: the loops over the products (outermost first), a condition on them, what is added up. */
interface Sum {
  readonly acc: Local
  readonly loops: readonly For[]
  readonly condition: Expr | undefined
  readonly factors: readonly Expr[]
}
function sumOf([start, first]: readonly Stmt[]): Sum | undefined {
  if (start?.k !== 'var' || start.e.k !== 'const' || start.e.value !== 0 || first === undefined) return undefined
  const loops: For[] = []
  let inside: readonly Stmt[] = [first]
  for (let s = inside[0]; inside.length === 1 && s.k === 'for'; s = inside[0]) {
    loops.push(s)
    inside = s.body
  }
  const guard = inside.length === 1 && inside[0].k === 'if' ? inside[0] : undefined
  const [sum, ...more] = guard?.body ?? inside
  if (loops.length === 0 || more.length > 0 || sum?.k !== 'assign' || sum.v !== start.v || sum.e.k !== 'bin')
    return undefined
  const { f, a, b } = sum.e
  if (f !== 'add' || a.k !== 'local' || a.v !== start.v || localsOf(b).size > 0) return undefined
  return { acc: start.v, loops, condition: guard?.c, factors: factorsOf(b) }
}
const factorsOf = (e: Expr): readonly Expr[] =>
  e.k === 'bin' && e.f === 'mul' ? [...factorsOf(e.a), ...factorsOf(e.b)] : [e]

/** Undefined where the nest has another form: a sum over a number of products that is not constant, several results per point. */
export function columnContraction(kernel: StageKernel): NestKernel | undefined {
  const rows = arrange(kernel)
  const main = rows.stages.find((s) => s.stage.body.k === 'reduce')
  const c = main && contractionOf(main.stage)
  if (main === undefined || c === undefined || rows.stages.some((s) => s.inner.length > 0)) return undefined
  const loopOf = (v: Sym | undefined): Sym | undefined => (v === undefined ? v : rows.outer[main.rows.indexOf(v)])
  const n = loopOf(c.n.at(-1))
  const ms = c.m.map(loopOf).filter((v) => v !== undefined)
  if (n === undefined || ms.length < c.m.length) return undefined
  const nest = innermost(naiveNest(kernel), rows.outer, [...ms, n])
  const columnLoop = findLoop(nest.body, n)
  const sum = sumOf(columnLoop.body)
  const extents = sum?.loops.map((s) => extentOf(s.v)) ?? []
  const K = extents.reduce((k, x) => k * (isConst(x) ?? NaN), 1)
  if (sum === undefined || Number.isNaN(K)) return undefined

  const axes = sum.loops.map((s) => s.v)
  const varying = sum.factors.filter((e) => axes.some((k) => symbolsOfExpr(e).has(k)))
  const column = varying.find((e) => symbolsOfExpr(e).has(n))
  const row = varying.find((e) => e !== column)
  const condition = [
    ...sum.loops.flatMap((s) => [...symbolsOfIx(s.lo), ...symbolsOfIx(s.hi)]),
    ...(sum.condition ? symbolsOfExpr(sum.condition) : []),
  ]
  if (
    column === undefined ||
    row === undefined ||
    varying.length !== 2 ||
    symbolsOfExpr(row).has(n) ||
    ms.some((m) => symbolsOfExpr(column).has(m)) ||
    condition.includes(n) ||
    !inRange(column)
  )
    return undefined

  const width = tileColumns
  const count = columnLoop.hi
  const fixed = isConst(count)
  const most = width * Math.max(1, Math.floor(held / (width * K)))
  const block = fixed === undefined ? most : Math.min(most, width * Math.ceil(fixed / width))
  const whole = fixed !== undefined && fixed <= block
  const of32 = sum.acc.of
  const columns = newBuffer('columns', of32, 'private', [con(block), con(K)])
  const scratch = newBuffer('row', of32, 'private', [con(K)])
  const tile = newBuffer('tile', of32, 'private', [con(width)])

  const first = sym(n.name, { lo: 0, hi: sub(count, 1), role: 'loop', multipleOf: block })
  const begin = whole ? con(0) : of(first)
  const valid = whole || (fixed ?? NaN) % block === 0 ? con(whole ? fixed : block) : min(block, sub(count, begin))
  /** The loops over the products, with symbols of their own, around a copy of one operand. */
  const copying = (e: Expr, to: Buffer, at: readonly Ix[], within: boolean): readonly Stmt[] => {
    const own = axes.map((v, i) => loopSymbol(v.name, extents[i]))
    const m = mapper({ syms: new Map(axes.map((v, i) => [v, of(own[i])])) })
    const store: Stmt = { k: 'store', buf: to, at: [...at, linearise(own.map(of), extents)], e: m.expr(e) }
    const inner: readonly Stmt[] =
      within && sum.condition ? [{ k: 'if', c: m.expr(sum.condition), body: [store] }] : [store]
    return own.reduceRight((body, v, i): readonly Stmt[] => {
      const { lo, hi } = sum.loops[i]
      return [within ? loop(v, m.ix(lo), m.ix(hi), body) : loop(v, con(0), extents[i], body)]
    }, inner)
  }
  const partial = sum.condition !== undefined || sum.loops.some((s, i) => isConst(s.lo) !== 0 || s.hi !== extents[i])
  const filled = loopSymbol('k', K)
  const zero: readonly Stmt[] = partial
    ? [loop(filled, con(0), con(K), [{ k: 'store', buf: scratch, at: [of(filled)], e: constant(0, of32) }])]
    : []

  const held0 = sym(`${n.name}0`, { lo: 0, hi: sub(valid, 1), role: 'loop' })
  const copied = mapper({ syms: new Map([[n, add(begin, of(held0))]]) })
  const first4 = sym(`${n.name}1`, { lo: 0, hi: con(block - width), role: 'loop', multipleOf: width })
  const k = loopSymbol('k', K)
  const sums = Array.from({ length: width }, () => newLocal('s', of32))
  const x = newLocal('x', of32)
  const inTile = mod(valid, width) === con(0) ? con(width) : min(width, sub(valid, of(first4)))
  const again = sym(`${n.name}2`, { lo: 0, hi: con(width - 1), role: 'loop' })
  const scale = sum.factors.filter((e) => !varying.includes(e))
  const rest = mapExprs(
    columnLoop.body.slice(2),
    mapper({
      syms: new Map([[n, add(begin, of(first4), of(again))]]),
      locals: new Map([[sum.acc, scale.reduce((e, f) => bin('mul', e, f), load(tile, [of(again)]))]]),
    }),
  )
  const tiles: Stmt = {
    ...loop(first4, con(0), valid, [
      ...sums.map((v): Stmt => ({ k: 'var', v, e: constant(0, of32) })),
      loop(k, con(0), con(K), [
        { k: 'let', v: x, e: load(scratch, [of(k)]) },
        ...sums.map((v, i): Stmt => {
          const w = load(columns, [add(of(first4), i), of(k)])
          return { k: 'assign', v, e: bin('add', local(v), bin('mul', w, local(x))) }
        }),
      ], true),
      ...sums.map((v, i): Stmt => ({ k: 'store', buf: tile, at: [con(i)], e: local(v) })),
      loop(again, con(0), inTile, rest),
    ]),
    step: width,
  } // prettier-ignore
  const around = (v: Sym, body: readonly Stmt[]): readonly Stmt[] => [{ ...findLoop(nest.body, v), body }]
  const inside = ms.reduceRight<readonly Stmt[]>(
    (body, v) => around(v, body),
    [...zero, ...copying(row, scratch, [], true), tiles],
  )
  const blocked = [
    loop(held0, con(0), valid, mapExprs(copying(column, columns, [of(held0)], false), copied)),
    ...inside,
  ]
  const made: readonly Stmt[] = whole ? blocked : [{ ...loop(first, con(0), count, blocked), step: block }]
  const target = ms[0] ?? n
  const body = mapStmts(nest.body, (s) => (s.k === 'for' && s.v === target ? made : [s]))
  const allocated = [columns, scratch, tile].map((buf): Stmt => ({ k: 'alloc', buf }))
  return { ...nest, body: [...allocated, ...body] }
}

/** Whether loads are within their buffers wherever the loops go, also where a condition leaves elements out. */
const inRange = (e: Expr): boolean =>
  loadsOf(e).every((l) => l.at.every((x, i) => range(x).lo >= 0 && proveLe(x, sub(l.buf.shape[i], 1))))
