/** Scans over the sequence: a call runs its new positions, from carries that are kept to carries that are kept. */
import type { Builder } from '../ir/build.ts'
import type { Loop, Regions } from '../ir/regions.ts'
import type { Node } from '../ir/types.ts'
import { substituteAttrs } from '../ir/attrs.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, of, symbolsOf } from '../types/ix.ts'
import type { Form, Frame } from './forms.ts'
import { extentOf, mentions, Stop } from './forms.ts'
import type { Kept } from './kept.ts'

export interface Loops {
  /** The indices of scans over the sequence. */
  readonly steps: ReadonlySet<Sym>
  /** Those of the scans that a node is inside of. */
  readonly around: (n: Node) => readonly Sym[]
  /** Whether a node is inside of any scan, where nothing of it can be kept. */
  readonly inside: (n: Node) => boolean
  /** The node of a derived program for a `carry`, `scan` or `part`; undefined for others. */
  readonly make: (n: Node, forms: readonly Form[]) => Node | undefined
  /** Attributes in which the step of a scan is a number: a position, so P of the call before it. */
  readonly numbered: (n: Node, attrs: Node['attrs']) => Node['attrs']
  /** Whether a `part` is what a scan over the sequence carries at its end. */
  readonly final: (n: Node) => boolean
}

export function loopsOf(
  regions: Regions,
  frame: Frame,
  builder: Builder,
  kept: Kept,
  /** The node of the derived program for `n`, all of its sequence axes local. */
  local: (n: Node) => Node,
  onSequence: ReadonlySet<Node>,
): Loops {
  const { T } = frame
  const along = (loop: Loop): boolean => mentions(loop.extent, T)
  const steps = new Set(regions.loops.filter(along).flatMap((loop) => loop.t ?? []))
  const positions = new Map<Sym, Ix>([...steps].map((t) => [t, add(frame.past, of(t))]))
  const around = (n: Node): Sym[] => {
    const found: Sym[] = []
    for (let loop = regions.of(n); loop !== undefined; loop = loop.parent)
      if (loop.t !== undefined && steps.has(loop.t)) found.push(loop.t)
    return found
  }
  const waiting = new Map<Node, (next: Node) => void>()

  const carry = (n: Node): Node => {
    const loop = regions.of(n)!
    const [start] = n.inputs
    if (!along(loop)) return builder.again(n, [local(start)])
    if (loop.parent !== undefined)
      throw new Stop(n, 'a scan over the sequence inside of another one starts anew at each of its steps')
    if (onSequence.has(start)) throw new Stop(n, 'it starts from values of the sequence, which are not all known')
    const { old, become } = kept.replaced(n, start)
    waiting.set(n, become)
    return builder.again(n, [old])
  }
  const scan = (n: Node): Node => {
    const loop = regions.endedBy(n)!
    if (along(loop)) {
      if (loop.extent !== frame.length) throw new Stop(n, 'it has other steps than there are positions')
      if (loop.reverse) throw new Stop(n, 'it runs from the last position')
    }
    const made = builder.again(n, n.inputs.map(local))
    if (!along(loop)) return made
    loop.carries.forEach((c, i) => {
      const become = c && waiting.get(c)
      if (become === undefined) return
      const index = loop.yields.length + i
      const { dtype, shape } = c!.type
      become(builder.node('part', [made], { index, dtype, shape }, c!.origin))
    })
    return made
  }
  const part = (n: Node, forms: readonly Form[]): Node => {
    if (forms.some((f) => f !== '-' && f !== 0)) throw new Stop(n, 'it is needed at past positions along several axes')
    const shape = n.type.shape.map((d, i) => extentOf(d, forms[i], frame))
    return builder.node('part', [local(n.inputs[0])], { ...n.attrs, shape }, n.origin)
  }
  return {
    steps,
    around,
    inside: (n) => regions.of(n) !== undefined,
    make: (n, forms) => {
      if (n.op === 'carry') return carry(n)
      if (n.op === 'scan') return scan(n)
      return n.op === 'part' ? part(n, forms) : undefined
    },
    numbered: (n, attrs) => (around(n).length === 0 ? attrs : substituteAttrs(attrs, positions)),
    final: (n) => {
      const loop = n.op === 'part' ? regions.endedBy(n.inputs[0]) : undefined
      return loop !== undefined && along(loop) && (n.attrs.index as number) >= loop.yields.length
    },
  }
}

/** The nodes that the sequence reaches: a scan is reached as a whole. */
export function spread(order: readonly Node[], regions: Regions, touched: (n: Node) => boolean): Set<Node> {
  const found = new Set<Node>()
  const outermost = (n: Node): Loop | undefined => {
    let loop = regions.of(n) ?? regions.endedBy(n)
    while (loop?.parent !== undefined) loop = loop.parent
    return loop
  }
  const reached = new Set<Loop>()
  for (let size = -1; size !== found.size + reached.size;) {
    size = found.size + reached.size
    for (const n of order) {
      const loop = outermost(n)
      if (!touched(n) && !n.inputs.some((x) => found.has(x)) && !(loop && reached.has(loop))) continue
      found.add(n)
      if (loop) reached.add(loop)
    }
  }
  return found
}

/** What stands for the indices of scans over T where T is 1. */
export const atOne = (steps: ReadonlySet<Sym>, T: Sym): ReadonlyMap<Sym, Ix> =>
  new Map([[T, con(1)], ...[...steps].map((t) => [t, con(0)] as const)])

/** Whether a node's type has an extent that differs from step to step. */
export const varies = (n: Node, steps: ReadonlySet<Sym>): boolean =>
  n.type.shape.some((d) => [...symbolsOf(d)].some((s) => steps.has(s)))
