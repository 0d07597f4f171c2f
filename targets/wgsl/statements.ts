/** The body of a thread: statements, loops with hoisted address bases, subexpressions computed once. */
import { atomIx, termIx } from '../../src/kernel/address.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../src/kernel/expr.ts'
import { operands } from '../../src/kernel/expr.ts'
import type { For, Stmt } from '../../src/kernel/nest.ts'
import { exprsOf, indicesOf, symbolsOfIx, visitExpr, visitStmts } from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { add, of, sub, valuesOf } from '../../src/types/ix.ts'
import type { Held, Load, Store } from './access.ts'
import { allocatedType, positionOf } from './access.ts'
import type { FoldCall } from './folds.ts'
import { foldAt } from './folds.ts'
import type { TailCall } from './recipes/contraction.ts'
import type { Scope } from './numbers.ts'
import { exprText, isPlain, ixText, storeIn, takenIn } from './numbers.ts'
import type { Names } from './text.ts'
import { comment, fill, indent } from './text.ts'
import type { Taken } from './kept-load.ts'
import { keyOf, takenBy } from './kept-load.ts'
import type { Words } from './words.ts'
import { invariantWords, repeatedWords } from './words.ts'

/** A sum that has a name. */
interface Base {
  readonly ix: Ix
  readonly name: string
}

/** What is known where a statement stands. */
export interface Block {
  readonly names: Names
  readonly scope: Scope
  /** Names of things declared here or outside. */
  readonly known: Map<object, string>
  /** Buffers declared here or outside. */
  readonly held: Map<Buffer, Held>
  readonly as: BlockParent['as']
  /** Sums that were computed before, innermost last. */
  readonly bases: Base[]
  /** Words of kept weights that were read before. */
  readonly words: Map<string, string>
  readonly barrier: readonly string[]
  readonly call: Call | undefined
  /** The function of a fold over the workgroup. */
  readonly folds: Folds | undefined
}
export interface Folds {
  readonly nameOf: (f: FoldCall) => string
}

/** A function, and the statements that are calls of it. */
export interface Call {
  readonly name: string
  readonly at: readonly TailCall[]
}

export interface BlockParent {
  readonly names: Names
  readonly known: ReadonlyMap<object, string>
  readonly held: ReadonlyMap<Buffer, Held>
  /** How a buffer is to be declared. */
  readonly as: (b: Buffer) => Held['as']
  readonly bases: readonly Base[]
  readonly words?: Words
  readonly barrier: readonly string[]
  readonly helper: Scope['helper']
  readonly call?: Call | undefined
  readonly folds?: Folds | undefined
}

export function openBlock(parent: BlockParent, names: Names = parent.names.child()): Block {
  const known = new Map(parent.known)
  const held = new Map(parent.held)
  const words = new Map(parent.words)
  const find = <K extends object, V>(map: ReadonlyMap<K, V>, thing: K, what: string): V => {
    const found = map.get(thing)
    if (found === undefined) throw new Error(`internal: ${what} is used before it is declared`)
    return found
  }
  const scope: Scope = {
    sym: (s) => find(known, s, s.name),
    local: (v) => find(known, v, v.name),
    held: (b) => find(held, b, b.name),
    helper: parent.helper,
    taken: (t) => words.get(keyOf(t)),
    shared: (e) => known.get(e),
    base: (x) => {
      for (let i = bases.length - 1; i >= 0; i--) {
        const rest = sub(x, bases[i].ix)
        if (rest.terms.length + bases[i].ix.terms.length === x.terms.length) return { name: bases[i].name, rest }
      }
      return undefined
    },
  }
  const bases = [...parent.bases]
  const { as, barrier, call, folds } = parent
  return { names, scope, known, held, as, bases, words, barrier, call, folds }
}

const declare = (b: Block, thing: object, wish: string): string => {
  const name = b.names.name(wish)
  b.known.set(thing, name)
  return name
}

export function statements(body: readonly Stmt[], b: Block): string[] {
  const lines: string[] = []
  const repeated = repeatedWords(body, b.words)
  for (let i = 0; i < body.length; i++) {
    lines.push(...readWords(repeated.get(body[i]) ?? [], b))
    const call = b.call?.at.find((c) => c.stmts[0] === body[i])
    if (call !== undefined) {
      const given = [...call.places.map((x) => ixText(x, b.scope)), ...call.values.map((e) => exprText(e, b.scope))]
      lines.push(`${b.call!.name}(${given.join(', ')});`)
      i += call.stmts.length - 1
      continue
    }
    const fold = b.folds && foldAt(body, i)
    if (fold !== undefined) {
      const { lines: before, inner } = share([fold.value], b)
      const value = exprText(fold.value, inner.scope)
      lines.push(
        ...before,
        `let ${declare(b, fold.result, fold.result.name)} = ${b.folds!.nameOf(fold)}(${b.scope.sym(fold.lane)}, ${value});`,
      )
      i += fold.stmts.length - 1
      continue
    }
    const next = body[i + 1]
    if (isWhole(body[i], next, b)) {
      lines.push(...vector(next, b))
      i++
      continue
    }
    const run = runOf(body, i)
    if (run.length >= 3) {
      lines.push(...fill(run.map((s) => statement(s, b).join(' '))))
      i += run.length - 1
    } else lines.push(...statement(body[i], b))
  }
  return lines
}

