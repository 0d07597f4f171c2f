/**
 * Contractions of row-major operands as one program over named sizes: a[M, K] and b[K, N] instead of the model's own shapes. Kernels that
 * differ in their sizes and results only then have the same text but for two constants, and a module prints it once.
 */
import { offsetOf } from '../../../src/kernel/address.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { load } from '../../../src/kernel/expr.ts'
import { exprsOfStage } from '../../../src/kernel/rows.ts'
import type { KernelArg, Stage } from '../../../src/kernel/stage.ts'
import { extentOf, loadsOf } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, isConst, mul, of, sym } from '../../../src/types/ix.ts'
import { linearise } from '../../../src/types/shape.ts'
import { COLUMNS, namedLayout, rowsTogether } from '../kept.ts'
import type { Product } from './contraction.ts'
import { SIDE } from './contraction.ts'

export interface Generic {
  readonly product: Product
  /** The values of the sizes. */
  readonly constants: ReadonlyMap<Sym, number>
}

/** Undefined where an operand is no plain matrix, or is read elsewhere too. */
export function generic(p: Product, epilogue: readonly Stage[]): Generic | undefined {
  const { a, b, m, n, sum, batch } = p.c
  const [K, N] = [isConst(p.depth.count), isConst(p.columns.count)]
  const others = epilogue.flatMap(exprsOfStage).flatMap(loadsOf)
  if (batch.length > 0 || sum.length !== 1 || K === undefined || N === undefined || a.buf === b.buf) return undefined
  if (others.some((l) => l.buf === a.buf || l.buf === b.buf) || a.buf.of !== b.buf.of) return undefined
  const flat = (axes: readonly Sym[]): Ix => linearise(axes.map(of), axes.map(extentOf))
  const k = of(sum[0])
  if (offsetOf(a.buf, a.at) !== add(mul(flat(m), K), k) || offsetOf(b.buf, b.at) !== add(mul(k, N), flat(n)))
    return undefined
  // What is kept in fewer bits is addressed by its words: whole ones only, and blocks.
  const kept = b.buf.layout?.kept
  if (a.buf.layout?.kept || (kept && kept.rows !== K)) return undefined
  const depth = sym('K', { lo: 1, role: 'param', multipleOf: kept ? rowsTogether(kept.as) : K % SIDE === 0 ? SIDE : 1 })
  const columns = sym('N', { lo: 1, role: 'param', multipleOf: kept ? COLUMNS : 1 })
  const left = newBuffer('a', a.buf.of, 'global', [p.rows.count, of(depth)])
  const right = newBuffer('b', b.buf.of, 'global', [of(depth), of(columns)], kept && namedLayout(depth, columns, kept))
  const stand = new Map<Buffer, Buffer>([[a.buf, left], [b.buf, right]]) // prettier-ignore
  const args = p.kernel.args.map((x): KernelArg => ({ ...x, buffer: stand.get(x.buffer) ?? x.buffer }))
  return {
    product: {
      ...p,
      kernel: { ...p.kernel, args, params: [...p.kernel.params, depth, columns] },
      c: { ...p.c, a: load(left, [flat(m), k]) as typeof a, b: load(right, [k, flat(n)]) as typeof b },
      columns: { ...p.columns, count: of(columns) },
      depth: { ...p.depth, count: of(depth) },
    },
    constants: new Map([[depth, K], [columns, N]]),
  } // prettier-ignore
}
