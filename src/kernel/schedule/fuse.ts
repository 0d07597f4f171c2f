/** Two neighbouring loops over the same range become one. */
import type { Ix, Sym } from '../../types/ix.ts'
import { coefficientOf, con, of } from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import type { Expr, Local } from '../expr.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import { effectsOf, exprsOf, loadsOf, localsOf, mapExprs, mapper, visitStmts } from '../walk.ts'
import { IllegalSchedule, mapBlocks, outerAssigns } from './edit.ts'

/**
 * The body of `second` follows that of `first` in each iteration; declarations between the loops move in front. Legal if second reads what
 * first writes only at the same iteration's coordinates, and no local that first assigns.
 */
export function fuse(nest: NestKernel, first: Sym, second: Sym): NestKernel {
  let done = false
  const body = mapBlocks(nest.body, (block) => {
    const i = block.findIndex((s) => s.k === 'for' && s.v === first)
    const j = block.findIndex((s) => s.k === 'for' && s.v === second)
    if (i < 0 || j < 0) return block
    if (j < i) throw new IllegalSchedule('fuse', `${second.name} comes before ${first.name}`)
    const [a, b] = [block[i] as For, block[j] as For]
    if (a.lo !== b.lo || a.hi !== b.hi || a.step !== b.step || a.kind !== b.kind)
      throw new IllegalSchedule('fuse', 'the ranges differ')
    const between = block.slice(i + 1, j)
    const moved = mapExprs(b.body, mapper({ syms: new Map([[second, of(first)]]) }))
    check(a, between, moved)
    done = true
    const reduces = a.reduces || b.reduces ? { reduces: true } : {}
    return [...block.slice(0, i), ...between, { ...a, ...reduces, body: [...a.body, ...moved] }, ...block.slice(j + 1)]
  })
  if (!done) throw new IllegalSchedule('fuse', `${first.name} and ${second.name} are not loops of one block`)
  return { ...nest, body }
}

function check(a: For, between: readonly Stmt[], moved: readonly Stmt[]): void {
  const [ea, eb] = [effectsOf(a.body), effectsOf(moved)]
  const assigned = outerAssigns(a.body)
  const names = (body: readonly Stmt[]): boolean => {
    let uses = false
    visitStmts(body, (s) => exprsOf(s).forEach((e) => (uses ||= usesAny(e, assigned))))
    return uses
  }
  if (names(moved)) throw new IllegalSchedule('fuse', 'the second loop needs the whole fold of the first')
  for (const s of between) {
    const simple = s.k === 'let' || s.k === 'var' || s.k === 'alloc' || s.k === 'comment'
    const e = effectsOf([s])
    if (!simple || names([s]) || [...e.reads].some((r) => ea.writes.has(r)))
      throw new IllegalSchedule('fuse', 'what lies between the loops needs the first one')
  }
  for (const w of [...ea.writes, ...eb.writes]) {
    const shared = (ea.writes.has(w) && (eb.reads.has(w) || eb.writes.has(w))) || (eb.writes.has(w) && ea.reads.has(w))
    if (shared && !sameCoordinates(w, [...a.body, ...moved], a.v))
      throw new IllegalSchedule('fuse', `${w.name} is used at different coordinates`)
  }
  if (ea.barrier || eb.barrier) throw new IllegalSchedule('fuse', 'there is a barrier inside')
}

const usesAny = (e: Expr, vs: ReadonlySet<Local>): boolean => [...localsOf(e)].some((v) => vs.has(v))

/** All accesses of a buffer at one and the same place, which moves with the loop. */
function sameCoordinates(b: Buffer, body: readonly Stmt[], v: Sym): boolean {
  let place: readonly Ix[] | undefined
  let same = true
  const use = (at: readonly Ix[]): void => {
    place ??= at
    same &&= at.every((x, i) => x === place![i])
  }
  visitStmts(body, (s) => {
    exprsOf(s).forEach((e) => loadsOf(e).forEach((l) => l.buf === b && use(l.at)))
    if (s.k === 'store' && s.buf === b) use(s.at)
  })
  return same && place !== undefined && place.some((x) => coefficientOf(x, v)?.coef === con(1))
}
