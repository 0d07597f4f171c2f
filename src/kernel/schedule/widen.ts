/**
 * All f32 arithmetic in f64, as JavaScript computes anyway: f32 remains only in global storage, so values are rounded where they are
 * stored and nowhere else. Errors shrink accordingly, accumulators above all.
 */
import type { Buffer } from '../buffer.ts'
import { newBuffer } from '../buffer.ts'
import type { Expr, Local } from '../expr.ts'
import { cast, constant, load, local, newLocal, rewrite, vectorOf } from '../expr.ts'
import type { NestKernel, Stmt } from '../nest.ts'
import { mapStmts, rebuild, throughValues } from '../walk.ts'

export function widen(nest: NestKernel): NestKernel {
  const locals = new Map<Local, Local>()
  const buffers = new Map<Buffer, Buffer>()
  const wideLocal = (v: Local): Local => {
    if (v.of !== 'f32') return v
    let made = locals.get(v)
    if (made === undefined) locals.set(v, (made = newLocal(v.name, 'f64', v.lanes)))
    return made
  }
  const wideBuffer = (b: Buffer): Buffer => {
    if (b.of !== 'f32' || b.space === 'global') return b
    let made = buffers.get(b)
    if (made === undefined) buffers.set(b, (made = newBuffer(b.name, 'f64', b.space, b.shape, b.layout)))
    return made
  }
  const memo = new Map<Expr, Expr>()
  const wide = (e: Expr): Expr => {
    let out = memo.get(e)
    if (out === undefined) memo.set(e, (out = leaves(e)))
    return out
  }
  const leaves = (e: Expr): Expr => {
    switch (e.k) {
      case 'const':
        return e.of === 'f32' ? constant(e.value, 'f64') : e
      case 'local':
        return local(wideLocal(e.v))
      case 'load': {
        const l = load(wideBuffer(e.buf), e.at.map(inIndex), vectorOf(e))
        return l.of === 'f32' ? cast('f64', l) : l
      }
      case 'cast':
        return e.of === 'f32' ? cast('f64', wide(e.x)) : cast(e.of, wide(e.x))
      case 'index':
        return rewrite(e, (x) => x, inIndex)
      case 'un':
      case 'bin':
      case 'select':
      case 'splat':
      case 'vec':
      case 'lane':
      case 'across':
      case 'pairs':
        return rebuild(e, wide)
    }
  }
  const inIndex = (x: Parameters<typeof throughValues>[0]): typeof x => throughValues(x, wide)
  const body = mapStmts(nest.body, (s): readonly Stmt[] => {
    switch (s.k) {
      case 'for':
        return [{ ...s, lo: inIndex(s.lo), hi: inIndex(s.hi) }]
      case 'let':
      case 'var':
      case 'assign':
        return [{ ...s, v: wideLocal(s.v), e: wide(s.e) }]
      case 'store': {
        const buf = wideBuffer(s.buf)
        return [{ ...s, buf, at: s.at.map(inIndex), e: cast(buf.of, wide(s.e)) }]
      }
      case 'if':
        return [{ ...s, c: wide(s.c) }]
      case 'alloc':
        return [{ k: 'alloc', buf: wideBuffer(s.buf) }]
      case 'bind':
        return [{ ...s, ix: inIndex(s.ix) }]
      default:
        return [s]
    }
  })
  return { ...nest, body }
}
