/** What a node is to fusion, read off the structure of its lowering. */
import { newBuffer } from '../kernel/buffer.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Expr } from '../kernel/expr.ts'
import { operands } from '../kernel/expr.ts'
import type { Stage } from '../kernel/stage.ts'
import { isContraction } from '../kernel/structure.ts'
import { opOf } from '../ops/table.ts'
import { memoByStructure } from './structural.ts'
import type { Node } from './types.ts'
import type { Ix } from '../types/ix.ts'
import { valuesOf } from '../types/ix.ts'

export type Kind = 'leaf' | 'view' | 'inline' | 'map' | 'reduce' | 'contraction' | 'carried' | 'append'

/** Cost of a map body: loads, and functions worth at least ten arithmetic operations. */
export interface Cost {
  readonly loads: number
  readonly functions: number
  readonly operations: number
}

export interface NodeShape {
  readonly kind: Kind
  readonly cost: Cost
}

const expensive: ReadonlySet<string> = new Set([
  'exp',
  'expm1',
  'log',
  'log1p',
  'sqrt',
  'sin',
  'cos',
  'tanh',
  'erf',
  'pow',
  'div',
])

/** Stages of one node with the given operand buffers. */
export function lowerNode(node: Node, inputs: readonly Buffer[], out: Buffer): readonly Stage[] {
  const lower = opOf(node.op).lower
  if (lower === undefined) throw new Error(`internal: ${node.op} has no lowering`)
  return lower({ inputs, out, attrs: node.attrs })
}

export function virtual(node: Node): Buffer {
  return newBuffer(node.op, node.type.dtype, 'virtual', node.type.shape)
}

/** Counts what evaluating `e` once costs, each shared subexpression once. */
export function costOf(e: Expr): Cost {
  const seen = new Set<Expr>()
  const cost = { loads: 0, functions: 0, operations: 0 }
  const go = (e: Expr): void => {
    if (seen.has(e)) return
    seen.add(e)
    if (e.k === 'load') {
      cost.loads++
      for (const x of e.at) for (const v of valuesOf(x)) go(v.value as Expr)
    } else if (e.k === 'un' || e.k === 'bin') {
      cost.operations++
      if (expensive.has(e.f)) cost.functions++
    } else if (e.k === 'index') {
      for (const v of valuesOf(e.ix)) go(v.value as Expr)
    } else if (e.k === 'select') cost.operations++
    for (const x of operands(e)) go(x)
  }
  go(e)
  return cost
}

const dataDependent = (at: readonly Ix[]): boolean => at.some((x) => valuesOf(x).size > 0)

function classify(node: Node): NodeShape {
  const none: Cost = { loads: 0, functions: 0, operations: 0 }
  if (opOf(node.op).lower === undefined) return { kind: 'leaf', cost: none }
  const stages = lowerNode(node, node.inputs.map(virtual), virtual(node))
  const last = stages[stages.length - 1]
  if (last.at !== undefined) return { kind: 'append', cost: none }
  switch (last.body.k) {
    case 'carried':
      return { kind: 'carried', cost: none }
    case 'reduce':
      return { kind: isContraction(last) ? 'contraction' : 'reduce', cost: costOf(last.body.e) }
    case 'map': {
      const cost = costOf(last.body.e)
      const e = last.body.e
      if (e.k === 'load' && !dataDependent(e.at)) return { kind: 'view', cost }
      if (cost.loads === 0 && cost.functions === 0) return { kind: 'inline', cost }
      const integers =
        node.type.dtype !== 'f32' && node.inputs.every((x) => x.type.dtype !== 'f32' || x.type.shape.length === 0)
      if (integers && cost.functions === 0) return { kind: 'inline', cost }
      return { kind: 'map', cost }
    }
  }
}

/** What a node is to fusion, and what computing one element of it costs. */
export const shapeOf = memoByStructure(classify)