/** A private vector, and the statement that sets all of it. */
const isWhole = (s: Stmt, next: Stmt | undefined, b: Block): next is Store =>
  s.k === 'alloc' && next?.k === 'store' && next.buf === s.buf && next.e.lanes === 4 && b.as(s.buf) === 'vector'
function vector(s: Store, b: Block): string[] {
  const { lines, inner } = share([s.e], b)
  const e = exprText(s.e, inner.scope)
  const name = b.names.name(s.buf.name)
  b.held.set(s.buf, { name, as: 'vector' })
  return [...lines, `var ${name} = ${e};`]
}

/** Statements of one kind that need no line of their own: accumulators, their updates, loads into locals. */
function runOf(body: readonly Stmt[], from: number): readonly Stmt[] {
  const kind = body[from].k
  const simple = (s: Stmt): boolean =>
    s.k === kind &&
    (kind === 'var' ||
      kind === 'let' ||
      kind === 'assign' ||
      (s.k === 'store' && (s.buf.space === 'private' || s.e.k === 'local'))) &&
    exprsOf(s).every((e) => sharedIn(e).length === 0 && (kind !== 'let' || operands(e).length === 0))
  let to = from
  while (to < body.length && simple(body[to])) to++
  return body.slice(from, to)
}

/** Words of kept weights, and scales, read ahead. */
const readWords = (words: readonly Taken[], b: Block): string[] =>
  words.map((t) => {
    const text = takenIn(t, b.scope)
    const name = b.names.name(`${t.buf.name}_${t.half === undefined ? 'word' : 'scale'}`)
    b.words.set(keyOf(t), name)
    return `let ${name} = ${text};`
  })

function statement(s: Stmt, b: Block): string[] {
  switch (s.k) {
    case 'for':
      return loop(s, b)
    case 'let':
    case 'var': {
      const { lines, inner } = share([s.e], b)
      const e = exprText(s.e, inner.scope)
      return [...lines, `${s.k} ${declare(b, s.v, s.v.name)} = ${e};`]
    }
    case 'bind': {
      const text = ixText(s.ix, b.scope)
      return [`let ${declare(b, s.v, s.v.name)} = ${text};`]
    }
    case 'assign': {
      const { lines, inner } = share([s.e], b)
      return [...lines, `${assignment(b.scope.local(s.v), s.v, s.e, inner.scope)};`]
    }
    case 'store': {
      const { lines, inner } = share([s.e], b)
      const { e } = s
      const named = (): string => inner.names.name(s.buf.name)
      const own =
        e.k === 'bin' &&
        e.f === 'add' &&
        e.a.k === 'load' &&
        e.a.buf === s.buf &&
        e.a.axis === s.axis &&
        e.a.at.every((x, i) => x === s.at[i])
      return [...lines, ...(own ? storeIn(s, e.b, inner.scope, named, '+=') : storeIn(s, e, inner.scope, named))]
    }
    case 'if': {
      const { lines, inner } = share([s.c], b)
      return [...lines, ...braces(`if (${exprText(s.c, inner.scope)})`, statements(s.body, openBlock(parentOf(b))))]
    }
    case 'alloc': {
      const held: Held = { name: b.names.name(s.buf.name), as: b.as(s.buf) }
      b.held.set(s.buf, held)
      return [`var ${held.name}: ${allocatedType(s.buf, held)};`]
    }
    case 'barrier':
      return [...b.barrier]
    case 'comment':
      return [comment(s.text)]
  }
}

const parentOf = (b: Block): BlockParent => ({
  names: b.names,
  known: b.known,
  held: b.held,
  as: b.as,
  bases: b.bases,
  words: b.words,
  barrier: b.barrier,
  helper: b.scope.helper,
  call: b.call,
  folds: b.folds,
})

function assignment(name: string, v: Local, e: Expr, scope: Scope): string {
  const operator = e.k === 'bin' ? { add: '+=', sub: '-=', mul: '*=', div: '/=' }[e.f as string] : undefined
  if (e.k === 'bin' && operator !== undefined && scope.shared(e) === undefined) {
    const isSelf = (x: Expr): boolean => x.k === 'local' && x.v === v
    if (isSelf(e.a)) return `${name} ${operator} ${exprText(e.b, scope)}`
    if ((e.f === 'add' || e.f === 'mul') && isSelf(e.b)) return `${name} ${operator} ${exprText(e.a, scope)}`
  }
  return `${name} = ${exprText(e, scope)}`
}

const braces = (head: string, body: readonly string[]): string[] =>
  body.length === 1 && head.length + body[0].length < 100 && !/^(for|if|let|var|\/\/)/.test(body[0])
    ? [`${head} { ${body[0]} }`]
    : [`${head} {`, ...indent(body), '}']

