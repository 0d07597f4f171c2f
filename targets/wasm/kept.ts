/**
 * Weights that stay in few bits in memory. They keep the order of the panels of 16 columns; `L` below is an element's place in that order.
 *
 * - `f16`, `bf16`: two bytes each, widened where they are loaded.
 * - `int8`, `int4`: in blocks of 32 rows of a panel, 512 numbers from a multiple of 512 on, each with a scale for every column. Rows are padded to
 *   whole blocks with zeros. Four rows of a column are two pairs, one in the low halves of two integers of 16 bits (of two bytes), the other in the
 *   high ones: (k/4, n, k%2, k/2%2). Levels have no sign: 128 (8) stands for 0. After the levels come 16 scales in f32: 576 bytes a block, or 320.
 */
import { offsetOf } from '../../src/kernel/address.ts'
import type { Buffer, KeptAs, Layout } from '../../src/kernel/buffer.ts'
import { newBuffer } from '../../src/kernel/buffer.ts'
import type { Expr, Lanes, Vector } from '../../src/kernel/expr.ts'
import { bin, cast, constant, index, load, local, newLocal, pairs, select, splat, vec } from '../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt, View } from '../../src/kernel/nest.ts'
import { loopSymbol, mapper, mapExprs, visitStmts, exprsOf, loadsOf } from '../../src/kernel/walk.ts'
import type { Ix, IxLike, Sym } from '../../src/types/ix.ts'
import { add, con, floorDiv, isConst, mod, mul, of, sub, sym, symbolsOf, valuesOf } from '../../src/types/ix.ts'

const PANEL = 16
export const BLOCK = 32
const NUMBERS = PANEL * BLOCK
/** Bytes of a block of 512 numbers. */
export const blockBytes = { int8: 576, int4: 320 } as const

export type Quantised = keyof typeof blockBytes
export const isQuantised = (kept: KeptAs | undefined): kept is Quantised => kept === 'int8' || kept === 'int4'

/** Bytes of `size` elements that are kept so. */
export const keptBytes = (kept: KeptAs, size: number): number =>
  isQuantised(kept) ? (size / NUMBERS) * blockBytes[kept] : 2 * size

/** The layout of a constant right operand [K, N] that is kept in fewer bits; undefined where K is too short for blocks. */
export function keptLayout(k: number, n: number, kept: KeptAs): Layout | undefined {
  if (isQuantised(kept) && k < BLOCK) return undefined
  const rows = isQuantised(kept) ? Math.ceil(k / BLOCK) * BLOCK : k
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  const offset = add(mul(floorDiv(b, PANEL), PANEL * rows), mul(a, PANEL), mod(b, PANEL))
  const size = Math.ceil(n / PANEL) * PANEL * rows
  return {
    name: `${kept} panels of ${PANEL}`,
    axes: [a, b],
    offset,
    size: con(size),
    kept: { as: kept, rows, bytes: keptBytes(kept, size) },
  }
}

/** A kept buffer as what its bytes are. */
export interface Looks {
  readonly views: readonly View[]
  /** Levels, one by one, as i32; of f16 and bf16 the numbers. */
  readonly single: Buffer
  /** Four rows of a column: two pairs. */
  readonly double: Buffer
  readonly scale: Buffer
}

export function looksAt(b: Buffer): Looks {
  const kept = b.layout!.kept!.as
  const size = isConst(b.layout!.size)!
  const view = (name: string, of: Buffer['of'], bytes: number, as?: Buffer['as']): Buffer =>
    newBuffer(name, of, 'global', [con(keptBytes(kept, size) / bytes)], undefined, as)
  const wide = isQuantised(kept) ? undefined : kept
  const single = view(b.name, wide ? 'f32' : 'i32', wide ? 2 : 1, wide ?? 'u8')
  const double = kept === 'int8' ? view(b.name, 'pair', 4) : view(b.name, 'pair', 2, 'u8x2')
  const scale = view(`${b.name}_scale`, 'f32', 4)
  const own = isQuantised(kept) ? [single, double, scale] : [single]
  return { views: own.map((buffer) => ({ buffer, of: b })), single, double, scale }
}

