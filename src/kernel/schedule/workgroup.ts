/** Tiles in workgroup memory: the threads copy what all of them read in one iteration of a loop, then read the copy. */
import type { Ix, Sym } from '../../types/ix.ts'
import {
  add,
  con,
  floorDiv,
  isConst,
  min,
  mod,
  mul,
  of,
  proveLe,
  range,
  sub,
  substitute,
  valuesOf,
} from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import { newBuffer } from '../buffer.ts'
import { load } from '../expr.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import {
  effectsOf,
  exprsOf,
  loadsOf,
  loopSymbol,
  mapExprs,
  mapper,
  symbolsOfIx,
  tripCount,
  visitStmts,
} from '../walk.ts'
import { IllegalSchedule, replaceLoop } from './edit.ts'

/**
 * In each iteration of the serial loop over `v`, copies the tiles of `buffers` that its body loads. A coordinate is split into a part that
 * all threads share and the rest, which threads and inner loops vary within constant bounds. Coordinates beyond the buffer are clamped:
 * the elements there are not used, because what uses them is clamped or guarded itself.
 */
export function stageWorkgroup(nest: NestKernel, v: Sym, buffers: readonly Buffer[]): NestKernel {
  const threads: For[] = []
  let target: For | undefined
  visitStmts(nest.body, (s, around) => {
    if (s.k !== 'for' || s.v !== v) return
    target = s
    for (const a of around) if (a.k === 'for' && a.kind.startsWith('local.')) threads.push(a)
    if (around.some((a) => a.k === 'if'))
      throw new IllegalSchedule('stageWorkgroup', `the loop over ${v.name} is under a condition`)
  })
  if (target === undefined) throw new Error(`internal: no loop over ${v.name}`)
  if (threads.length === 0) throw new IllegalSchedule('stageWorkgroup', 'there are no threads around the loop')
  const varying = new Set<Sym>(threads.map((t) => t.v))
  visitStmts(target.body, (s) => {
    if (s.k === 'for') varying.add(s.v)
  })
  for (const bound of [target.lo, target.hi]) {
    if ([...symbolsOfIx(bound)].some((s) => varying.has(s)))
      throw new IllegalSchedule('stageWorkgroup', `threads run different iterations of ${v.name}`)
  }
  const effects = effectsOf(target.body)
  const allocs: Stmt[] = []
  const copies: Stmt[] = []
  const tiles = new Map<Buffer, { readonly tile: Buffer; readonly base: readonly Ix[] }>()
  for (const b of buffers) {
    if (effects.writes.has(b)) throw new IllegalSchedule('stageWorkgroup', `${b.name} is written in the loop`)
    const parts = accesses(target, b).map((at) => at.map((x, d) => decompose(b, x, d, varying)))
    if (parts.length === 0)
      throw new IllegalSchedule('stageWorkgroup', `${b.name} is not loaded in the loop over ${v.name}`)
    const base = parts[0].map((p) => p.base)
    if (parts.some((p) => p.some((x, d) => x.base !== base[d])))
      throw new IllegalSchedule('stageWorkgroup', `loads of ${b.name} start at different places`)
    const shape = base.map((_, d) => Math.max(...parts.map((p) => p[d].extent)))
    const tile = newBuffer(`${b.name}_tile`, b.of, 'workgroup', shape.map(con))
    tiles.set(b, { tile, base })
    allocs.push({ k: 'alloc', buf: tile })
    copies.push(copyTile(b, tile, base, shape, threads))
  }
  const m = mapper({
    load: (b, at) => {
      const t = tiles.get(b)
      return t && load(t.tile, at.map((x, d) => decompose(b, x, d, varying).rest)) // prettier-ignore
    },
  })
  const barrier: Stmt = { k: 'barrier' }
  const made = replaceLoop(nest, v, (loop) => [
    { ...loop, body: [...copies, barrier, ...mapExprs(loop.body, m), barrier] },
  ])
  return replaceLoop(made, threads[0].v, (loop) => [...allocs, loop])
}

function accesses(loop: For, b: Buffer): readonly (readonly Ix[])[] {
  const out: (readonly Ix[])[] = []
  visitStmts(loop.body, (s) => {
    for (const e of exprsOf(s)) for (const l of loadsOf(e)) if (l.buf === b) out.push(l.at)
  })
  return out
}

/** A coordinate as shared base + rest, where 0 <= rest < extent. */
function decompose(
  b: Buffer,
  x: Ix,
  d: number,
  varying: ReadonlySet<Sym>,
): { readonly base: Ix; readonly rest: Ix; readonly extent: number } {
  const refuse = (): never => {
    throw new IllegalSchedule('stageWorkgroup', `a coordinate of ${b.name} is no sum of a shared and a varying part`)
  }
  const free = unclamped(x, b.shape[d])
  if (valuesOf(free).size > 0) refuse()
  const mine = [...symbolsOfIx(free)].filter((s) => varying.has(s))
  const still = substitute(free, new Map(mine.map((s) => [s, con(0)])))
  const constantTerm = still.terms.find((t) => t.atoms.length === 0)?.coef ?? 0
  const base = sub(still, constantTerm)
  const rest = sub(free, base)
  if ([...symbolsOfIx(rest)].some((s) => !varying.has(s))) refuse()
  const { lo, hi } = range(rest)
  if (!Number.isFinite(hi) || lo < 0) refuse()
  return { base, rest, extent: hi + 1 }
}

/** `min(x, extent - 1)` guards a load that is not used; the copy is clamped instead. */
function unclamped(x: Ix, extent: Ix): Ix {
  const [t] = x.terms
  if (x.terms.length !== 1 || t.coef !== 1 || t.atoms.length !== 1 || t.atoms[0].k !== 'min') return x
  const { a, b } = t.atoms[0]
  const last = sub(extent, 1)
  return a === last ? b : b === last ? a : x
}

/** All elements of the tile, by the threads in turn; neighbours in the last axis by neighbouring threads. */
function copyTile(
  b: Buffer,
  tile: Buffer,
  base: readonly Ix[],
  shape: readonly number[],
  threads: readonly For[],
): For {
  const total = shape.reduce((p, n) => p * n, 1)
  // local.x counts fastest.
  const ordered = [...threads].sort((p, q) => q.kind.localeCompare(p.kind))
  let id: Ix = con(0)
  let count = 1
  for (const t of ordered) {
    const n = tripCount(t)
    if (n === undefined || isConst(t.lo) !== 0)
      throw new IllegalSchedule('stageWorkgroup', `the number of threads over ${t.v.name} is not constant`)
    id = add(mul(id, n), floorDiv(of(t.v), t.step))
    count *= n
  }
  const c = loopSymbol('c', total)
  const at = shape.map((n, d) =>
    mod(
      floorDiv(
        of(c),
        shape.slice(d + 1).reduce((p, m) => p * m, 1),
      ),
      n,
    ),
  )
  const from = at.map((x, d) => {
    const place = add(base[d], x)
    const last = sub(b.shape[d], 1)
    return proveLe(place, last) ? place : min(place, last)
  })
  const body: readonly Stmt[] = [{ k: 'store', buf: tile, at, e: load(b, from) }]
  return { k: 'for', v: c, lo: id, hi: con(total), step: count, kind: 'serial', body }
}
