/**
 * The register tile of a contraction: `rows` by `columns` sums in locals, one loop over k, then the epilogue over the tile in plain loops.
 * A tile that hangs over the end reads its last row again (and the padding of packed columns), and its epilogue stops at the end:
 * one loop nest serves every size. Measured in docs/decisions/typescript-contraction.md.
 */
import { arrange, naiveNest } from '../../src/kernel/build.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import { newBuffer } from '../../src/kernel/buffer.ts'
import { offsetOf, storageOf } from '../../src/kernel/address.ts'
import { load, local, newLocal } from '../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt } from '../../src/kernel/nest.ts'
import { jam, reorder } from '../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import type { Contraction } from '../../src/kernel/structure.ts'
import { contractionOf } from '../../src/kernel/structure.ts'
import { extentOf, findLoop, loopSymbol, mapExprs, mapper, mapStmts } from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { add, con, isConst, min, mod, of, proveLe, range, sub, substitute, sym } from '../../src/types/ix.ts'

export interface Tile {
  readonly rows: number
  readonly columns: number
}

/** Undefined where the nest has another form: several results per point, conditions on the sum. */
export function tiledContraction(kernel: StageKernel, tile: Tile): NestKernel | undefined {
  const rows = arrange(kernel)
  const main = rows.stages.find((s) => s.stage.body.k === 'reduce')
  const c = main && contractionOf(main.stage)
  if (main === undefined || c === undefined || rows.stages.some((s) => s.inner.length > 0)) return undefined
  const loopOf = (v: Sym | undefined): Sym | undefined =>
    v === undefined ? undefined : rows.outer[main.rows.indexOf(v)]
  const n = loopOf(c.n.at(-1))
  const m = tile.rows > 1 ? loopOf(c.m.at(-1)) : undefined
  if (n === undefined) return undefined
  const nest = innermost(naiveNest(kernel), rows.outer, m === undefined ? [n] : [m, n])
  const inside = findLoop(nest.body, n).body
  const [start, sums, ...rest] = inside
  if (start?.k !== 'var' || sums?.k !== 'for' || sums.reduces !== true) return undefined

  const height = m === undefined ? 1 : tile.rows
  const cells = newBuffer(
    'tile',
    start.v.of,
    'private',
    m === undefined ? [con(tile.columns)] : [con(height), con(tile.columns)],
  )
  const edge = (v: Sym, size: number, padded: boolean): Block => blockOf(v, findLoop(nest.body, v), size, padded)
  const width = fits(c, tile.columns, n) ? tile.columns : 4
  const col = edge(n, width, fits(c, width, n))
  const row = m === undefined ? undefined : edge(m, tile.rows, false)
  const tiles: Buffer = width === tile.columns ? cells : { ...cells, shape: [...cells.shape.slice(0, -1), con(width)] }
  const at = (b: (x: Block) => Sym): Ix[] => [...(row ? [of(b(row))] : []), of(b(col))]

  const reading = mapper({ syms: new Map([[n, col.reading], ...(m && row ? [[m, row.reading] as const] : [])]) })
  const s = newLocal('s', start.v.of)
  const named: readonly Stmt[] = mapStmts(
    mapExprs([start, sums], mapper({ locals: new Map([[start.v, local(s)]]) })),
    (x) => (x.k === 'var' || x.k === 'assign' ? [{ ...x, v: s }] : [x]),
  )
  const sum: Stmt[] = [...mapExprs(named, reading), { k: 'store', buf: tiles, at: at((b) => b.inner), e: local(s) }]
  const writing = mapper({
    syms: new Map([[n, col.writing], ...(m && row ? [[m, row.writing] as const] : [])]),
    locals: new Map([
      [
        start.v,
        load(
          tiles,
          at((b) => b.again),
        ),
      ],
    ]),
  })
  const serial = (v: Sym, lo: Ix, hi: Ix, step: number, body: readonly Stmt[]): For => ({
    k: 'for',
    v,
    lo,
    hi,
    step,
    kind: 'serial',
    body,
  })
  const loops = (inner: (b: Block) => Sym, end: (b: Block) => Ix, body: readonly Stmt[]): readonly Stmt[] => {
    const columns = serial(inner(col), con(0), end(col), 1, body)
    return [row ? serial(inner(row), con(0), end(row), 1, [columns]) : columns]
  }
  const block: Stmt[] = [
    ...loops((b) => b.inner, (b) => con(b.size), sum),
    ...loops((b) => b.again, (b) => b.valid, mapExprs(rest, writing)),
  ] // prettier-ignore
  const columns = serial(col.outer, con(0), col.extent, width, block)
  const tiledBody = row ? serial(row.outer, con(0), row.extent, height, [columns]) : columns
  const target = m ?? n
  const body = mapStmts(nest.body, (s) => (s.k === 'for' && s.v === target ? [tiledBody] : [s]))
  let made: NestKernel = { ...nest, body: [{ k: 'alloc', buf: tiles }, ...body] }
  if (row) made = jam(made, row.inner)
  return jam(made, col.inner)
}

interface Block {
  readonly size: number
  readonly extent: Ix
  readonly outer: Sym
  /** Within the block: of the sums, and of the epilogue. */
  readonly inner: Sym
  readonly again: Sym
  /** The index that is read, in the sums; the one that is written. */
  readonly reading: Ix
  readonly writing: Ix
  /** How many of a block are within the extent. */
  readonly valid: Ix
}
function blockOf(v: Sym, loop: For, size: number, padded: boolean): Block {
  const extent = loop.hi
  const exact = mod(extent, size) === con(0)
  const outer = sym(v.name, { lo: 0, hi: sub(extent, exact ? size : 1), role: 'loop', multipleOf: size })
  const inner = loopSymbol(`${v.name}_`, size)
  const valid = exact ? con(size) : min(size, sub(extent, outer))
  const again = sym(`${v.name}1`, { lo: 0, hi: sub(valid, 1), role: 'loop' })
  const at = add(outer, inner)
  return {
    size,
    extent,
    outer,
    inner,
    again,
    reading: exact || padded ? at : min(at, sub(extent, 1)),
    writing: add(outer, again),
    valid,
  }
}

/** Whether columns beyond the end, up to a multiple of `size`, still lie in the storage of the packed operand. */
function fits(c: Contraction, size: number, n: Sym): boolean {
  const extent = extentOf(n)
  if (mod(extent, size) === con(0)) return true
  const count = isConst(extent)
  if (count === undefined || c.b.buf.layout === undefined) return false
  const last = con(Math.ceil(count / size) * size - 1)
  const column = c.n.at(-1)!
  const at = c.b.at.map((x) => substitute(x, new Map([[column, last]])))
  return proveLe(offsetOf(c.b.buf, at), sub(storageOf(c.b.buf), 1)) && range(offsetOf(c.b.buf, at)).lo >= 0
}

/** Moves loops inwards, so that the given ones are the innermost, in this order. */
export function innermost(nest: NestKernel, outer: readonly Sym[], last: readonly Sym[]): NestKernel {
  const order = [...outer]
  let out = nest
  for (const v of last) {
    for (let i = order.indexOf(v); i < order.length - 1; i++) {
      out = reorder(out, v, order[i + 1])
      ;[order[i], order[i + 1]] = [order[i + 1], order[i]]
    }
  }
  return out
}
