/** Chains of calls: pipes as written, and nested calls of three or more as pipes. */
import { spanText } from '../../src/diagnostics/span.ts'
import type { Arg, Call, Expr, Pipe } from '../ast.ts'
import { isOneLine } from './comments.ts'

export interface Stage {
  readonly call: Call
  /** What stands in brackets; for a nested call without its first argument. */
  readonly args: readonly Arg[]
  readonly each: boolean
  readonly start: number
  readonly end: number
  /** The source breaks the line before it. */
  readonly broken: boolean
  /** Too long for breaks between some stages only. */
  readonly wide: boolean
}

export interface Chain {
  readonly head: Expr
  readonly stages: readonly Stage[]
}

/** A stretch between two breaks that would not fit any more. */
const widest = 100

export function chainOf(pipe: Pipe): Chain {
  const stages: Stage[] = []
  let head: Expr = pipe
  while (head.k === 'pipe') {
    const written: Pipe = head
    const { call, each, input } = written
    const between = { ...written.span, start: input.span.end, end: call.span.start }
    const broken = !isOneLine(between)
    stages.unshift({ call, args: call.args, each, start: call.span.start, end: call.span.end, broken, wide: false })
    head = input
  }
  return { head, stages: measured(head, stages) }
}

/** Marks stretches between the breaks of the source that are too long. */
function measured(head: Expr, stages: readonly Stage[]): Stage[] {
  let length = widthOf(head)
  return stages.map((stage) => {
    const own = widthOf(stage.call) + 8
    length = stage.broken ? own : length + own
    return { ...stage, wide: length > widest }
  })
}

const widthOf = (node: Expr): number => spanText(node.span).replace(/\s+/g, ' ').length

/**
 * `f(g(h(x, a)), b)` as `x |> h(a) |> g |> f(b)`, for three calls or more; undefined where the call form stays: shorter chains, and anything
 * with `residual`, whose reading depends on how its argument is written. An innermost call of three tensors or more stays a call.
 */
export function pipedChain(expr: Expr): Chain | undefined {
  const calls: Call[] = []
  let head: Expr = expr
  while (head.k === 'call') {
    const first: Arg | undefined = head.args[0]
    if (head.callee.name === 'residual') return undefined
    if (!first || first.name) break
    calls.unshift(head)
    head = first.value
  }
  if (calls.length < 3) return undefined
  const innermost = calls[0]
  if (innermost && innermost.args.filter((arg) => !arg.name).length > 2) {
    calls.shift()
    head = innermost
  }
  if (head.k === 'pipe' || head.k === 'error') return undefined
  const stages = calls.map((call): Stage => {
    const start = call.args[1]?.span.start ?? call.span.end - 1
    return { call, args: call.args.slice(1), each: false, start, end: call.span.end, broken: false, wide: false }
  })
  return { head, stages }
}
