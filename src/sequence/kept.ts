/** What derived programs keep between calls: values that grow, values that are replaced, values that stay. */
import type { Builder } from '../ir/build.ts'
import type { Node, OutputSpec } from '../ir/types.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix } from '../types/ix.ts'
import { symbolsOf } from '../types/ix.ts'
import type { Frame } from './forms.ts'
import { extentOf, Stop } from './forms.ts'

export interface State {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly Ix[]
  /** The axis of positions, of caches. */
  readonly axis?: number
}

export interface Kept {
  readonly state: readonly State[]
  /** What `prepare` gives, by the name of the state. */
  readonly prepared: readonly OutputSpec[]
  /** What replaces a state at the end of `prefill` and `step`. */
  readonly next: readonly OutputSpec[]
  /** `n`, which T does not touch, as `prepare` left it. */
  readonly constant: (n: Node) => Node
  /** All positions of `n` on `axis`, of which `local` are the new ones. */
  readonly grown: (n: Node, axis: number, local: Node) => Node
  /** A value that is `start` before the first call, and what it is to be after a call, once that is known. */
  readonly replaced: (n: Node, start: Node) => { readonly old: Node; readonly become: (next: Node) => void }
  /** `count` entries before `local`, then `local`. */
  readonly tailed: (n: Node, axis: number, local: Node, start: Node) => Node
}

const label = (n: Node): string => [n.origin.scope, n.origin.name ?? n.op].filter((s) => s !== '').join('.')

/** `taken` are names that states must not have: those of the model's outputs. */
export function keeping(builder: Builder, frame: Frame, taken: readonly string[]): Kept {
  const state: State[] = []
  const prepared: OutputSpec[] = []
  const next: OutputSpec[] = []
  const names = new Map<string, number>(taken.map((name) => [name, 1]))
  const fresh = (wish: string): string => {
    const n = (names.get(wish) ?? 0) + 1
    names.set(wish, n)
    if (/\{\w+\}/.test(wish)) return wish.replace(/\{\w+\}/, String(n - 1)) // one per layer, in order
    return n === 1 ? wish : `${wish}.${n}`
  }
  const read = (n: Node, name: string): Node =>
    builder.node('state', [], { name, dtype: n.type.dtype, shape: n.type.shape }, n.origin)
  const hold = (n: Node, x: Node, name: string): OutputSpec => ({
    name,
    node: builder.node('hold', [x], { name }, n.origin),
  })
  const replaced: Kept['replaced'] = (n, start) => {
    const { dtype, shape } = start.type
    if (shape.some((d) => symbolsOf(d).has(frame.T)))
      throw new Stop(n, 'what it must keep of the past would grow along another axis')
    const name = fresh(label(n))
    state.push({ name, dtype, shape })
    prepared.push(hold(n, start, name))
    const old = builder.node('state', [], { name, dtype, shape }, n.origin)
    return { old, become: (x) => void next.push(hold(n, x, name)) }
  }
  return {
    state,
    prepared,
    next,
    constant: (n) => {
      const name = fresh(label(n))
      state.push({ name, dtype: n.type.dtype, shape: n.type.shape })
      prepared.push(hold(n, n, name))
      return read(n, name)
    },
    grown: (n, axis, local) => {
      const name = fresh(label(n))
      const shape = n.type.shape.map((d, i) => (i === axis ? extentOf(d, 'full', frame) : d))
      state.push({ name, dtype: n.type.dtype, shape, axis })
      return builder.node('append', [local], { name, axis, past: frame.past }, n.origin)
    },
    replaced,
    tailed: (n, axis, local, start) => {
      const { old, become } = replaced(n, start)
      const whole = builder.node('concat', [old, local], { axis }, n.origin)
      const size = start.type.shape[axis]
      become(builder.node('slice', [whole], { axis, start: frame.length, size }, n.origin))
      return whole
    },
  }
}
