/**
 * Contractions of row-major operands as one program over named sizes: a[M, K] and b[K, N], or b[N, K], instead of the model's own shapes. Kernels that
 * differ in their sizes and results only then have the same text but for two constants, and a module prints it once.
 */
import { offsetOf } from '../../../src/kernel/address.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { mapStage } from '../../../src/kernel/inline.ts'
import type { Split } from '../../../src/kernel/prologue.ts'
import { load } from '../../../src/kernel/expr.ts'
import { exprsOfStage } from '../../../src/kernel/rows.ts'
import type { KernelArg, Stage, StageKernel } from '../../../src/kernel/stage.ts'
import { extentOf, loadsOf, mapper } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, isConst, mul, of, sym } from '../../../src/types/ix.ts'
import { linearise } from '../../../src/types/shape.ts'
import { COLUMNS, namedLayout, rowsTogether } from '../kept.ts'
import type { Product } from './contraction.ts'

export interface Generic {
  readonly product: Product
  /** The prologue with buffers of the same names. */
  readonly split?: Split
  /** The values of the sizes. */
  readonly constants: ReadonlyMap<Sym, number>
  /** Whether b is [N, K]. */
  readonly turned: boolean
}

/** Undefined where an operand is no plain matrix, or is read elsewhere too. The left one is no argument where the kernel makes it itself. */
export function generic(p: Product, epilogue: readonly Stage[], split?: Split): Generic | undefined {
  const { a, b, m, n, sum, batch } = p.c
  const [K, N] = [isConst(p.depth.count), isConst(p.columns.count)]
  const others = epilogue.flatMap(exprsOfStage).flatMap(loadsOf)
  if (batch.length > 0 || sum.length !== 1 || K === undefined || N === undefined || a.buf === b.buf) return undefined
  if (others.some((l) => l.buf === a.buf || l.buf === b.buf) || a.buf.of !== b.buf.of) return undefined
  const flat = (axes: readonly Sym[]): Ix => linearise(axes.map(of), axes.map(extentOf))
  const k = of(sum[0])
  if (split === undefined && offsetOf(a.buf, a.at) !== add(mul(flat(m), K), k)) return undefined
  const place = offsetOf(b.buf, b.at)
  const turned = place !== add(mul(k, N), flat(n))
  if (turned && place !== add(mul(flat(n), K), k)) return undefined
  // What is kept in fewer bits is addressed by its words: whole ones only, and blocks.
  const kept = b.buf.layout?.kept
  if (a.buf.layout?.kept || (kept && (turned || kept.rows !== K))) return undefined
  const deep = [32, 16].find((n) => K % n === 0 && (kept || n === 16)) ?? 1
  const depth = sizeOf('K', K, Math.max(deep, kept ? rowsTogether(kept.as) : 1))
  const columns = sizeOf('N', N, kept ? COLUMNS : 1)
  const left = newBuffer('a', a.buf.of, 'global', [p.rows.count, depth.count])
  const layout = kept && namedLayout(depth.count, columns.count, kept)
  const across = <X>(k: X, n: X): readonly [X, X] => (turned ? [n, k] : [k, n])
  const right = newBuffer('b', b.buf.of, 'global', across(depth.count, columns.count), layout)
  const stand = new Map<Buffer, Buffer>([[b.buf, right], ...(split ? standIns(split) : [[a.buf, left] as const])])
  const renamed = mapper({ load: (b, at, v) => (stand.has(b) ? load(stand.get(b)!, at, v) : undefined) })
  const args = p.kernel.args.map((x): KernelArg => ({ ...x, buffer: stand.get(x.buffer) ?? x.buffer }))
  return {
    product: {
      ...p,
      kernel: { ...p.kernel, args, params: [...p.kernel.params, depth.v, columns.v] },
      c: { ...p.c, a: split ? a : (load(left, [flat(m), k]) as typeof a), b: load(right, across(k, flat(n))) as typeof b },
      columns: { ...p.columns, count: columns.count },
      depth: { ...p.depth, count: depth.count },
    },
    constants: new Map([[depth.v, depth.value], [columns.v, columns.value]]),
    turned,
    ...(split ? { split: { ...split, rows: { ...split.rows, stages: split.rows.stages.map((s) => mapStage(s, renamed)) } } } : {}),
  } // prettier-ignore
}

/** Buffers in the place of those that only the rows read: x1, x2, … */
function standIns({ rows, rest }: Split): (readonly [Buffer, Buffer])[] {
  const read = (k: StageKernel): Set<Buffer> =>
    new Set(k.stages.flatMap(exprsOfStage).flatMap(loadsOf).map((l) => l.buf)) // prettier-ignore
  const [own, others] = [read(rows), read(rest)]
  return rows.args
    .filter(({ buffer }) => own.has(buffer) && !others.has(buffer))
    .map(({ buffer: b }, i) => [b, newBuffer(`x${i + 1}`, b.of, 'global', b.shape, b.layout)])
}

/** A size by name, of which it is known that it is a multiple. Counted in vectors of four where it is made of them: `K4` of 4 numbers each. */
function sizeOf(
  name: string,
  size: number,
  multiple: number,
): { readonly v: Sym; readonly value: number; readonly count: Ix } {
  const per = size % 4 === 0 ? 4 : 1
  const v = sym(per === 4 ? `${name}4` : name, { lo: 1, role: 'param', multipleOf: Math.max(1, multiple / per) })
  return { v, value: size / per, count: mul(per, v) }
}