// ---- subexpressions ----

/** Nodes of an expression that are used more than once and worth a name, operands first. */
function sharedIn(e: Expr): readonly Expr[] {
  const uses = new Map<Expr, number>()
  const order: Expr[] = []
  const use = (x: Expr): void => void uses.set(x, (uses.get(x) ?? 0) + 1)
  const seen = new Set<Expr>()
  const go = (x: Expr): void => {
    if (seen.has(x)) return
    seen.add(x)
    const below = [...operands(x), ...indicesOf(x).flatMap((i) => [...valuesOf(i)].map((v) => v.value as Expr))]
    for (const y of below) {
      use(y)
      go(y)
    }
    order.push(x)
  }
  go(e)
  return order.filter(
    (x) =>
      (uses.get(x) ?? 0) > 1 &&
      !(x.k === 'const' || x.k === 'local' || x.k === 'index' || x.k === 'splat') &&
      !(((x.k === 'un' && x.f === 'neg') || x.k === 'lane') && x.x.k === 'local'),
  )
}

/** Names for what an expression uses twice. */
function share(es: readonly Expr[], b: Block): { readonly lines: readonly string[]; readonly inner: Block } {
  const shared = es.flatMap(sharedIn).filter((e) => b.scope.shared(e) === undefined)
  if (shared.length === 0) return { lines: [], inner: b }
  const inner = openBlock(parentOf(b), b.names)
  const lines = shared.map((e) => {
    const text = exprText(e, inner.scope)
    const name = b.names.name(e.k === 'load' ? `${e.buf.name}_at` : e.of === 'bool' ? 'c' : 'x')
    inner.known.set(e, name)
    return `let ${name} = ${text};`
  })
  return { lines, inner }
}

// ---- loops ----

function loop(s: For, b: Block): string[] {
  const lines: string[] = []
  for (const { ix, name } of invariants(s, b)) {
    const text = ixText(ix, b.scope)
    if (isPlain(text)) continue
    const base = b.names.name(`${name}_base`)
    lines.push(`let ${base} = ${text};`)
    b.bases.push({ ix, name: base })
  }
  lines.push(...readWords(invariantWords(s, b.words, new Set(b.call?.at.flatMap((c) => c.stmts))), b))
  let hi = ixText(s.hi, b.scope)
  const lo = ixText(s.lo, b.scope)
  const inside = openBlock(parentOf(b))
  if (/[(*/%]/.test(hi)) {
    const end = b.names.name(`${s.v.name}_end`)
    lines.push(`let ${end} = ${hi};`)
    hi = end
  }
  const v = declare(inside, s.v, s.v.name)
  const step = s.step === 1 ? `${v}++` : `${v} += ${s.step}`
  return [...lines, ...braces(`for (var ${v} = ${lo}; ${v} < ${hi}; ${step})`, statements(s.body, inside))]
}

/** The elements or words of the declared array that a load reads. */
const positionsOf = (e: Load, held: Held): readonly Ix[] =>
  e.buf.layout?.kept
    ? takenBy(e).flatMap(({ word }) => (held.split ? [word.row, word.column] : [word.at]))
    : [positionOf(e, held)]

/** Parts of addresses inside a loop that it does not change, and a buffer to name each by. */
function invariants(s: For, { call, held, as }: Block): readonly { readonly ix: Ix; readonly name: string }[] {
  const bound = new Set<Sym>([s.v])
  const accesses: { readonly buf: Buffer; readonly ix: Ix }[] = []
  // What the loop allocates is declared later.
  const heldAs = (buf: Buffer): Held => held.get(buf) ?? { name: '', as: as(buf) }
  const visit = (e: Expr): void =>
    visitExpr(e, (x) => {
      if (x.k === 'load') accesses.push(...positionsOf(x, heldAs(x.buf)).map((ix) => ({ buf: x.buf, ix })))
    })
  const called = new Set<Stmt>(call?.at.flatMap((c) => c.stmts))
  visitStmts(s.body, (t, around) => {
    if (called.has(t) || around.some((x) => called.has(x))) return
    if (t.k === 'for' || t.k === 'bind') bound.add(t.v)
    exprsOf(t).forEach(visit)
    if (t.k === 'store') accesses.push({ buf: t.buf, ix: positionOf(t, heldAs(t.buf)) })
  })
  const found = new Map<Ix, string>()
  for (const { buf, ix } of accesses) {
    const kept = ix.terms.filter((t) =>
      t.atoms.every((a) => a.k !== 'value' && ![...symbolsOfIx(atomIx(a))].some((v) => bound.has(v))),
    )
    if (kept.length === ix.terms.length && kept.length < 2) continue
    if (!kept.some((t) => t.atoms.length > 1 || (t.atoms.length === 1 && (t.coef !== 1 || t.atoms[0].k !== 'sym'))))
      continue
    const base = kept.reduce<Ix>((sum, t) => add(sum, termIx(t)), of(0))
    if (!found.has(base)) found.set(base, buf.name)
  }
  return [...found].map(([ix, name]) => ({ ix, name }))
}
