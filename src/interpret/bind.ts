/** The dims of one call: read off the shapes of the inputs, then checked against all of them and against the graph's constraints. */
import { callConstraint, callDtype, callMissing, callShape } from '../diagnostics/catalogue.ts'
import { DiagnosticError } from '../diagnostics/collector.ts'
import { nearest } from '../diagnostics/nearest.ts'
import type { Constraint, Graph } from '../ir/types.ts'
import { printType } from '../ir/print.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { evaluate, of, print, symbolsOf } from '../types/ix.ts'
import type { Tensor } from '../types/tensor.ts'

export type Dims = ReadonlyMap<Sym, number>

const list = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/**
 * Throws `DiagnosticError`: TFM2001 for a shape that does not fit, TFM2002 for an input that is missing or unknown, TFM2003 for a dtype,
 * TFM2004 for a constraint. `given` binds dims by name that no input mentions.
 */
export function bindDims(
  graph: Graph,
  inputs: ReadonlyMap<string, Tensor>,
  given: Readonly<Record<string, number>> = {},
): Dims {
  const dims = new Map<Sym, number>()
  const from = new Map<Sym, string>()
  for (const s of graph.dims) {
    if (given[s.name] === undefined) continue
    dims.set(s, given[s.name])
    from.set(s, 'the call')
  }
  for (const name of inputs.keys()) {
    if (graph.inputs.some((i) => i.name === name)) continue
    const [near] = nearest(name, graph.inputs.map(i => i.name)) // prettier-ignore
    throw new DiagnosticError([
      callMissing(undefined, 'there is no input', name, near === undefined ? undefined : `did you mean \`${near}\`?`),
    ])
  }
  const there = graph.inputs.flatMap((spec) => {
    const value = inputs.get(spec.name)
    if (value !== undefined) return [{ spec, value }]
    if (spec.default) return []
    throw new DiagnosticError([callMissing(spec.node.origin.span, 'no value for input', spec.name)])
  })
  for (const { spec, value } of there) {
    const { dtype, shape } = spec.node.type
    const span = spec.node.origin.span
    if (value.dtype !== dtype) throw new DiagnosticError([callDtype(span, spec.name, dtype, value.dtype)])
    const wrong = (what: string): never => {
      throw new DiagnosticError([callShape(span, spec.name, what, printType(spec.node.type), list(value.shape))])
    }
    if (value.shape.length !== shape.length) wrong(`it has ${value.shape.length} axes instead of ${shape.length}`)
    for (const [axis, d] of shape.entries()) {
      const s = only(d)
      if (s === undefined) continue
      const known = dims.get(s)
      if (known === undefined) {
        dims.set(s, value.shape[axis])
        from.set(s, `input \`${spec.name}\``)
      } else if (known !== value.shape[axis]) {
        wrong(`axis ${axis} is ${value.shape[axis]}, but ${s.name} is ${known} by ${from.get(s)}`)
      }
    }
  }
  for (const { spec, value } of there) {
    for (const [axis, d] of spec.node.type.shape.entries()) {
      if (only(d) !== undefined) continue
      const expected = evaluateAt(d, dims)
      if (expected === value.shape[axis]) continue
      const what = `axis ${axis} is ${value.shape[axis]} instead of ${print(d) === String(expected) ? expected : `${print(d)} = ${expected}`}`
      throw new DiagnosticError([
        callShape(spec.node.origin.span, spec.name, what, printType(spec.node.type), list(value.shape)),
      ])
    }
  }
  checkRanges(dims)
  for (const c of graph.constraints) checkConstraint(c, dims)
  return dims
}

/** The symbol that a dim is, if it is nothing else. */
function only(d: Ix): Sym | undefined {
  for (const s of symbolsOf(d)) if (of(s) === d) return s
  return undefined
}

/** Throws an internal error for a dim that nothing binds. */
export function evaluateAt(d: Ix, dims: Dims): number {
  return evaluate(d, (s) => {
    const n = dims.get(s)
    if (n === undefined) throw new Error(`internal: no input gives dim ${s.name}`)
    return n
  })
}

const at = (xs: readonly Ix[], dims: Dims): string =>
  [...new Set(xs.flatMap((x) => [...symbolsOf(x)]))].map((s) => `${s.name} = ${dims.get(s)}`).join(', ')

function checkRanges(dims: Dims): void {
  const bound = (x: Ix): boolean => [...symbolsOf(x)].every((s) => dims.has(s))
  for (const [s, n] of dims) {
    const [lo, hi] = [bound(s.lo) ? evaluateAt(s.lo, dims) : -Infinity, bound(s.hi) ? evaluateAt(s.hi, dims) : Infinity]
    if (n >= lo && n <= hi && n % s.multipleOf === 0) continue
    const text =
      n < lo
        ? `${print(s.lo)} <= ${s.name}`
        : n > hi
          ? `${s.name} <= ${print(s.hi)}`
          : `${s.name} % ${s.multipleOf} == 0`
    throw new DiagnosticError([callConstraint(undefined, text, `${s.name} = ${n}`)])
  }
}

function checkConstraint(c: Constraint, dims: Dims): void {
  if ([c.a, c.b].some((x) => [...symbolsOf(x)].some((s) => !dims.has(s)))) return
  const [a, b] = [evaluateAt(c.a, dims), evaluateAt(c.b, dims)]
  const holds = c.k === 'le' ? a <= b : c.k === 'eq' ? a === b : b !== 0 && a % b === 0
  if (!holds) throw new DiagnosticError([callConstraint(c.span, c.text, at([c.a, c.b], dims))])
}
