import { readdirSync, readFileSync } from 'node:fs'
import type { Expr, Node } from '../../grammar/ast.ts'
import { asCall, walk } from '../../grammar/desugar.ts'
import { parse, parseExpression } from '../../grammar/parse.ts'
import { renderAll } from '../../src/diagnostics/render.ts'
import { sourceFile } from '../../src/diagnostics/span.ts'

const folder = new URL('./sources/', import.meta.url)

/** The sources beside this file: name and text. */
export const sources: readonly (readonly [string, string])[] = readdirSync(folder)
  .sort()
  .map((name) => [name, readFileSync(new URL(name, folder), 'utf8')] as const)

export const read = (text: string) => parse(sourceFile('test.tfm', text))

/** Rendered diagnostics; empty when there are none. */
export const complaints = (text: string): string => renderAll(read(text).diagnostics)
export const codes = (text: string): string[] => read(text).diagnostics.map((diagnostic) => diagnostic.code)

/** An expression as nested lists: `(+ a (* b c))`. */
export function shape(text: string): string {
  const { ast, diagnostics } = parseExpression(sourceFile('test.tfm', text))
  return diagnostics.length > 0 ? diagnostics.map((d) => d.code).join(' ') : lisp(ast)
}

function lisp(expr: Expr): string {
  switch (expr.k) {
    case 'name':
      return expr.name
    case 'number':
      return expr.text
    case 'unary':
      return `(${expr.op} ${lisp(expr.arg)})`
    case 'binary':
      return `(${expr.op} ${lisp(expr.left)} ${lisp(expr.right)})`
    case 'pipe':
      return lisp(asCall(expr))
    case 'call':
      return `(${expr.each ? 'each ' : ''}${[expr.callee.name, ...expr.args.map((arg) => (arg.name ? `${arg.name.name}=` : '') + lisp(arg.value))].join(' ')})`
    case 'ifExpr':
      return `(if ${lisp(expr.cond)} ${lisp(expr.then)} ${lisp(expr.else)})`
    case 'index':
      return `(at ${lisp(expr.base)} ${expr.items.length})`
    case 'list':
      return `[${expr.items.map(lisp).join(' ')}]`
    case 'comprehension':
      return `(${expr.reduce?.name ?? 'for'} ${expr.binders.map((b) => `${b.name.name}<${lisp(b.bound)}`).join(' ')}: ${lisp(expr.body)})`
    default:
      return expr.k
  }
}

/** Every node with a span that is not within its file, or ends before it starts. */
export function badSpans(root: Node): Node[] {
  const bad: Node[] = []
  walk(root, (node) => {
    const { start, end, file } = node.span
    if (!(start >= 0 && end >= start && end <= file.text.length)) bad.push(node)
  })
  return bad
}

export function has(root: Node, k: Node['k']): boolean {
  let found = false
  walk(root, (node) => {
    if (node.k === k) found = true
  })
  return found
}
