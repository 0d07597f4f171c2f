/** Graph nodes: applying ops, constants of numbers, and what `infer` has to say about them as diagnostics. */
import { scanVaries } from '../diagnostics/catalogue.ts'
import type { Diagnostic, Reason, Span } from '../diagnostics/index.ts'
import { makeNode } from '../ir/build.ts'
import type { Node, Origin } from '../ir/types.ts'
import { InferError, type Attrs } from '../ops/define.ts'
import type { DType } from '../types/dtype.ts'
import { symbolsOf } from '../types/ix.ts'
import type { Env } from './context.ts'
import { report } from './context.ts'
import { fault, showDims, tensor, type Fault, type TensorValue } from './values.ts'
import { becauseOf } from './why.ts'

function originAt(env: Env, span: Span): Origin {
  return { span, frames: env.frame.spans, scope: env.template }
}

/** A node, or `undefined` after reporting why there is none. */
export function apply(
  env: Env,
  op: string,
  inputs: readonly Node[],
  attrs: Attrs,
  span: Span,
  names: readonly (string | undefined)[] = [],
): Node | undefined {
  try {
    const node = makeNode(op, inputs, attrs, originAt(env, span))
    env.run.nodes = node.id
    const t = env.loops.find((s) => node.type.shape.some((d) => symbolsOf(d).has(s)))
    if (t === undefined) return node
    const fix = `take all of it, and leave out what is not wanted: \`select(j <= ${t.name}, …, 0)\``
    report(env, scanVaries(span, `a size here, ${showDims(node.type.shape)},`, t.name, fix))
    return undefined
  } catch (error) {
    if (!(error instanceof InferError)) throw error
    report(env, inferDiagnostic(error, inputs, span, names))
    return undefined
  }
}

/** Like `apply`, but gives the error back instead of reporting it. */
export function attempt(env: Env, op: string, inputs: readonly Node[], attrs: Attrs, span: Span): Node | InferError {
  try {
    return makeNode(op, inputs, attrs, originAt(env, span))
  } catch (error) {
    if (error instanceof InferError) return error
    throw error
  }
}

export function applied(
  env: Env,
  op: string,
  inputs: readonly Node[],
  attrs: Attrs,
  span: Span,
  names: readonly (string | undefined)[] = [],
): TensorValue | Fault {
  const node = apply(env, op, inputs, attrs, span, names)
  return node ? tensor(node) : fault
}

function inferDiagnostic(
  error: InferError,
  inputs: readonly Node[],
  span: Span,
  names: readonly (string | undefined)[],
): Diagnostic {
  const reasons: Reason[] = []
  const told = new Set<number>()
  for (const fact of error.facts) {
    const node = fact.input === undefined ? undefined : inputs[fact.input]
    if (fact.input === undefined || !node) reasons.push({ message: fact.text ?? '' })
    else {
      told.add(fact.input)
      reasons.push(becauseOf(node, names[fact.input], fact.text))
    }
  }
  inputs.forEach((node, i) => {
    if (told.size === 0 && inputs.length <= 4 && node.type.shape.length > 0) reasons.push(becauseOf(node, names[i]))
  })
  return {
    code: error.code,
    severity: 'error',
    ...error.named(names),
    span,
    reasons,
  }
}

/** A scalar tensor of a known number. */
export function scalar(env: Env, value: number, dtype: DType, span: Span): Node {
  return makeNode('full', [], { value, shape: [], dtype }, originAt(env, span))
}

/** Gives a node its first name. Origins are made per node, so this is seen by nobody else. */
export function nameNode(node: Node, name: string, since: number): void {
  if (node.id <= since || node.origin.name !== undefined) return
  const origin: { name?: string } = node.origin
  origin.name = name
}
