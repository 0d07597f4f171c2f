/** Groups in the order in which they run, those of a loop together, as host steps. */
import type { Loop } from '../ir/regions.ts'
import { roll } from '../program/roll.ts'
import type { HostStep } from '../program/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { isConst, of, sub, sym } from '../types/ix.ts'
import type { Flow } from './flow.ts'
import type { Group } from './partition.ts'

export type Scheduled = Group | { readonly loop: Loop; readonly body: readonly Scheduled[] }

/** Groups in order with those of each loop, which stand in a row, as one item. */
export function nested(flow: Pick<Flow, 'loopOf'>, groups: readonly Group[], within?: Loop): Scheduled[] {
  const out: { loop: Loop | undefined; groups: Group[] }[] = []
  for (const g of groups) {
    let loop = flow.loopOf([...g.nodes][0])
    if (loop === within) loop = undefined
    else while (loop !== undefined && loop.parent !== within) loop = loop.parent
    const last = out[out.length - 1]
    if (loop !== undefined && last?.loop === loop) last.groups.push(g)
    else out.push({ loop, groups: [g] })
  }
  return out.map(({ loop, groups }) => (loop === undefined ? groups[0] : { loop, body: nested(flow, groups, loop) }))
}

export interface Range {
  readonly from: number
  readonly to: number
}

/** For each group the loops around it, the outermost first, as the positions that they run over. */
export function loopRanges(schedule: readonly Scheduled[]): ReadonlyMap<Group, readonly Range[]> {
  const ranges = new Map<Group, readonly Range[]>()
  const count = (list: readonly Scheduled[]): number => list.reduce((n, s) => n + ('loop' in s ? count(s.body) : 1), 0)
  let at = 0
  const go = (list: readonly Scheduled[], around: readonly Range[]): void => {
    for (const s of list) {
      if ('loop' in s) go(s.body, [...around, { from: at, to: at + count(s.body) - 1 }])
      else {
        ranges.set(s, around)
        at++
      }
    }
  }
  go(schedule, [])
  return ranges
}

/** What stands for the index of a loop in kernels and host programs: one symbol for each depth and number of steps, so that equal loops have equal kernels. */
export type Indices = Map<string, Sym>

function indexSymbol(loop: Loop, indices: Indices): Sym {
  const key = `${loop.depth} ${loop.extent.id}`
  let found = indices.get(key)
  if (found === undefined) {
    const name = loop.depth === 0 ? 't' : `t${loop.depth}`
    found = sym(name, { lo: 0, hi: sub(loop.extent, 1), role: 'param' })
    indices.set(key, found)
  }
  return found
}

/** The indices of the loops around a node, as kernels have them. */
export function indicesOf(innermost: Loop | undefined, indices: Indices): ReadonlyMap<Sym, Ix> {
  const map = new Map<Sym, Ix>()
  for (let l = innermost; l !== undefined; l = l.parent)
    if (l.t !== undefined) map.set(l.t, of(indexSymbol(l, indices)))
  return map
}

type Dispatch = Extract<HostStep, { k: 'dispatch' }>

/** Host steps of a schedule, rolled at each level. A loop of one step is none. */
export function stepsOf(
  schedule: readonly Scheduled[],
  dispatch: (g: Group) => Dispatch,
  indices: Indices,
): HostStep[] {
  const flat = (list: readonly Scheduled[]): Exclude<HostStep, { k: 'layers' }>[] =>
    list.flatMap((s) => {
      if (!('loop' in s)) return [dispatch(s)]
      const { loop, body } = s
      if (isConst(loop.extent) === 1) return flat(body)
      const { extent: count, reverse } = loop
      return [
        { k: 'scan' as const, t: indexSymbol(loop, indices), count, reverse, body: stepsOf(body, dispatch, indices) },
      ]
    })
  return roll(flat(schedule))
}
