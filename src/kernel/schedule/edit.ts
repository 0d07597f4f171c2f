/** What the rewrites of this folder share: finding a loop by its symbol, replacing it, and saying why something is illegal. */
import type { Sym } from '../../types/ix.ts'
import type { Local } from '../expr.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import { findLoop, mapStmts, visitStmts } from '../walk.ts'

/** A rewrite that would change what a nest computes, or cannot be done. The message is the reason. */
export class IllegalSchedule extends Error {
  constructor(rewrite: string, reason: string) {
    super(`${rewrite}: ${reason}`)
    this.name = 'IllegalSchedule'
  }
}

/** Replaces the loop over `v` by statements. */
export function replaceLoop(nest: NestKernel, v: Sym, f: (loop: For) => readonly Stmt[]): NestKernel {
  findLoop(nest.body, v)
  return { ...nest, body: mapStmts(nest.body, (s) => (s.k === 'for' && s.v === v ? f(s) : [s])) }
}

/** Locals that statements assign but do not declare: what makes iterations depend on each other. */
export function outerAssigns(body: readonly Stmt[]): ReadonlySet<Local> {
  const declared = new Set<Local>()
  const assigned = new Set<Local>()
  visitStmts(body, (s) => {
    if (s.k === 'let' || s.k === 'var') declared.add(s.v)
    if (s.k === 'assign') assigned.add(s.v)
  })
  return new Set([...assigned].filter((v) => !declared.has(v)))
}

/** Throws unless the iterations of a loop may run in any order, or interleaved. */
export function requireIndependent(rewrite: string, loop: For): void {
  if (loop.reduces) throw new IllegalSchedule(rewrite, `iterations over ${loop.v.name} are joined by a fold`)
  const shared = [...outerAssigns(loop.body)]
  if (shared.length > 0)
    throw new IllegalSchedule(
      rewrite,
      `iterations over ${loop.v.name} all assign ${shared.map((v) => v.name).join(', ')}`,
    )
}

/** Rewrites every statement list, innermost first. */
export function mapBlocks(body: readonly Stmt[], f: (block: readonly Stmt[]) => readonly Stmt[]): readonly Stmt[] {
  return f(mapStmts(body, (s) => (s.k === 'for' || s.k === 'if' ? [{ ...s, body: f(s.body) }] : [s])))
}