/** What stands for 0. */
export const zeroLevel = { int8: 128, int4: 8 } as const
/** The pair of rows k, k + 1 of four, and that of rows k + 2, k + 3. */
export const pairsOf = (kept: Quantised, stored: Expr): readonly [Expr, Expr] =>
  kept === 'int8' ? [pairs('low8', stored), pairs('high8', stored)] : [pairs('low4', stored), pairs('high4', stored)]
/** Where a block of levels and its scales begin, in elements of the looks. */
export const doubleAt = (kept: Quantised, block: Ix): Ix => mul(block, blockBytes[kept] / (kept === 'int8' ? 4 : 2))
export const scaleAt = (kept: Quantised, block: Ix): Ix => add(mul(block, blockBytes[kept] / 4), (blockBytes[kept] - 64) / 4) // prettier-ignore

/** The number at place `L`. */
function element(kept: KeptAs, { single, scale }: Looks, L: Ix): Expr {
  if (!isQuantised(kept)) return load(single, [L])
  const block = floorDiv(L, NUMBERS)
  const k = floorDiv(mod(L, NUMBERS), PANEL)
  const c = mod(L, PANEL)
  const factor = load(scale, [add(scaleAt(kept, block), c)])
  const [four, odd, high] = [floorDiv(k, 4), mod(k, 2), mod(floorDiv(k, 2), 2)]
  const first = mul(block, blockBytes[kept])
  const zero = constant(zeroLevel[kept], 'i32')
  const scaled = (level: Expr): Expr => bin('mul', cast('f32', bin('sub', level, zero)), factor)
  if (kept === 'int8') return scaled(load(single, [add(first, mul(64, four), mul(4, c), mul(2, odd), high)]))
  const byte = load(single, [add(first, mul(32, four), mul(2, c), odd)])
  const sixteen = constant(16, 'i32')
  const isHigh = bin('eq', index(high), index(con(1)))
  return scaled(select(isHigh, bin('floordiv', byte, sixteen), bin('mod', byte, sixteen)))
}

/** Loads of kept weights become loads of what there is, widened and scaled. */
export function widenKept(nest: NestKernel): NestKernel {
  const looks = new Map<Buffer, Looks>()
  for (const { buffer } of nest.args) if (buffer.layout?.kept) looks.set(buffer, looksAt(buffer))
  if (looks.size === 0) return nest
  const used = new Set<Buffer>()
  const widened = (b: Buffer, at: readonly Ix[], vector?: Vector): Expr | undefined => {
    const look = looks.get(b)
    if (look === undefined) return undefined
    used.add(b)
    const L = offsetOf(b, at)
    if (vector === undefined) return element(b.layout!.kept!.as, look, L)
    if (!isQuantised(b.layout!.kept!.as)) return load(look.single, [L], { lanes: vector.lanes, axis: 0 })
    return vec(Array.from({ length: vector.lanes }, (_, i) => element(b.layout!.kept!.as, look, add(L, i))))
  }
  const body = mapExprs(nest.body, mapper({ load: widened }))
  const views = [...(nest.views ?? []), ...[...used].flatMap((b) => looks.get(b)!.views)]
  return { ...nest, body, views }
}

const serial = (v: Sym, hi: IxLike, body: readonly Stmt[]): For => ({ k: 'for', v, lo: con(0), hi: of(hi), step: 1, kind: 'serial', body }) // prettier-ignore

/**
 * Each panel of quantised weights is widened once, into scratch, inside of the loop that chooses it, where there are rows enough to pay for it: what
 * follows reads floats. Other loads stay.
 */
