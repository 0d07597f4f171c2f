/**
 * Statements that compute the same function of different values, side by side: an elementary function is one long chain, and a processor
 * looks only so far ahead. Their steps are printed in turn (measured: 30 % for four of tanh).
 */
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { operands } from '../../../src/kernel/expr.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import { exprsOf, loadsOf, localsOf, ownIndices } from '../../../src/kernel/walk.ts'
import type { Ix } from '../../../src/types/ix.ts'
import { isConst, sub, valuesOf } from '../../../src/types/ix.ts'
import { mathFunctions } from '../math.ts'

/** As many as registers hold. */
const most = 4

type Straight = Stmt & { readonly k: 'let' | 'var' | 'assign' | 'store' }
const isStraight = (s: Stmt): s is Straight => s.k === 'let' || s.k === 'var' || s.k === 'assign' || s.k === 'store'

/** Whether a function of `math.ts` is computed on lanes. */
export const isLong = (e: Expr): boolean =>
  (e.k === 'un' && e.lanes > 1 && e.f in mathFunctions) || operands(e).some(isLong)

/** The statements of a block in an order that means the same, those to be printed together as lists. */
export function interleaved(body: readonly Stmt[]): readonly (Stmt | readonly Stmt[])[] {
  const out: (Stmt | readonly Stmt[])[] = []
  for (let i = 0; i < body.length;) {
    let end = i
    while (end < body.length && isStraight(body[end])) end++
    if (end === i) out.push(body[i++])
    else {
      out.push(...run(body.slice(i, end) as Straight[]))
      i = end
    }
  }
  return out
}

/** Statements without loops and conditions. */
function run(body: readonly Straight[]): readonly (Stmt | readonly Stmt[])[] {
  const long = body.map((s) => isLong(s.e))
  if (long.filter(Boolean).length < 2) return body
  const notes = body.map(noteOf)
  const before = notes.map((n, i) => notes.flatMap((m, j) => (j < i && (needs(m, n) || waits(m, n)) ? [j] : [])))
  const shapes = body.map((s, i) => (long[i] ? `${s.k} ${shapeOf(s.e)}` : ''))
  const done = new Set<number>()
  const out: (Stmt | readonly Stmt[])[] = []
  /** What is missing before a statement that joins a group, in order. Its last step comes after theirs, so it may wait for them. */
  const missing = (i: number, group: readonly number[]): readonly number[] => {
    const found = new Set<number>()
    const visit = (j: number): void => {
      for (const k of before[j]) {
        if (done.has(k) || found.has(k) || (j === i && group.includes(k) && !needs(notes[k], notes[j]))) continue
        found.add(k)
        visit(k)
      }
    }
    visit(i)
    return [...found].sort((a, b) => a - b)
  }
  for (let i = 0; i < body.length; i++) {
    if (done.has(i)) continue
    const group = [i]
    for (let j = i + 1; long[i] && j < body.length && group.length < most; j++) {
      if (done.has(j) || shapes[j] !== shapes[i]) continue
      const first = missing(j, group)
      if (first.some((k) => long[k] || group.includes(k))) continue
      for (const k of first) {
        out.push(body[k])
        done.add(k)
      }
      group.push(j)
    }
    group.forEach((j) => done.add(j))
    out.push(group.length === 1 ? body[i] : group.map((j) => body[j]))
  }
  return out
}

interface Note {
  readonly uses: ReadonlySet<Local>
  readonly sets?: Local
  readonly loads: readonly (Expr & { k: 'load' })[]
  readonly store?: Stmt & { k: 'store' }
}
function noteOf(s: Straight): Note {
  const es = [...exprsOf(s), ...ownIndices(s).flatMap((x) => [...valuesOf(x)].map((v) => v.value as Expr))]
  const uses = new Set(es.flatMap((e) => [...localsOf(e)]))
  const loads = es.flatMap((e) => [...loadsOf(e)])
  return s.k === 'store' ? { uses, loads, store: s } : { uses, loads, sets: s.v }
}
/** Whether `b` uses what `a`, before it, sets or stores. */
function needs(a: Note, b: Note): boolean {
  if (a.sets !== undefined && (b.uses.has(a.sets) || b.sets === a.sets)) return true
  const { store } = a
  return store !== undefined && b.loads.some((l) => l.buf === store.buf && overlap(l.at[0], l.lanes, store.at[0], store.e.lanes)) // prettier-ignore
}
/** Whether `b` changes what `a`, before it, uses. What is stored may lie where another buffer was: no store passes a load. */
function waits(a: Note, b: Note): boolean {
  if (b.sets !== undefined && a.uses.has(b.sets)) return true
  const { store } = b
  if (store === undefined) return false
  if (a.loads.some((l) => l.buf !== store.buf || overlap(l.at[0], l.lanes, store.at[0], store.e.lanes))) return true
  return a.store?.buf === store.buf && overlap(a.store.at[0], a.store.e.lanes, store.at[0], store.e.lanes)
}
/** Whether flat ranges may share an element. */
function overlap(a: Ix, n: number, b: Ix, m: number): boolean {
  const d = isConst(sub(b, a))
  return d === undefined || (d < n && -d < m)
}

/** What is computed, whatever it is computed of. */
function shapeOf(e: Expr): string {
  switch (e.k) {
    case 'const':
      return String(e.value)
    case 'load':
      return `${e.buf.id}:${e.lanes}`
    case 'un':
    case 'bin':
    case 'across':
    case 'pairs':
      return `${e.f}(${operands(e).map(shapeOf).join()})`
    default:
      return `${e.k}:${e.of}:${e.lanes}(${operands(e).map(shapeOf).join()})`
  }
}
