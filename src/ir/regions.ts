/** Which scan each node belongs to: a node is inside a scan if it depends on one of its carries or mentions its `t`. */
import type { Sym } from '../types/ix.ts'
import { isConst, symbolsOf, type Ix } from '../types/ix.ts'
import { dimsOf } from './attrs.ts'
import type { Node } from './types.ts'

export interface Loop {
  /** The `scan` node that ends it. */
  readonly scan: Node
  readonly key: string
  /** Absent where the extent is 1: then t is 0. */
  readonly t?: Sym
  readonly extent: Ix
  readonly reverse: boolean
  /** By index; undefined for a carry that nothing reads. */
  readonly carries: readonly (Node | undefined)[]
  /** The value of each carry at the next step, by index. */
  readonly next: readonly Node[]
  /** What each step yields, and the axis that its values are stacked along. */
  readonly yields: readonly { readonly node: Node; readonly axis: number }[]
  /** The scan that this one is inside of. */
  readonly parent?: Loop
  /** How many scans it is inside of. */
  readonly depth: number
}

export interface Regions {
  /** Every scan, outer ones before those inside them. */
  readonly loops: readonly Loop[]
  /** The loop that a `scan` node ends. */
  readonly endedBy: (scan: Node) => Loop | undefined
  /** The innermost scan that a node is inside of; a `scan` node is inside of what encloses its loop. */
  readonly of: (n: Node) => Loop | undefined
  /** Whether `n` is inside of `loop` itself or of a scan inside it. */
  readonly inside: (n: Node, loop: Loop) => boolean
}

const nowhere: Regions = { loops: [], endedBy: () => undefined, of: () => undefined, inside: () => false }
const none: ReadonlySet<string> = new Set()

/** The symbol of a loop's index, if it has more than one value. */
export function indexOf(scan: Node): Sym | undefined {
  const t = scan.attrs.t as Ix
  return isConst(t) === undefined ? [...symbolsOf(t)][0] : undefined
}

/** Reads the loops off `order`, which holds each node after its inputs. Throws an internal error for loops that are ill formed. */
export function regionsOf(order: readonly Node[]): Regions {
  const scans = order.filter((n) => n.op === 'scan')
  if (scans.length === 0 && order.every((n) => n.op !== 'carry')) return nowhere
  const byIndex = new Map<Sym, string>()
  const byKey = new Map<string, Node>()
  for (const scan of scans) {
    const key = scan.attrs.loop as string
    if (byKey.has(key)) throw new Error(`internal: loop ${key} has two scans`)
    byKey.set(key, scan)
    const t = indexOf(scan)
    if (t === undefined) continue
    if (byIndex.has(t)) throw new Error(`internal: loops ${byIndex.get(t)} and ${key} have one index`)
    byIndex.set(t, key)
  }

  const keysOf = new Map<Node, ReadonlySet<string>>()
  const carries = new Map<string, Node[]>()
  for (const n of order) {
    const own = new Set<string>()
    for (const x of n.inputs) for (const key of keysOf.get(x) ?? none) own.add(key)
    for (const d of dimsOf(n.attrs)) {
      for (const s of symbolsOf(d)) {
        const key = byIndex.get(s)
        if (key !== undefined) own.add(key)
      }
    }
    if (n.op === 'carry') {
      const key = n.attrs.loop as string
      if (!byKey.has(key)) throw new Error(`internal: a carry of ${key}, which no scan ends`)
      if (own.has(key)) throw new Error(`internal: a carry of ${key} starts from inside of it`)
      own.add(key)
      carries.set(key, [...(carries.get(key) ?? []), n])
    }
    if (n.op === 'scan') own.delete(n.attrs.loop as string)
    keysOf.set(n, own.size === 0 ? none : own)
  }

  const made = new Map<string, Loop>()
  const open = new Set<string>()
  const loopOf = (key: string): Loop => {
    const known = made.get(key)
    if (known !== undefined) return known
    if (open.has(key)) throw new Error(`internal: loop ${key} is inside of itself`)
    open.add(key)
    const scan = byKey.get(key)!
    const parent = innermost(keysOf.get(scan)!)
    const t = indexOf(scan)
    const count = scan.attrs.carries as number
    const loop: Loop = {
      scan,
      key,
      ...(t === undefined ? {} : { t }),
      extent: scan.attrs.extent as Ix,
      reverse: scan.attrs.reverse as boolean,
      carries: Array.from({ length: count }, (_, i) => (carries.get(key) ?? []).find((c) => c.attrs.index === i)),
      next: scan.inputs.slice(0, count),
      yields: scan.inputs.slice(count).map((node, i) => ({ node, axis: (scan.attrs.axes as readonly number[])[i] })),
      ...(parent === undefined ? {} : { parent }),
      depth: parent === undefined ? 0 : parent.depth + 1,
    }
    made.set(key, loop)
    return loop
  }
  /** Of loops that all enclose one node, the one inside the others. */
  const innermost = (keys: ReadonlySet<string>): Loop | undefined => {
    const loops = [...keys].map(loopOf)
    const deepest = loops.reduce<Loop | undefined>((a, b) => (a === undefined || b.depth > a.depth ? b : a), undefined)
    for (const loop of loops) {
      if (!encloses(loop, deepest!)) throw new Error(`internal: loops ${loop.key} and ${deepest!.key} overlap`)
    }
    return deepest
  }
  const loops = scans.map((s) => loopOf(s.attrs.loop as string)).sort((a, b) => a.depth - b.depth)
  const of = (n: Node): Loop | undefined => innermost(keysOf.get(n) ?? none)
  return {
    loops,
    endedBy: (n) => (n.op === 'scan' ? made.get(n.attrs.loop as string) : undefined),
    of,
    inside: (n, loop) => {
      const own = of(n)
      return own !== undefined && encloses(loop, own)
    },
  }
}

/** Whether `loop` is `inner` or lies around it. */
function encloses(loop: Loop, inner: Loop): boolean {
  for (let at: Loop | undefined = inner; at !== undefined; at = at.parent) if (at === loop) return true
  return false
}
