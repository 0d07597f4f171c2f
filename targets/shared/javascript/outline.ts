/**
 * The inner loops of register tiles as functions: what is the same text in several kernels, up to which arrays it reads, where and how
 * far, is printed once. A segment is sums in locals, one loop that feeds them, and stores of the sums.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Local } from '../../../src/kernel/expr.ts'
import type { For, Stmt } from '../../../src/kernel/nest.ts'
import { exprsOf, loadsOf, localsOf, symbolsOfExpr, visitStmts } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { isConst, of, sym } from '../../../src/types/ix.ts'
import type { Induction } from './addresses.ts'

export interface Segment {
  /** How many statements it replaces. */
  readonly length: number
  readonly body: readonly Stmt[]
  readonly inductions: readonly Induction[]
  /** Arrays and numbers that it takes, and what this kernel gives. */
  readonly buffers: readonly Buffer[]
  readonly numbers: readonly { readonly sym: Sym; readonly value: Ix; readonly name: string }[]
  /** Names of addresses that it replaces, and that statements after it may use too. */
  readonly binds: readonly (Stmt & { k: 'bind' })[]
  /** `4x4`, `8`. */
  readonly shape: string
}

/** A segment that starts at statement `i`, if there is one. */
export function segmentAt(
  body: readonly Stmt[],
  i: number,
  inductions: ReadonlyMap<Sym, readonly Induction[]>,
): Segment | undefined {
  let at = i
  while (body[at]?.k === 'var') at++
  const sums = at - i
  const binds: (Stmt & { k: 'bind' })[] = []
  for (let s = body[at]; s?.k === 'bind'; s = body[++at]) binds.push(s)
  const loop = body[at]
  if (sums < 4 || loop?.k !== 'for' || loop.body.some((s) => s.k !== 'let' && s.k !== 'assign')) return undefined
  const first = at + 1
  for (at = first; body[at]?.k === 'store'; at++);
  const stores = body.slice(first, at)
  if (
    stores.length !== sums ||
    !stores.every(
      (s) =>
        s.k === 'store' &&
        s.buf.space === 'private' &&
        s.at.every((x) => isConst(x) !== undefined) &&
        s.e.k === 'local',
    )
  ) {
    return undefined
  }
  const buffers = new Set<Buffer>()
  const free = new Set<Sym>()
  const own = new Set<Sym>([loop.v, ...(inductions.get(loop.v) ?? []).map((m) => m.v)])
  const inner = new Set<Local>()
  for (const s of [...body.slice(i, i + sums), ...loop.body]) if (s.k === 'var' || s.k === 'let') inner.add(s.v)
  let alone = true
  visitStmts([loop], (s) => {
    for (const e of exprsOf(s)) {
      for (const l of loadsOf(e)) buffers.add(l.buf)
      for (const v of symbolsOfExpr(e)) if (!own.has(v)) free.add(v)
      for (const v of localsOf(e)) alone &&= inner.has(v)
    }
  })
  if (!alone || [...buffers].some((b) => b.space !== 'global')) return undefined
  const numbers = [...free].map((v, i) => ({ sym: v, value: binds.find((b) => b.v === v)?.ix ?? of(v), name: `i${i}` }))
  const count = sym('n', { lo: 0, role: 'param' })
  numbers.push({ sym: count, value: loop.hi, name: 'n' })
  const moving = (inductions.get(loop.v) ?? []).map((m): Induction => {
    const start = sym(`${m.v.name}0`, { lo: 0, role: 'param' })
    numbers.push({ sym: start, value: m.start, name: 'start' })
    return { ...m, start: of(start) }
  })
  if (moving.some((m) => isConst(m.step) === undefined) || isConst(loop.lo) !== 0) return undefined
  const inside: For = { ...loop, hi: of(count) }
  return {
    length: at - i, body: [...body.slice(i, i + sums), inside, ...stores], inductions: moving, buffers: [...buffers], numbers, binds,
    shape: sums === 16 ? '4x4' : String(sums),
  } // prettier-ignore
}
