/** A scheduled kernel as a function of the text format: byte addresses, then dims; pointers that loops step, named locals, structured loops. */
import { flatten, storageOf as sizeOf } from '../../../src/kernel/address.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Local } from '../../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import { withoutCopies } from '../../../src/kernel/schedule/index.ts'
import { effectsOf, visitStmts } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { con, isConst, mul, print, proveLt, range, sub, valuesOf } from '../../../src/types/ix.ts'
import type { Locals } from './names.ts'
import { locals } from './names.ts'
import { interleaved } from './interleave.ts'
import { namedConstants } from './constants.ts'
import type { Scope } from './numbers.ts'
import { bytesOf, expr, ix, named, place, storageOf, storedExpr, wasmType } from './numbers.ts'
import type { Access, Pointers } from './pointers.ts'
import { accessesOf, accessOf, nearest, pointers, stepping } from './pointers.ts'
import type { Printer } from './printer.ts'
import { globals } from './printer.ts'
import type { Sx } from './sexp.ts'
import { comment, fill, flat, format, get, i32, set, tee } from './sexp.ts'

/** A function of the module. It is called with a byte address for each argument, in order, then the params. */
export interface PrintedKernel {
  /** With the `$`. */
  readonly name: string
  readonly lines: readonly string[]
}

export function printKernel(kernel: NestKernel, p: Printer): PrintedKernel {
  const name = p.names.name(kernel.name)
  const { nest } = flatten(withoutCopies(kernel))
  const own = locals()
  const at = pointers()
  const known = new Map<object, string>()
  const params = nest.args.map((a, i): Sx[] => {
    const made = own.param(a.buffer.name)
    at.add(a.buffer, { local: made, covers: con(0) })
    const { buffer, access } = kernel.args[i]
    const suffix = access === 'read' ? '' : access === 'write' ? ', result' : ', updated'
    return [['param', made, 'i32'], ...comment(shapeText(buffer) + suffix)]
  })
  for (const { buffer, of } of nest.views ?? []) at.add(buffer, { local: at.of(of)[0].local, covers: con(0) })
  const dims = nest.params.map((s): Sx => {
    known.set(s, own.param(s.name))
    return ['param', known.get(s)!, 'i32']
  })
  const body: Sx[] = allocations(nest, own, at, p, name)
  const context: Context = { p, own, known, pointers: at, out: body, shared: () => 0 }
  if (!hasThreads(nest.body)) body.push(['if', ['global.get', globals.thread], ['then', ['return']]])
  statements(nest.body, context, hasThreads(nest.body))
  const constants = namedConstants(body, own.constant)
  const declared = own.declared().map(([n, t]): Sx => ['local', n, t])
  const lines = [
    ...kernel.doc.flatMap((l) => comment(l)),
    `(func ${name}`,
    ...params.map(([decl, ...shape]) => `  ${flat(decl)} ${shape.join(' ')}`),
    ...fill(dims.map(flat), '  '),
    ...fill(declared.map(flat), '  '),
    ...constants.flatMap((s) => format(s, 1)),
    ')',
  ]
  return { name, lines }
}

/** `[768, 3072] as panels of 4`. */
const shapeText = (b: Buffer): string =>
  `[${b.shape.map((x) => print(x)).join(', ')}]${b.layout === undefined || b.layout.name === 'rows' ? '' : ` as ${b.layout.name}`}`

interface Context {
  readonly p: Printer
  readonly own: Locals
  readonly known: Map<object, string>
  readonly pointers: Pointers
  readonly out: Sx[]
  /** Where pointers are made: before `out`, where statements are printed side by side. */
  readonly early?: Sx[]
  /** How often the block makes an access. */
  readonly shared: (a: Access) => number
}

function scopeOf(c: Context): Scope {
  const named = (thing: Sym | Local): string => {
    const found = c.known.get(thing)
    if (found === undefined) throw new Error(`internal: ${thing.name} is not bound where it is used`)
    return found
  }
  return {
    p: c.p,
    sym: named,
    local: named,
    temp: c.own.local,
    out: c.out,
    address: (b, offset, scope) => addressOf(accessOf(b, offset), c, scope),
    under: (out) => scopeOf({ ...c, out, early: undefined, pointers: c.pointers.inside() }),
  }
}

