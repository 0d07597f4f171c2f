/**
 * What every nest must keep to, checked after each rewrite in tests: binders are unique and in scope; every access is in range, by the
 * bounds of loops and dominating conditions; parallel iterations write disjoint elements; threads meet at barriers; limits hold.
 */
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, isConst, valuesOf } from '../types/ix.ts'
import { storageOf } from './address.ts'
import type { Buffer } from './buffer.ts'
import { bytesOf } from './buffer.ts'
import type { Expr, Lanes, Local } from './expr.ts'
import { operands, un } from './expr.ts'
import { Facts, visitFacts } from './facts.ts'
import { expandLanes, laneDistance } from './lanes.ts'
import type { For, NestKernel, Stmt } from './nest.ts'
import { makePrinter } from './print.ts'
import { races } from './races.ts'
import {
  exprsOf,
  indicesOf,
  localsOf,
  loadsOf,
  ownIndices,
  symbolsOfExpr,
  symbolsOfIx,
  tripCount,
  visitStmts,
} from './walk.ts'

export interface Issue {
  readonly rule: 'scope' | 'lanes' | 'range' | 'disjoint' | 'barrier' | 'limit'
  readonly message: string
}
export interface Limits {
  readonly threads: number
  readonly workgroupBytes: number
  readonly storageBuffers: number
}
/** The least that every WebGPU device has. */
export const webgpuLimits: Limits = { threads: 256, workgroupBytes: 16384, storageBuffers: 8 }

export interface VerifyOptions {
  readonly limits?: Limits
  /** What the host checks of the parameters before it runs the kernel. */
  readonly given?: readonly Expr[]
}

/** All violations. */
export function verify(nest: NestKernel, options: VerifyOptions = {}): readonly Issue[] {
  const start = Facts.given(nest.params, options.given ?? [])
  const scalar = expandLanes(nest)
  return [
    ...scopes(nest),
    ...(scalar === nest ? [] : neighbours(nest, start)),
    ...ranges(scalar, start),
    ...races(scalar, start),
    ...barriers(nest),
    ...(options.limits ? sizes(nest, options.limits) : []),
  ]
}

/** Throws with all messages if a nest is not well-formed. */
export function requireValid(nest: NestKernel, options: VerifyOptions = {}): void {
  const issues = verify(nest, options)
  if (issues.length > 0)
    throw new Error(`internal: ${nest.name} is not valid\n${issues.map((i) => `${i.rule}: ${i.message}`).join('\n')}`)
}

function scopes(nest: NestKernel): Issue[] {
  const issues: Issue[] = []
  const bad = (message: string): void => void issues.push({ rule: 'scope', message })
  const bound = new Set<object>()
  const bind = (x: object, name: string): void => {
    if (bound.has(x)) bad(`${name} is bound twice`)
    bound.add(x)
  }
  const go = (body: readonly Stmt[], outer: ReadonlySet<object>, outerVars: ReadonlySet<Local>): void => {
    const known = new Set(outer)
    const vars = new Set(outerVars)
    const ix = (x: Ix): void => {
      for (const s of symbolsOfIx(x)) if (!known.has(s)) bad(`${s.name} is used outside of its loop`)
      for (const v of valuesOf(x)) expr(v.value as Expr)
    }
    const expr = (e: Expr): void => {
      for (const v of localsOf(e)) if (!known.has(v)) bad(`${v.name} is used before it is declared`)
      for (const l of loadsOf(e)) if (!known.has(l.buf)) bad(`${l.buf.name} is neither an argument nor allocated`)
      for (const s of symbolsOfExpr(e)) if (!known.has(s)) bad(`${s.name} is used outside of its loop`)
    }
    for (const s of body) {
      ownIndices(s).forEach(ix)
      exprsOf(s).forEach(expr)
      if (s.k === 'for' || s.k === 'bind') bind(s.v, s.v.name)
      if (s.k === 'let' || s.k === 'var') bind(s.v, s.v.name)
      if (s.k === 'alloc') bind(s.buf, s.buf.name)
      if (s.k === 'for') go(s.body, new Set([...known, s.v]), vars)
      else if (s.k === 'if') go(s.body, known, vars)
      else if (s.k === 'let' || s.k === 'var' || s.k === 'bind') known.add(s.v)
      else if (s.k === 'alloc') known.add(s.buf)
      else if (s.k === 'assign' && !vars.has(s.v)) bad(`${s.v.name} is assigned but is no variable here`)
      else if (s.k === 'store' && !known.has(s.buf)) bad(`${s.buf.name} is neither an argument nor allocated`)
      if (s.k === 'var') vars.add(s.v)
    }
  }
  go(nest.body, new Set<object>([...nest.params, ...nest.args.map((a) => a.buffer)]), new Set())
  return issues
}

