/** A scheduled kernel as a function: typed parameters, hoisted bases, named locals, plain `for` loops. */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { storageOf } from '../../../src/kernel/address.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import { exprsOf, ownIndices, symbolsOfExpr, symbolsOfIx, visitStmts } from '../../../src/kernel/walk.ts'
import { operands } from '../../../src/kernel/expr.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, isConst, print, substitute } from '../../../src/types/ix.ts'
import type { Induction } from './addresses.ts'
import { address } from './addresses.ts'
import type { Copy } from './copies.ts'
import { copyOf } from './copies.ts'
import { exprText, flat, ixText, storedText } from './numbers.ts'
import type { Scope } from './numbers.ts'
import { sumsAt, sumsFunction } from './sums.ts'
import type { Printer } from '../printer.ts'
import { arrayOf, scratchOf } from '../printer.ts'
import type { Names } from '../text.ts'
import { commentText, docComment, fill, indent } from '../text.ts'

/** How a printed kernel is called: buffers in the order of `args`, then the params. */
export interface PrintedKernel {
  readonly name: string
  readonly lines: readonly string[]
}

export function printKernel(kernel: NestKernel, p: Printer): PrintedKernel {
  const name = p.names.name(kernel.name)
  const { nest, inductions } = address(kernel)
  const scope = functionScope(p, name, inductions)
  // The first use of a name gets it, so parameters are named before anything else.
  const params = [
    ...nest.args.map((a, i) => {
      const b = kernel.args[i]
      const access = b.access === 'read' ? '' : b.access === 'write' ? ', result' : ', updated'
      return [`${scope.buffer(a.buffer)}${p.type(arrayOf(a.buffer.of))},`, `${shapeText(b.buffer)}${access}`]
    }),
  ]
  const dims = nest.params.map((s) => `${scope.sym(s)}${p.type('number')},`)
  const head = [
    `function ${name}(`,
    ...indent(params.map(([text, shape]) => `${text} // ${shape}`)),
    ...(dims.length > 0 ? indent([dims.join(' ')]) : []),
    `)${p.type('void')} {`,
  ]
  return { name, lines: [...shortDoc(kernel.doc), ...head, ...indent(statements(nest.body, scope, p)), '}'] }
}

/** A label and where it is from on one line, where they fit. */
const shortDoc = (doc: readonly string[]): readonly string[] => {
  const line = doc.length === 2 ? `${doc[0]} (${doc[1]})` : ''
  return docComment(line !== '' && line.length < 110 && !/[\r\n\u2028\u2029]/.test(line) ? [line] : doc)
}

/** `[768, 3072] as panels of 4`. */
const shapeText = (b: Buffer): string =>
  commentText(
    `[${b.shape.map((x) => print(x)).join(', ')}]${b.layout === undefined || b.layout.name === 'rows' ? '' : ` as ${b.layout.name}`}`,
  )

interface FunctionScope extends Scope {
  readonly names: Names
  readonly allocate: (b: Buffer) => void
  readonly inductions: ReadonlyMap<Sym, readonly Induction[]>
  /** A scope for a block: its names may be used again after it. */
  readonly block: () => FunctionScope
}
function functionScope(p: Printer, kernel: string, inductions: ReadonlyMap<Sym, readonly Induction[]>): FunctionScope {
  const known = new Map<object, string>()
  const scratches = new Set<string>()
  const allocate = (b: Buffer): void => {
    const size = isConst(storageOf(b))
    if (size === undefined) throw new Error(`internal: private storage of ${b.name} in ${kernel} has no constant size`)
    // V8 moves arrays of up to 64 bytes about, so their place is no constant to it.
    const length = Math.max(size, 16)
    // Other kernels may use the same storage, another buffer of this one may not.
    let name = p.scratch(b.name, scratchOf(b.of), length)
    for (let n = 2; scratches.has(name); n++) name = p.scratch(`${b.name}${n}`, scratchOf(b.of), length)
    scratches.add(name)
    known.set(b, name)
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
      inductions,
      block: () => make(own.child()),
    }
  }
  return make(p.names.child())
}

