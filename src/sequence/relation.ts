/** How a node reads the sequence axes of its operands, from the index maps of its lowering. */
import { lowerNode, virtual } from '../ir/kinds.ts'
import { memoByStructure } from '../ir/structural.ts'
import type { Node } from '../ir/types.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Expr } from '../kernel/expr.ts'
import { loadsOf } from '../kernel/walk.ts'
import type { Body, Stage } from '../kernel/stage.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { of, range, sub, symbolsOf, valuesOf } from '../types/ix.ts'

/** What one read of an operand's sequence axis asks for. */
export type Relation =
  /** The position of the result's axis `axis`, or a fixed number of places behind it. */
  | { readonly k: 'same'; readonly axis: number }
  /** All positions, under the reduction `stage` over `symbol`. */
  | { readonly k: 'all'; readonly stage: Stage; readonly symbol: Sym }
  /** The last position. */
  | { readonly k: 'latest' }
  /** The position of the step of a scan. */
  | { readonly k: 'step' }
  | { readonly k: 'other'; readonly why: string }

export interface Reading {
  readonly stages: readonly Stage[]
  readonly inputs: readonly Buffer[]
  /** Relations of operand `i`'s axis `axis`, each kind once. */
  readonly of: (i: number, axis: number) => readonly Relation[]
  /** Whether some operand is read at positions that data choose. */
  readonly chosen: boolean
  /** Whether operand `i` says which elements a reduction leaves out. */
  readonly guards: (i: number) => boolean
}

function exprs(body: Body): Expr[] {
  switch (body.k) {
    case 'map':
      return [body.e]
    case 'reduce':
      return body.where ? [body.e, body.where] : [body.e]
    case 'carried':
      return [...(body.where ? [body.where] : []), ...body.chunk.flatMap((s) => exprs(s.body)), body.finish]
  }
}
const reductionSymbols = (s: Stage): Sym[] => {
  if (s.body.k === 'reduce') return [...s.body.axes]
  if (s.body.k !== 'carried') return []
  return [s.body.axis, ...s.body.chunk.flatMap((c) => (c.body.k === 'reduce' ? c.body.axes : []))]
}

const reads = (e: Expr, buffer: Buffer): boolean => loadsOf(e).some((l) => l.buf === buffer)

/** Lowers a node alone and looks at every load of each operand. Extents that mention `T` are those of sequence axes; `steps` are the indices of scans over them. */
export function readings(T: Sym, steps: ReadonlySet<Sym>): (node: Node) => Reading {
  return memoByStructure((node) => readingOf(node, T, steps))
}

function readingOf(node: Node, T: Sym, steps: ReadonlySet<Sym>): Reading {
  const inputs = node.inputs.map(virtual)
  const stages = lowerNode(node, inputs, virtual(node))
  const last = stages[stages.length - 1]
  const relate = (c: Ix, extent: Ix): Relation => {
    for (const stage of stages) {
      const symbol = reductionSymbols(stage).find((s) => of(s) === c)
      if (symbol !== undefined) return { k: 'all', stage, symbol }
    }
    if (c === sub(extent, 1)) return { k: 'latest' }
    if (valuesOf(c).size > 0) return { k: 'other', why: 'it reads positions that data choose' }
    const moving = last.domain.filter((s, a) => symbolsOf(node.type.shape[a]).has(T) && symbolsOf(c).has(s))
    const own = [...moving, ...[...symbolsOf(c)].filter((s) => steps.has(s))]
    if (own.length === 0) return { k: 'other', why: 'it reads fixed positions, which later calls do not have' }
    const offset = sub(c, of(own[0]))
    if (own.length > 1 || !Number.isFinite(range(offset).hi) || symbolsOf(offset).has(own[0]))
      return { k: 'other', why: 'it reads other positions than its own' }
    if (range(offset).lo < 0) return { k: 'other', why: 'it reads positions before its own' }
    return moving.length === 0 ? { k: 'step' } : { k: 'same', axis: last.domain.indexOf(moving[0]) }
  }
  const loads = stages.flatMap((stage) => exprs(stage.body).flatMap(loadsOf))
  return {
    stages,
    inputs,
    of: (i, axis) => {
      const found = new Map<string, Relation>()
      for (const l of loads) {
        if (l.buf !== inputs[i]) continue
        const r = relate(l.at[axis], node.inputs[i].type.shape[axis])
        found.set(r.k === 'same' ? `same${r.axis}` : r.k, r)
      }
      return [...found.values()]
    },
    guards: (i) => stages.some((s) => s.body.k !== 'map' && s.body.where && reads(s.body.where, inputs[i])),
    chosen: loads.some((l) => l.at.some((c) => valuesOf(c).size > 0)),
  }
}
