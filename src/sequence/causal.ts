/** Proof that a reduction over positions hides those after the query's. */
import { lowerNode, virtual } from '../ir/kinds.ts'
import type { Kind } from '../ir/kinds.ts'
import type { Node } from '../ir/types.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Expr } from '../kernel/expr.ts'
import { asIx } from '../kernel/expr.ts'
import { inlineStages } from '../kernel/inline.ts'
import type { Stage } from '../kernel/stage.ts'
import { loadsOf } from '../kernel/walk.ts'
import type { Sym } from '../types/ix.ts'
import { add, of, proveLe, sub } from '../types/ix.ts'

/** The expression of `where`, with the maps that compute its operands written out. */
function writtenOut(where: Expr, stage: Stage, operands: ReadonlyMap<Buffer, Node>, kind: (n: Node) => Kind): Expr {
  const stages: Stage[] = []
  const made = new Map<Node, Buffer>()
  const visit = (n: Node, out: Buffer): void => {
    const k = kind(n)
    if (k !== 'map' && k !== 'view' && k !== 'inline') return
    const inputs = n.inputs.map((x) => {
      let b = made.get(x)
      if (b === undefined) {
        made.set(x, (b = virtual(x)))
        visit(x, b)
      }
      return b
    })
    stages.push(...lowerNode(n, inputs, out))
  }
  const read = new Set(loadsOf(where).map((l) => l.buf))
  for (const [buffer, node] of operands) if (read.has(buffer)) visit(node, buffer)
  const probe: Stage = { ...stage, body: { k: 'reduce', fold: 'max', axes: [], e: where, empty: 0 } }
  const done = inlineStages([...stages, probe])
  const last = done[done.length - 1]
  return last.body.k === 'reduce' ? last.body.e : where
}

const conjuncts = (e: Expr): Expr[] => (e.k === 'bin' && e.f === 'and' ? [...conjuncts(e.a), ...conjuncts(e.b)] : [e])

/** Whether `e` implies `key <= query`. */
function implies(e: Expr, key: Sym, query: Sym): boolean {
  if (e.k !== 'bin') return false
  const a = asIx(e.a)
  const b = asIx(e.b)
  if (a === undefined || b === undefined) return false
  const ahead = sub(of(key), of(query))
  switch (e.f) {
    case 'le':
      return proveLe(ahead, sub(a, b))
    case 'lt':
      return proveLe(ahead, add(sub(a, b), 1))
    case 'ge':
      return proveLe(ahead, sub(b, a))
    case 'gt':
      return proveLe(ahead, add(sub(b, a), 1))
    default:
      return false
  }
}

/** Whether the reduction of `stage` over `key` sees no position after the one that `query` walks. */
export function pastOnly(
  stage: Stage, key: Sym, query: Sym, operands: ReadonlyMap<Buffer, Node>, kind: (n: Node) => Kind,
): boolean {
  const where = stage.body.k === 'map' ? undefined : stage.body.where
  if (where === undefined) return false
  return conjuncts(writtenOut(where, stage, operands, kind)).some((e) => implies(e, key, query))
} // prettier-ignore
