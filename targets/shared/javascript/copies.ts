/** Loops that copy a run of elements, as one call: `a.set(b.subarray(…))` converts, and takes a fraction of the loop's time. */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Local, Scalar } from '../../../src/kernel/expr.ts'
import type { For, Stmt } from '../../../src/kernel/nest.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { coefficientOf, con, dependsOn, isConst, mul, range, substitute, valuesOf } from '../../../src/types/ix.ts'

export interface Copy {
  readonly to: Buffer
  readonly toAt: Ix
  readonly from: Buffer
  readonly fromAt: Ix
  readonly count: Ix
}

/** Shorter runs are copied faster by a loop. */
const shortest = 48
const float = (t: Scalar): boolean => t === 'f32' || t === 'f64'

/** The copy that a loop is, outer loops of what lies in one piece included. `moves`: whether a loop has counters besides its own. */
export function copyOf(s: For, moves: (v: Sym) => boolean): Copy | undefined {
  const found = runOf(s, moves)
  return found !== undefined && range(found.count).lo >= shortest ? found : undefined
}
function runOf(s: For, moves: (v: Sym) => boolean): Copy | undefined {
  if (s.step !== 1 || isConst(s.lo) !== 0 || moves(s.v)) return undefined
  const bases = new Map<Sym, Ix>()
  let at = 0
  for (let t = s.body[at]; t?.k === 'bind'; t = s.body[++at]) bases.set(t.v, substitute(t.ix, bases))
  const rest = s.body.slice(at)
  const inner = rest.length === 1 && rest[0].k === 'for' ? runOf(rest[0], moves) : elementOf(rest)
  if (inner === undefined || dependsOn(inner.count, s.v)) return undefined
  const whole = (x: Ix): Ix | undefined => {
    const parts = coefficientOf(substitute(x, bases), s.v)
    return parts?.coef === inner.count && valuesOf(x).size === 0 ? parts.rest : undefined
  }
  const [toAt, fromAt] = [whole(inner.toAt), whole(inner.fromAt)]
  return toAt === undefined || fromAt === undefined
    ? undefined
    : { ...inner, toAt, fromAt, count: mul(inner.count, s.hi) }
}
function elementOf(body: readonly Stmt[]): Copy | undefined {
  const store = body.at(-1)
  if (store?.k !== 'store' || body.length > 2) return undefined
  const [named] = body
  const value = (e: Expr): Expr => (e.k === 'cast' && float(e.of) && float(e.x.of) ? value(e.x) : e)
  let e = value(store.e)
  if (body.length === 2) {
    if (named.k !== 'let' || e.k !== 'local' || e.v !== (named.v as Local)) return undefined
    e = value(named.e)
  }
  if (e.k !== 'load' || e.buf === store.buf) return undefined
  const alike = float(e.of) ? float(store.buf.of) : e.of === store.buf.of
  return alike ? { to: store.buf, toAt: store.at[0], from: e.buf, fromAt: e.at[0], count: con(1) } : undefined
}
