/** How a node reads the sequence axes of its operands, from the index maps of its lowering. */
import { lowerNode, virtual } from '../ir/kinds.ts'
import { memoByStructure } from '../ir/structural.ts'
import type { Node } from '../ir/types.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Expr } from '../kernel/expr.ts'
import { loadsOf } from '../kernel/walk.ts'
import type { Body, Stage } from '../kernel/stage.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { of, sub, symbolsOf } from '../types/ix.ts'

/** What one read of an operand's sequence axis asks for. */
export type Relation =
  /** The same position as the result's axis `axis`. */
  | { readonly k: 'same'; readonly axis: number }
  /** All positions, under the reduction `stage` over `symbol`. */
  | { readonly k: 'all'; readonly stage: Stage; readonly symbol: Sym }
  /** The last position. */
  | { readonly k: 'latest' }
  | { readonly k: 'other'; readonly why: string }

export interface Reading {
  readonly stages: readonly Stage[]
  readonly inputs: readonly Buffer[]
  /** Relations of operand `i`'s axis `axis`, each kind once. */
  readonly of: (i: number, axis: number) => readonly Relation[]
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

/** Lowers a node alone and looks at every load of each operand. `T` is the extent of sequence axes. */
export function readings(T: Ix): (node: Node) => Reading {
  return memoByStructure((node) => readingOf(node, T))
}

function readingOf(node: Node, T: Ix): Reading {
  const inputs = node.inputs.map(virtual)
  const stages = lowerNode(node, inputs, virtual(node))
  const last = stages[stages.length - 1]
  const relate = (c: Ix): Relation => {
    const axis = last.domain.findIndex((s) => of(s) === c)
    if (axis >= 0) return { k: 'same', axis }
    for (const stage of stages) {
      const symbol = reductionSymbols(stage).find((s) => of(s) === c)
      if (symbol !== undefined) return { k: 'all', stage, symbol }
    }
    if (c === sub(T, 1)) return { k: 'latest' }
    const moving = last.domain.find((s) => symbolsOf(c).has(s))
    if (moving === undefined) return { k: 'other', why: 'it reads one fixed position' }
    return { k: 'other', why: 'it reads other positions than its own' }
  }
  return {
    stages,
    inputs,
    of: (i, axis) => {
      const found = new Map<string, Relation>()
      for (const stage of stages) {
        for (const e of exprs(stage.body)) {
          for (const l of loadsOf(e)) {
            if (l.buf !== inputs[i]) continue
            const r = relate(l.at[axis])
            found.set(r.k === 'same' ? `same${r.axis}` : r.k, r)
          }
        }
      }
      return [...found.values()]
    },
  }
}
