/**
 * From a graph to a checked one, the only thing that later levels accept: the verifier holds, and its constraints are exactly
 * what cannot be proved for all values of the dims and must be looked at when the program is called.
 */
import { whereFails } from '../diagnostics/catalogue.ts'
import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import type { Constraint, Graph } from '../ir/types.ts'
import { verifyGraph } from '../ir/verify.ts'
import { exactDiv, isConst, mod, of, print, proveEq, proveLe, proveLt, symbolsOf, type Ix } from '../types/ix.ts'
import { lint } from './lint.ts'

declare const checked: unique symbol

export type CheckedGraph = Graph & { readonly [checked]: true }

export interface Checked {
  /** Absent when there are errors. */
  readonly graph?: CheckedGraph
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Verifies the graph, settles its constraints, and warns of what is declared for nothing. TFM1214 for a constraint that no values
 * of the dims satisfy; throws an internal error for a graph that is ill-formed.
 */
export function check(graph: Graph): Checked {
  verifyGraph(graph)
  const refuted = graph.constraints.filter((c) => isRefuted(c))
  const errors = refuted.map((c) => whereFails(c.span, c.text, `it needs ${print(c.a)} ${words[c.k]} ${print(c.b)}`))
  const warnings = lint(graph)
  if (errors.length > 0) return { diagnostics: [...errors, ...warnings] }
  const constraints = graph.constraints.filter((c) => definesRange(c) || !isProved(c))
  const settled: Graph = { ...graph, constraints }
  return { graph: settled as CheckedGraph, diagnostics: warnings }
}

const words = { le: '<=', eq: '==', divides: 'to be a multiple of' } as const

/** Whether it holds for all values that its dims can have. */
export function isProved({ k, a, b }: Constraint): boolean {
  if (k === 'le') return proveLe(a, b)
  return k === 'eq' ? proveEq(a, b) : exactDiv(a, b) !== undefined
}

function isRefuted({ k, a, b }: Constraint): boolean {
  if (k === 'le') return proveLt(b, a)
  if (k === 'eq') return proveLt(a, b) || proveLt(b, a)
  const rest = isConst(b) === 0 ? undefined : isConst(mod(a, b))
  return rest !== undefined && rest !== 0
}

/**
 * `where T <= ctx` gave T its range, so the range proves it; at the call it must be checked all the same, since everything else
 * was proved from it.
 */
function definesRange({ k, a, b }: Constraint): boolean {
  const dim = onlySymbol(a) ?? onlySymbol(b)
  if (!dim) return false
  if (k === 'divides') return isConst(b) === dim.multipleOf && dim.multipleOf > 1
  return k === 'le' && symbolsOf(a).has(dim) && dim.hi === upperBound(a, b, dim)
}

/** `T + c <= n` bounds T by n - c. */
function upperBound(a: Ix, b: Ix, dim: Ix['terms'][number]['atoms'][number]): Ix | undefined {
  const n = isConst(b)
  const rest = a.terms.reduce((sum, t) => (t.atoms.length === 0 ? sum + t.coef : sum), 0)
  const linear = a.terms.some((t) => t.coef === 1 && t.atoms.length === 1 && t.atoms[0] === dim)
  return n !== undefined && linear ? of(n - rest) : undefined
}

function onlySymbol(x: Ix) {
  const symbols = [...symbolsOf(x)]
  return symbols.length === 1 ? symbols[0] : undefined
}