function statements(body: readonly Stmt[], scope: FunctionScope, p: Printer): string[] {
  const lines: string[] = []
  for (let i = 0; i < body.length; i++) {
    const s = body[i]
    const sums = s.k === 'var' ? sumsAt(body, i) : undefined
    if (sums !== undefined) {
      i += sums.length - 1
      const later = symbolsIn(body.slice(i + 1))
      const start = substitute(
        sums.start,
        new Map<Sym, Ix>(sums.binds.flatMap((b) => (b.k === 'bind' ? [[b.v, b.ix]] : []))),
      )
      lines.push(...statements(sums.binds.filter((b) => b.k === 'bind' && later.has(b.v)), scope, p)) // prettier-ignore
      lines.push(`${sumsFunction(sums, scope.buffer, p)}(${ixText(start, scope)})`)
      continue
    }
    switch (s.k) {
      case 'for': {
        const copy = copyOf(s, (v) => scope.inductions.has(v))
        lines.push(...(copy === undefined ? loop(s, scope, p) : [copyText(copy, scope)]))
        break
      }
      case 'var': {
        // Accumulators that start together are declared together.
        const group = [s]
        while (group.length < 64) {
          const next = body[i + 1]
          if (next?.k !== 'var') break
          group.push(next)
          i++
        }
        const text = fill(
          group.map((v) => `${scope.local(v.v)} = ${exprText(v.e, scope)}`),
          108,
        )
          .join('\n    ')
          .replace(/,$/, '')
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

function copyText(copy: Copy, scope: FunctionScope): string {
  const [from, to] = [scope.buffer(copy.from), scope.buffer(copy.to)]
  const run = `${from}.subarray(${ixText(copy.fromAt, scope)}, ${ixText(add(copy.fromAt, copy.count), scope)})`
  return `${to}.set(${run}${copy.toAt === con(0) ? '' : `, ${ixText(copy.toAt, scope)}`})`
}

/** The symbols that statements mention. */
function symbolsIn(body: readonly Stmt[]): Set<Sym> {
  const found = new Set<Sym>()
  visitStmts(body, (s) => {
    for (const x of ownIndices(s)) symbolsOfIx(x).forEach((v) => found.add(v))
    for (const e of exprsOf(s)) symbolsOfExpr(e).forEach((v) => found.add(v))
  })
  return found
}

function assignment(name: string, v: Local, e: Expr, scope: Scope): string {
  const operator = e.k === 'bin' ? { add: '+=', sub: '-=', mul: '*=', div: '/=' }[e.f as string] : undefined
  if (e.k === 'bin' && operator !== undefined) {
    const isSelf = (x: Expr): boolean => x.k === 'local' && x.v === v
    if (isSelf(e.a) && !mentions(e.b, v)) return `${name} ${operator} ${exprText(e.b, scope)}`
    if ((e.f === 'add' || e.f === 'mul') && isSelf(e.b) && !mentions(e.a, v))
      return `${name} ${operator} ${exprText(e.a, scope)}`
  }
  return `${name} = ${exprText(e, scope)}`
}
const mentions = (e: Expr, v: Local): boolean =>
  (e.k === 'local' && e.v === v) || operands(e).some((x) => mentions(x, v))

function loop(s: For, around: FunctionScope, p: Printer): string[] {
  const moving = scopeTexts(around.inductions.get(s.v) ?? [], around)
  const lo = ixText(s.lo, around)
  const hi = ixText(s.hi, around)
  const scope = around.block()
  const v = scope.sym(s.v)
  const starts = [`${v} = ${lo}`, ...moving.map((m) => `${scope.sym(m.v)} = ${m.start}`)]
  const steps = [s.step === 1 ? `${v}++` : `${v} += ${s.step}`, ...moving.map((m) => `${scope.sym(m.v)} += ${m.step}`)]
  // A bound that is more than a name, a number or a sum is computed once.
  const end = /[(*/%|]/.test(hi) ? scope.names.name('end') : undefined
  if (end !== undefined) starts.push(`${end} = ${hi}`)
  const head = `for (let ${starts.join(', ')}; ${v} < ${end ?? hi}; ${steps.join(', ')})`
  const lines =
    head.length <= 116
      ? [head]
      : [`for (`, `  let ${starts.join(', ')};`, `  ${v} < ${end ?? hi};`, `  ${steps.join(', ')}`, ')']
  const whole = block(lines[lines.length - 1], statements(s.body, scope.block(), p))
  return [...lines.slice(0, -1), ...whole]
}
const scopeTexts = (list: readonly Induction[], scope: Scope): { v: Sym; start: string; step: string }[] =>
  list.map((i) => ({ v: i.v, start: ixText(i.start, scope), step: ixText(i.step, scope) }))

function block(head: string, body: readonly string[]): string[] {
  const short =
    body.length === 1 &&
    !body[0].startsWith('//') &&
    !/^(if|for|let|const) ?/.test(body[0]) &&
    head.length + body[0].length < 110
  if (body.length === 0) return [`${head} {}`]
  return short ? [`${head} ${body[0]}`] : [`${head} {`, ...indent(body), '}']
}
