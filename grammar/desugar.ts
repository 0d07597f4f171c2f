/** Views of the tree that the front end needs: pipes as calls, plain strings, children. */
import { joinSpans } from '../src/diagnostics/span.ts'
import type { Arg, Call, Expr, Node, Pipe, Str } from './ast.ts'

/** `x |> f(a)` as `f(x, a)`; a call is returned as it is. Rewrites this node only, not what is below it. */
export function asCall(node: Call | Pipe): Call {
  if (node.k === 'call') return node
  const first: Arg = { k: 'arg', value: node.input, span: node.input.span }
  return {
    k: 'call',
    callee: node.call.callee,
    args: [first, ...node.call.args],
    span: joinSpans(node.input.span, node.call.span),
    piped: true,
    ...(node.each ? { each: true } : {}),
  }
}

/** The tree without pipes, at any depth. */
export function desugar<N extends Node>(node: N): N
export function desugar(node: Node): Node {
  return rewrite(node.k === 'pipe' ? asCall(node) : node)
}

function rewrite<N extends Node>(node: N): N {
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(node))
    out[key] = key === 'span' || key === 'opSpan' ? value : rewriteValue(value)
  return out as unknown as N
}

function rewriteValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewriteValue)
  return isNode(value) ? desugar(value) : value
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'k' in value && 'span' in value
}

/** The nodes directly below, in the order of the node's fields. */
export function children(node: Node): Node[] {
  const found: Node[] = []
  for (const [key, value] of Object.entries(node) as [string, unknown][]) {
    if (key === 'comments') continue
    if (Array.isArray(value)) found.push(...value.filter(isNode))
    else if (isNode(value)) found.push(value)
  }
  return found
}

/** Calls `visit` for the node and everything below it, parents first; `false` skips what is below. */
export function walk(node: Node, visit: (node: Node) => boolean | void): void {
  if (visit(node) === false) return
  for (const child of children(node)) walk(child, visit)
}

/** The text of a string without holes, undefined for one with `{…}`. */
export function plainText(str: Str): string | undefined {
  let text = ''
  for (const part of str.parts) {
    if (part.k === 'hole') return undefined
    text += part.value
  }
  return text
}

/** Free of spans, comments and anything else that is not meaning: two trees mean the same iff these are deeply equal. */
export function skeleton(node: Node | Expr): unknown {
  return strip(node)
}

const notMeaning = new Set(['span', 'opSpan', 'comments', 'piped'])

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip)
  if (typeof value !== 'object' || value === null) return value
  const out: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    if (!notMeaning.has(key)) out[key] = strip(field)
  }
  return out
}