function ranges(nest: NestKernel, start: Facts): Issue[] {
  const issues = new Map<string, Issue>()
  const p = makePrinter()
  const access = (b: Buffer, at: readonly Ix[], facts: Facts): void => {
    at.forEach((x, d) => {
      const place = facts.refine(x)
      const [low, high] = [facts.proveLe(0, place), facts.proveLe(add(place, 1), facts.refine(b.shape[d]))]
      if (low && high) return
      const message = `${p.buffer(b)}[${at.map(p.ix).join(', ')}] may leave axis ${d}: ${low ? `no proof of ${p.ix(x)} < ${p.ix(b.shape[d])}` : `no proof of 0 <= ${p.ix(x)}`}`
      issues.set(message, { rule: 'range', message })
    })
  }
  const expr = (e: Expr, facts: Facts): void => {
    for (const x of indicesOf(e)) for (const v of valuesOf(x)) expr(v.value as Expr, facts)
    if (e.k === 'load') access(e.buf, e.at, facts)
    if (e.k === 'select') {
      expr(e.c, facts)
      expr(e.x, facts.assume(e.c))
      expr(e.y, facts.assume(un('not', e.c)))
      return
    }
    for (const x of operands(e)) expr(x, facts)
  }
  visitFacts(nest.body, start, (s, facts) => {
    exprsOf(s).forEach((e) => expr(e, facts))
    for (const x of ownIndices(s)) for (const v of valuesOf(x)) expr(v.value as Expr, facts)
    if (s.k === 'store') access(s.buf, s.at, facts)
  })
  return [...issues.values()]
}

/** The lanes of a vector access lie side by side in storage; a store has an axis exactly if it stores a vector; conditions are scalars. */
function neighbours(nest: NestKernel, start: Facts): Issue[] {
  const issues = new Map<string, Issue>()
  const p = makePrinter()
  const bad = (message: string): void => void issues.set(message, { rule: 'lanes', message })
  const access = (b: Buffer, at: readonly Ix[], lanes: Lanes, axis: number, facts: Facts): void => {
    const known = at.map((x) => facts.refine(x))
    for (let i = 1; i < lanes; i++) {
      if (laneDistance(b, known, axis, i) === con(i)) continue
      return bad(`${p.buffer(b)}[${p.coordinates(at, lanes, axis)}] are not known to be neighbours in storage`)
    }
  }
  visitFacts(nest.body, start, (s, facts) => {
    for (const e of [...exprsOf(s), ...ownIndices(s).flatMap((x) => [...valuesOf(x)].map((v) => v.value as Expr))])
      for (const l of loadsOf(e)) if (l.axis !== undefined) access(l.buf, l.at, l.lanes, l.axis, facts)
    if (s.k === 'store' && (s.axis === undefined) !== (s.e.lanes === 1))
      bad(`${p.buffer(s.buf)} is stored ${s.e.lanes} lanes ${s.axis === undefined ? 'along no axis' : 'as a vector'}`)
    if (s.k === 'store' && s.axis !== undefined) access(s.buf, s.at, s.e.lanes, s.axis, facts)
    if ((s.k === 'let' || s.k === 'var' || s.k === 'assign') && s.v.lanes !== s.e.lanes)
      bad(`${s.v.name} of ${s.v.lanes} lanes is given ${s.e.lanes}`)
    if (s.k === 'if' && s.c.lanes > 1) bad('a condition of several lanes')
  })
  return [...issues.values()]
}

/** Threads of one workgroup must pass the same barriers. */
function barriers(nest: NestKernel): Issue[] {
  const issues: Issue[] = []
  visitStmts(nest.body, (s, around) => {
    if (s.k === 'for' && (s.kind === 'unroll' || s.kind.startsWith('local.')) && tripCount(s) === undefined) {
      issues.push({ rule: 'limit', message: `the extent of ${s.v.name} (${s.kind}) is not constant` })
    }
    if (s.k !== 'barrier') return
    const threads = new Set(around.flatMap((a) => (a.k === 'for' && a.kind.startsWith('local.') ? [a.v] : [])))
    if (threads.size === 0) issues.push({ rule: 'barrier', message: 'a barrier outside of threads' })
    for (const a of around) {
      const uniform =
        a.k === 'if'
          ? isUniform(a.c, threads)
          : [a.lo, a.hi].every((x) => [...symbolsOfIx(x)].every((v) => !threads.has(v)) && valuesOf(x).size === 0)
      if (!uniform)
        issues.push({
          rule: 'barrier',
          message: `not all threads reach a barrier inside ${a.k === 'if' ? 'a condition' : `the loop over ${a.v.name}`}`,
        })
    }
  })
  return issues
}
const isUniform = (e: Expr, threads: ReadonlySet<Sym>): boolean =>
  localsOf(e).size === 0 && loadsOf(e).length === 0 && [...symbolsOfExpr(e)].every((s) => !threads.has(s))

function sizes(nest: NestKernel, limits: Limits): Issue[] {
  const issues: Issue[] = []
  const bad = (message: string): void => void issues.push({ rule: 'limit', message })
  if (nest.args.length > limits.storageBuffers) bad(`${nest.args.length} buffers, at most ${limits.storageBuffers}`)
  let bytes = 0
  visitStmts(nest.body, (s, around) => {
    if (s.k === 'alloc' && s.buf.space === 'workgroup')
      bytes += bytesOf(s.buf.of) * (isConst(storageOf(s.buf)) ?? Infinity)
    if (s.k !== 'for' || !s.kind.startsWith('local.')) return
    const outer = around.filter((a): a is For => a.k === 'for' && a.kind.startsWith('local.'))
    const threads = [...outer, s].reduce((n, l) => n * (tripCount(l) ?? Infinity), 1)
    if (threads > limits.threads) bad(`${threads} threads, at most ${limits.threads}`)
  })
  if (bytes > limits.workgroupBytes) bad(`${bytes} bytes of workgroup memory, at most ${limits.workgroupBytes}`)
  return issues
}
