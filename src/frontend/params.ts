/** `param w: f32[n, I] = "weight" or other`: a tensor of the checkpoint, by its path in the scope. */
import type * as ast from '../../grammar/ast.ts'
import { badFallback, paramDtype, paramShape, pathTwice, shapeMismatch } from '../diagnostics/catalogue.ts'
import { withReasons } from '../diagnostics/index.ts'
import type { ParamSpec } from '../ir/types.ts'
import { isConst } from '../types/ix.ts'
import { sameShape } from '../types/shape.ts'
import { joinPath, report, type Env } from './context.ts'
import { evalShape } from './dims.ts'
import { evaluate, stringOf } from './exprs.ts'
import { apply, nameNode } from './graphing.ts'
import { describe, fault, showDims, showType, type Value } from './values.ts'
import { libraryFiles } from './why.ts'

export function declareParam(stmt: ast.Param, env: Env): Value {
  const type = evalShape(stmt.type, env, false)
  const written = stmt.path ? stringOf(stmt.path, env) : { value: stmt.name.name, template: stmt.name.name }
  const path = joinPath(env.path, written.value)
  if (!type) return fault
  if (type.dtype !== 'f32') {
    report(env, paramDtype(stmt.type.span, stmt.name.name, type.dtype))
    return fault
  }
  const again = env.share?.get(path)
  if (again) {
    if (sameShape(again.type.shape, type.shape)) return { k: 'tensor', node: again, param: true }
    const said = shapeMismatch(
      stmt.type.span,
      `the shared parameter \`${path}\``,
      showDims(type.shape),
      showDims(again.type.shape),
    )
    report(
      env,
      withReasons(said, {
        message: 'first used with another shape here',
        span: again.origin.frames.at(-1) ?? again.origin.span,
      }),
    )
    return fault
  }
  const earlier = env.run.params.get(path)
  const callSite = env.frame.spans.at(-1)
  if (earlier) {
    const { origin } = earlier.node
    const first = { message: `\`${path}\` is first declared here`, span: origin.frames.at(-1) ?? origin.span }
    report(env, withReasons(pathTwice(callSite ?? stmt.span, path), first))
    return { k: 'tensor', node: earlier.node, param: true }
  }
  const shape: number[] = []
  for (const dim of type.shape) {
    const size = isConst(dim)
    if (size !== undefined) shape.push(size)
  }
  if (shape.length < type.shape.length) {
    // Names within the standard library say nothing to a user; without them, its parameters at one call are one error.
    const name = libraryFiles.has(stmt.span.file) ? undefined : stmt.name.name
    report(env, paramShape(stmt.type.span, name, showDims(type.shape)))
    return fault
  }
  const node = apply(env, 'param', [], { name: path, shape: type.shape }, stmt.span)
  if (!node) return fault
  nameNode(node, stmt.name.name, node.id)
  const fallback = stmt.fallback ? fallbackOf(stmt, stmt.fallback, type.shape, env) : undefined
  const spec: ParamSpec = {
    name: path,
    shape,
    span: callSite ?? stmt.span,
    ...(fallback === undefined ? {} : { fallback }),
  }
  env.run.params.set(path, { spec, node })
  env.share?.set(path, node)
  return { k: 'tensor', node, param: true }
}

function fallbackOf(stmt: ast.Param, e: ast.Expr, shape: Parameters<typeof showDims>[0], env: Env): string | undefined {
  const value = evaluate(e, env)
  if (value.k === 'error') return undefined
  if (value.k !== 'tensor' || value.node.op !== 'param') {
    report(env, badFallback(e.span, stmt.name.name, `it is ${describe(value)}, and no parameter`))
    return undefined
  }
  if (!sameShape(value.node.type.shape, shape)) {
    const why = `it is ${showType(value.node.type)}, not f32${showDims(shape)}`
    report(
      env,
      withReasons(badFallback(e.span, stmt.name.name, why), { message: 'declared here', span: value.node.origin.span }),
    )
    return undefined
  }
  return value.node.attrs.name as string
}
