/** Unrolling, and unroll-and-jam. */
import type { Ix, Sym } from '../../types/ix.ts'
import { add, isConst } from '../../types/ix.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import type { Copier } from '../walk.ts'
import { copier, tripCount } from '../walk.ts'
import { IllegalSchedule, replaceLoop, requireIndependent } from './edit.ts'

/** One copier per iteration, with the loop symbol replaced by its value. */
function copiers(rewrite: string, loop: For): readonly Copier[] {
  const n = tripCount(loop)
  if (n === undefined) throw new IllegalSchedule(rewrite, `the extent of ${loop.v.name} is not constant`)
  return Array.from({ length: n }, (_, i) => {
    const value: Ix = add(loop.lo, i * loop.step)
    return copier(new Map([[loop.v, value]]), (name) => (n === 1 ? name : `${name}_${isConst(value) ?? i}`))
  })
}

/** The iterations one after another, each with its own locals and private buffers. Legal for every loop of constant extent. */
export function unroll(nest: NestKernel, v: Sym): NestKernel {
  return replaceLoop(nest, v, (loop) => copiers('unroll', loop).flatMap((c) => loop.body.map(c.stmt)))
}

/**
 * Unroll-and-jam: the iterations side by side; loops inside whose bounds agree are fused into one. This is the register tile. Legal for
 * independent iterations.
 */
export function jam(nest: NestKernel, v: Sym): NestKernel {
  return replaceLoop(nest, v, jamLoop)
}

/** `jam` of a loop, in place. */
export function jamLoop(loop: For): readonly Stmt[] {
  requireIndependent('jam', loop)
  return jamBody(loop.body, copiers('jam', loop))
}

function jamBody(body: readonly Stmt[], copies: readonly Copier[]): readonly Stmt[] {
  const same = <T>(f: (c: Copier) => T): boolean => copies.every((c) => f(c) === f(copies[0]))
  return body.flatMap((s): readonly Stmt[] => {
    if (s.k === 'for' && same((c) => c.ix(s.lo)) && same((c) => c.ix(s.hi))) {
      return [{ ...s, lo: copies[0].ix(s.lo), hi: copies[0].ix(s.hi), body: jamBody(s.body, copies) }]
    }
    if (s.k === 'if' && same((c) => c.expr(s.c)))
      return [{ ...s, c: copies[0].expr(s.c), body: jamBody(s.body, copies) }]
    if (s.k === 'barrier' || s.k === 'comment') return [s]
    return copies.map((c) => c.stmt(s))
  })
}