/** The address of an access; made into a pointer where the block needs it more than once. */
function addressOf(a: Access, c: Context, scope: Scope): { readonly base: Sx; readonly offset: number } {
  const bytes = bytesOf(a.buf)
  const from = nearest(c.pointers.of(a.buf), a.rest)
  if (from === undefined) throw new Error(`internal: ${a.buf.name} has no address`)
  const missing = sub(a.rest, from.covers)
  const offset = a.constant * bytes
  if (isConst(missing) === 0) return { base: get(from.local), offset }
  if (c.shared(a) < 2 || valuesOf(missing).size > 0) return { base: sumOf(from.local, missing, bytes, scope), offset }
  const early: Context = { ...c, out: c.early ?? c.out }
  const base = sumOf(from.local, missing, bytes, scopeOf(early))
  return { base: get(point(a.buf, a.rest, base, early)), offset }
}
const sumOf = (pointer: string, missing: Ix, bytes: number, scope: Scope): Sx => {
  const n = isConst(missing)
  if (n !== undefined && n < 0) return ['i32.sub', get(pointer), i32(-n * bytes)]
  return ['i32.add', get(pointer), ix(mul(missing, bytes), scope)]
}
/** A new pointer. */
function point(b: Buffer, covers: Ix, base: Sx, c: Context): string {
  const made = c.own.local(`${b.name}_at`, 'i32')
  c.out.push(set(made, base))
  c.pointers.add(b, { local: made, covers })
  return made
}

/** Private storage lies in this thread's scratch. */
function allocations(nest: NestKernel, own: Locals, at: Pointers, p: Printer, kernel: string): Sx[] {
  const lines: Sx[] = []
  let bytes = 0
  visitStmts(nest.body, (s) => {
    if (s.k !== 'alloc') return
    const n = isConst(sizeOf(s.buf))
    if (n === undefined) throw new Error(`internal: private storage of ${s.buf.name} in ${kernel} has no constant size`)
    const local = own.local(s.buf.name, 'i32')
    const base: Sx = ['global.get', globals.scratch]
    lines.push(set(local, bytes === 0 ? base : ['i32.add', base, i32(bytes)]))
    at.add(s.buf, { local, covers: con(0) })
    bytes += Math.ceil((n * bytesOf(s.buf)) / 16) * 16
  })
  p.scratch(bytes)
  return lines
}

const isThread = (s: Stmt): boolean => s.k === 'for' && (s.kind === 'thread' || s.kind === 'thread.each')
export const hasThreads = (body: readonly Stmt[]): boolean =>
  body.some((s) => isThread(s) || ((s.k === 'for' || s.k === 'if') && hasThreads(s.body)))

/** A block of statements. Pointers and names made in it end with it. */
function block(body: readonly Stmt[], c: Context, shares: boolean): void {
  c.own.open()
  statements(body, { ...c, pointers: c.pointers.inside() }, shares)
  c.own.close()
}

