/** A scheduled kernel as a function: typed parameters, hoisted bases, named locals, plain `for` loops. */
import type { Buffer } from '../../src/kernel/buffer.ts'
import { storageOf } from '../../src/kernel/address.ts'
import type { Expr, Local } from '../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt } from '../../src/kernel/nest.ts'
import { operands } from '../../src/kernel/expr.ts'
import type { Sym } from '../../src/types/ix.ts'
import { isConst, print } from '../../src/types/ix.ts'
import { exprText, flat, ixText, storedText } from './numbers.ts'
import type { Scope } from './numbers.ts'
import type { Printer } from './printer.ts'
import { arrayOf, scratchOf } from './printer.ts'
import type { Names } from './text.ts'
import { commentText, docComment, fill, indent } from './text.ts'

/** How a printed kernel is called: buffers in the order of `args`, then the params. */
export interface PrintedKernel {
  readonly name: string
  readonly lines: readonly string[]
}

export function printKernel(kernel: NestKernel, p: Printer): PrintedKernel {
  const name = p.names.name(kernel.name)
  const scope = functionScope(p, name)
  const params = [
    ...kernel.args.map((a) => `${scope.buffer(a.buffer)}${p.type(arrayOf(a.buffer.of))}`),
    ...kernel.params.map((s) => `${scope.sym(s)}${p.type('number')}`),
  ]
  const doc = [...kernel.doc, ...kernel.args.map((a) => signature(a.buffer, a.access, scope))]
  const head = `function ${name}(`
  const oneLine = `${head}${params.join(', ')})${p.type('void')} {`
  const open = oneLine.length <= 120 ? [oneLine] : [head, ...indent(params.map((x) => `${x},`)), `)${p.type('void')} {`]
  return { name, lines: [...docComment(doc), ...open, ...indent(statements(kernel.body, scope, p)), '}'] }
}

/** `w [768, 3072], panels of 4, read`. */
function signature(b: Buffer, access: string, scope: Scope): string {
  const shape = `[${b.shape.map((x) => print(x)).join(', ')}]`
  const layout = b.layout === undefined ? '' : ` as ${b.layout.name}`
  return `${scope.buffer(b)} ${shape}${layout}${access === 'read' ? '' : access === 'write' ? ' (result)' : ' (updated)'}`
}

interface FunctionScope extends Scope {
  readonly names: Names
  readonly allocate: (b: Buffer) => void
  /** A scope for a block: its names may be used again after it. */
  readonly block: () => FunctionScope
}
function functionScope(p: Printer, kernel: string): FunctionScope {
  const known = new Map<object, string>()
  const allocate = (b: Buffer): void => {
    const length = isConst(storageOf(b))
    if (length === undefined) throw new Error(`internal: private storage of ${b.name} in ${kernel} has no constant size`)
    known.set(b, p.scratch(`${kernel}_${b.name}`, scratchOf(b.of), length))
  }
  const make = (own: Names): FunctionScope => {
    const named = (thing: object, wish: string): string => {
      const found = known.get(thing)
      if (found !== undefined) return found
      const made = own.name(wish)
      known.set(thing, made)
      return made
    }
    return {
      names: own,
      sym: (s: Sym) => named(s, s.name),
      local: (v: Local) => named(v, v.name),
      buffer: (b: Buffer) => named(b, b.name),
      helper: p.helper,
      allocate,
      block: () => make(own.child()),
    }
  }
  return make(p.names.child())
}

function statements(body: readonly Stmt[], scope: FunctionScope, p: Printer): string[] {
  const lines: string[] = []
  for (let i = 0; i < body.length; i++) {
    const s = body[i]
    switch (s.k) {
      case 'for':
        lines.push(...loop(s, scope, p))
        break
      case 'var': {
        // Accumulators that start together are declared together.
        const group = [s]
        while (group.length < 64) {
          const next = body[i + 1]
          if (next?.k !== 'var') break
          group.push(next)
          i++
        }
        const text = fill(group.map((v) => `${scope.local(v.v)} = ${exprText(v.e, scope)}`), 108).join('\n    ').replace(/,$/, '')
        lines.push(...`let ${text}`.split('\n'))
        break
      }
      case 'let':
        lines.push(`const ${scope.local(s.v)} = ${exprText(s.e, scope)}`)
        break
      case 'bind':
        lines.push(`const ${scope.sym(s.v)} = ${ixText(s.ix, scope)}`)
        break
      case 'assign':
        lines.push(assignment(scope.local(s.v), s.v, s.e, scope))
        break
      case 'store':
        lines.push(`${scope.buffer(s.buf)}[${flat(s.buf, s.at, scope)}] = ${storedText(s.e, scope)}`)
        break
      case 'if':
        lines.push(...block(`if (${exprText(s.c, scope)})`, statements(s.body, scope.block(), p)))
        break
      case 'alloc':
        scope.allocate(s.buf)
        break
      case 'comment':
        lines.push(`// ${commentText(s.text)}`)
        break
      case 'barrier':
        break
    }
  }
  return lines
}

function assignment(name: string, v: Local, e: Expr, scope: Scope): string {
  const operator = e.k === 'bin' ? { add: '+=', sub: '-=', mul: '*=', div: '/=' }[e.f as string] : undefined
  if (e.k === 'bin' && operator !== undefined) {
    const isSelf = (x: Expr): boolean => x.k === 'local' && x.v === v
    if (isSelf(e.a) && !mentions(e.b, v)) return `${name} ${operator} ${exprText(e.b, scope)}`
    if ((e.f === 'add' || e.f === 'mul') && isSelf(e.b) && !mentions(e.a, v)) return `${name} ${operator} ${exprText(e.a, scope)}`
  }
  return `${name} = ${exprText(e, scope)}`
}
const mentions = (e: Expr, v: Local): boolean => (e.k === 'local' && e.v === v) || operands(e).some((x) => mentions(x, v))

function loop(s: For, around: FunctionScope, p: Printer): string[] {
  const lo = ixText(s.lo, around)
  const scope = around.block()
  const v = scope.sym(s.v)
  const step = s.step === 1 ? `${v}++` : `${v} += ${s.step}`
  const hi = ixText(s.hi, around)
  // A bound that is more than a name, a number or a sum is computed once.
  const end = /[(*/%|]/.test(hi) ? scope.names.name('end') : undefined
  const head = `for (let ${v} = ${lo}${end === undefined ? '' : `, ${end} = ${hi}`}; ${v} < ${end ?? hi}; ${step})`
  return block(head, statements(s.body, scope.block(), p))
}

function block(head: string, body: readonly string[]): string[] {
  const short = body.length === 1 && !body[0].startsWith('//') && !/^(if|for|let|const) ?/.test(body[0]) && head.length + body[0].length < 110
  return short ? [`${head} ${body[0]}`] : [`${head} {`, ...indent(body), '}']
}