export function stagePanels(nest: NestKernel): NestKernel {
  const views: View[] = []
  const inside = (body: readonly Stmt[], bound: ReadonlySet<Sym>, within: boolean): readonly Stmt[] =>
    body.map((s): Stmt => {
      if (s.k === 'if') return { ...s, body: inside(s.body, bound, within) }
      if (s.k !== 'for') return s
      const known = new Set([...bound, s.v])
      const shared = within || s.kind === 'thread'
      if (!shared) return { ...s, body: inside(s.body, known, false) }
      let here: readonly Stmt[] = s.body
      for (const { buf, panel, rows } of panelsOf(here, known)) {
        const scratch = newBuffer(`${buf.name}_panel`, 'f32', 'private', [con(rows * PANEL)])
        const first = mul(panel, rows * PANEL)
        const fromScratch = (b: Buffer, at: readonly Ix[], vector?: Vector): Expr | undefined => {
          if (b !== buf) return undefined
          const L = offsetOf(b, at)
          return floorDiv(L, rows * PANEL) === panel ? load(scratch, [sub(L, first)], vector && { ...vector, axis: 0 }) : undefined // prettier-ignore
        }
        const look = looksAt(buf)
        views.push(...look.views)
        const read = mapExprs(here, mapper({ load: fromScratch }))
        here = [
          { k: 'alloc', buf: scratch },
          ...filled(buf.layout!.kept!.as as Quantised, look, panel, rows, scratch),
          ...read,
        ]
      }
      return { ...s, body: inside(here, known, true) }
    })
  const body = inside(nest.body, new Set(nest.params), false)
  return views.length === 0 ? nest : { ...nest, body, views: [...(nest.views ?? []), ...views] }
}

/** Panels of quantised buffers that are read in loops inside `body`, where what chooses them is bound. */
function panelsOf(body: readonly Stmt[], bound: ReadonlySet<Sym>) {
  const found = new Map<string, { readonly buf: Buffer; readonly panel: Ix; readonly rows: number }>()
  visitStmts(body, (s) => {
    if (s.k !== 'for') return
    visitStmts(s.body, (t) => {
      for (const e of exprsOf(t))
        for (const l of loadsOf(e)) {
          if (!isQuantised(l.buf.layout?.kept?.as)) continue
          const { rows } = l.buf.layout!.kept!
          const panel = floorDiv(offsetOf(l.buf, l.at), rows * PANEL)
          if (valuesOf(panel).size > 0 || [...symbolsOf(panel)].some((v) => !bound.has(v))) continue
          found.set(`${l.buf.id}:${panel.id}`, { buf: l.buf, panel, rows })
        }
    })
  })
  return [...found.values()]
}

/** Widens a panel, four columns at a time. */
function filled(kept: Quantised, look: Looks, panel: Ix, rows: number, scratch: Buffer): readonly Stmt[] {
  const b = loopSymbol('block', rows / BLOCK)
  const block = add(mul(panel, rows / BLOCK), of(b))
  const four = { lanes: 4, axis: 0 } as const
  const columns = [0, 1, 2, 3]
  const scales = columns.map((i) => newLocal(`scale${i}`, 'f32', 4 as Lanes))
  const g = loopSymbol('g', BLOCK / 4)
  const zero = splat(constant(zeroLevel[kept], 'i32'), 4)
  const steps = columns.flatMap((i): Stmt[] => {
    const raw = newLocal('levels', 'pair', 4)
    const levels = pairsOf(kept, local(raw)).flatMap((x) => [pairs('even', x), pairs('odd', x)])
    return [
      { k: 'let', v: raw, e: load(look.double, [add(doubleAt(kept, block), mul(PANEL, of(g)), 4 * i)], four) },
      ...levels.map((q, j): Stmt => {
        const at = add(mul(NUMBERS, of(b)), mul(PANEL * 4, of(g)), PANEL * j + 4 * i)
        return {
          k: 'store',
          buf: scratch,
          at: [at],
          e: bin('mul', cast('f32', bin('sub', q, zero)), local(scales[i])),
          axis: 0,
        }
      }),
    ]
  })
  const lets = columns.map((i): Stmt => ({ k: 'let', v: scales[i], e: load(look.scale, [add(scaleAt(kept, block), 4 * i)], four) })) // prettier-ignore
  return [serial(b, rows / BLOCK, [...lets, serial(g, BLOCK / 4, steps)])]
}