function statements(body: readonly Stmt[], around: Context, shares: boolean): void {
  const counts = new Map<string, number>()
  for (const a of accessesOf(body, false)) {
    const key = `${a.buf.id}:${a.rest.id}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const c: Context = { ...around, shared: (a) => counts.get(`${a.buf.id}:${a.rest.id}`) ?? 0 }
  for (const s of interleaved(body)) {
    if ('k' in s) statement(s, c, shares)
    else
      side(
        s.map((t) => {
          const out: Sx[] = []
          statement(t, { ...c, out, early: c.out }, shares)
          return out
        }),
        c.out,
      )
  }
}

/** Steps of several statements, in turn. */
function side(parts: readonly (readonly Sx[])[], out: Sx[]): void {
  const longest = Math.max(...parts.map((p) => p.length))
  for (let i = 0; i < longest; i++) for (const p of parts) if (i < p.length) out.push(p[i])
}

function statement(s: Stmt, c: Context, shares: boolean): void {
  const { out } = c
  // Where threads share the work of a kernel, what is not shared is done by one of them.
  if (shares && isGlobalWrite(s) && !hasThreads([s])) {
    const inside: Sx[] = []
    statements([s], { ...c, out: inside, pointers: c.pointers.inside() }, false)
    out.push(['if', ['i32.eqz', ['global.get', globals.thread]], ['then', ...inside]])
    return
  }
  const scope = scopeOf(c)
  switch (s.k) {
    case 'for':
      loop(s, c, shares)
      break
    case 'let':
    case 'var': {
      const value = expr(s.e, scope)
      out.push(set(bindLocal(s.v, c), value))
      break
    }
    case 'assign':
      out.push(set(scope.local(s.v), expr(s.e, scope)))
      break
    case 'bind': {
      const value = ix(s.ix, scope)
      out.push(set(bindSym(s.v, c), value))
      break
    }
    case 'store': {
      const value = storedExpr(s.e, scope)
      const op = wasmType(s.e.of, s.e.lanes) === 'v128' ? 'v128.store' : `${storageOf(s.buf.of).type}.store`
      out.push([op, ...place(s.buf, s.at[0], scope), value])
      break
    }
    case 'if': {
      const condition = expr(s.c, scope)
      const inside: Sx[] = []
      block(s.body, { ...c, out: inside, early: undefined }, shares)
      if (inside.length > 0) out.push(['if', condition, ['then', ...inside]])
      break
    }
    case 'comment':
      out.push(...comment(s.text))
      break
    case 'alloc':
      break
    case 'barrier':
      throw new Error('internal: a barrier inside a kernel')
  }
}
const isGlobalWrite = (s: Stmt): boolean => [...effectsOf([s]).writes].some((b) => b.space === 'global')

function bindLocal(v: Local, c: Context): string {
  const made = c.own.local(v.name, wasmType(v.of, v.lanes))
  c.known.set(v, made)
  return made
}
function bindSym(v: Sym, c: Context): string {
  const made = c.own.local(v.name, 'i32')
  c.known.set(v, made)
  return made
}

function loop(s: For, around: Context, shares: boolean): void {
  if (s.kind !== 'serial' && s.kind !== 'unroll' && !isThread(s)) throw new Error(`internal: a loop of kind ${s.kind}`)
  around.own.open()
  const c: Context = { ...around, pointers: around.pointers.inside() }
  const { out } = c
  const scope = scopeOf(c)
  const bytes = (b: Buffer, x: Ix): Ix => mul(x, bytesOf(b))
  const first = rangeOf(s, c, scope)
  const moves = stepping(s, c.pointers.of)
  for (const { buf, covers } of moves.fixed) {
    const { base } = addressOf({ buf, rest: covers, constant: 0 }, { ...c, shared: () => 0 }, scope)
    point(buf, covers, base, c)
  }
  // Pointers that move start where the first iteration is, which the symbol of the loop holds by now.
  const moving = moves.moving.map((m) => {
    const start = s.kind === 'serial' && isConst(s.lo) !== undefined ? m.start : m.covers
    const { base } = addressOf({ buf: m.buf, rest: start, constant: 0 }, { ...c, shared: () => 0 }, scope)
    const local = c.own.local(`${m.buf.name}_at`, 'i32')
    out.push(set(local, base))
    const step = named(ix(bytes(m.buf, m.step), scope), 'i32', scope, 'step')
    return { ...m, local, step }
  })
  for (const m of moving) c.pointers.add(m.buf, { local: m.local, covers: m.covers })
  const inside: Sx[] = []
  block(s.body, { ...c, out: inside, early: undefined }, shares && !isThread(s))
  for (const m of moving) inside.push(set(m.local, ['i32.add', get(m.local), m.step]))
  inside.push(['br_if', first.v, ['i32.lt_s', tee(first.v, ['i32.add', get(first.v), first.step]), first.end]])
  const whole: Sx = ['loop', first.v, ...inside]
  if (s.kind === 'serial' && proveLt(s.lo, s.hi)) out.push(whole)
  else out.push(['if', ['i32.lt_s', get(first.v), first.end], ['then', whole]])
  around.own.close()
}

/** Sets a loop's symbol to its first value; gives its name, its end and its step. */
function rangeOf(s: For, c: Context, scope: Scope): { readonly v: string; readonly end: Sx; readonly step: Sx } {
  const { out } = c
  const lo = ix(s.lo, scope)
  const hi = ix(s.hi, scope)
  const v = bindSym(s.v, c)
  const endOf = (x: Sx): Sx => named(x, 'i32', scope, `${s.v.name}_end`)
  switch (s.kind) {
    case 'thread': {
      const extent = sub(s.hi, s.lo)
      const count = s.step === 1 ? ix(extent, scope) : stepsText(extent, s.step, scope)
      const positive = range(extent).lo >= 0 ? count : clamped(named(count, 'i32', scope, 'count'))
      const n = named(positive, 'i32', scope, 'count')
      const from = (thread: Sx): Sx => {
        const share: Sx = ['call', c.p.helper('share'), n, thread]
        const scaled: Sx = s.step === 1 ? share : ['i32.mul', share, i32(s.step)]
        return isConst(s.lo) === 0 ? scaled : ['i32.add', lo, scaled]
      }
      const thread: Sx = ['global.get', globals.thread]
      out.push(set(v, from(thread)))
      const end = c.own.local(`${s.v.name}_end`, 'i32')
      out.push(set(end, from(['i32.add', thread, i32(1)])))
      return { v, end: get(end), step: i32(s.step) }
    }
    case 'thread.each': {
      const scaled = (x: Sx): Sx => (s.step === 1 ? x : ['i32.mul', x, i32(s.step)])
      const end = endOf(hi)
      out.push(set(v, ['i32.add', lo, scaled(['global.get', globals.thread])]))
      const step = named(scaled(['global.get', globals.threads]), 'i32', scope, 'step')
      return { v, end, step }
    }
    default: {
      const end = endOf(hi)
      out.push(set(v, lo))
      return { v, end, step: i32(s.step) }
    }
  }
}
const stepsText = (extent: Ix, step: number, scope: Scope): Sx => {
  const n = isConst(extent)
  if (n !== undefined) return i32(Math.ceil(n / step))
  const shift = Math.log2(step)
  const padded: Sx = ['i32.add', ix(extent, scope), i32(step - 1)]
  return Number.isInteger(shift) ? ['i32.shr_s', padded, i32(shift)] : ['i32.div_s', padded, i32(step)]
}
const clamped = (x: Sx): Sx => ['select', x, i32(0), ['i32.gt_s', x, i32(0)]]
