/** Why a value has the shape it has: the line that fixed it, as a reason for a diagnostic. */
import { lineOf, type Reason, type SourceFile, type Span } from '../diagnostics/index.ts'
import type { Node, Origin } from '../ir/types.ts'
import { opOf } from '../ops/table.ts'
import { sameShape } from '../types/shape.ts'
import { showType } from './values.ts'

/** Files of the standard library: their lines are not the user's. */
export const libraryFiles = new WeakSet<SourceFile>()
const library = (span: Span): boolean => libraryFiles.has(span.file)

/** The innermost place in the user's own text: the call into the library, not the line within it. */
function userSpan(origin: Origin): Span {
  if (!library(origin.span)) return origin.span
  const own = [...origin.frames].reverse().find((span) => !library(span))
  return own ?? origin.span
}

/** The node whose op set the shape: elementwise ops hand on the shape of an input. */
function fixedBy(node: Node): Node {
  let at = node
  for (;;) {
    const hands = opOf(at.op)
    const pointwise = hands.params.every((p) => p.kind === 'tensor') && hands.operator !== '@'
    const from = pointwise ? at.inputs.find((input) => sameShape(input.type.shape, node.type.shape)) : undefined
    if (!from) return at
    at = from
  }
}

/** "`q` is f32[B, T, 48] because of line 7", with that line. */
export function becauseOf(node: Node, name?: string, fact?: string): Reason {
  const span = userSpan(fixedBy(node).origin)
  const called = name ?? node.origin.name
  const what = called === undefined ? 'this' : `\`${called}\``
  const because = called === undefined ? '' : ` because of line ${lineOf(span)}`
  return { message: fact === undefined ? `${what} is ${showType(node.type)}${because}` : `${fact}${because}`, span }
}
