/** The program that gathers rows of the state: beams that go on from others, several samples of one prompt. */
import { makeBuilder } from '../ir/build.ts'
import type { Graph, OutputSpec } from '../ir/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { con, mul, of, substitute, sym, symbolsOf } from '../types/ix.ts'
import type { Derived } from './derive.ts'

export interface Reorder {
  readonly graph: Graph
  /** The dim of rows. */
  readonly batch: Sym
  /** Names of the states that have rows. */
  readonly states: ReadonlySet<string>
}

/**
 * state[outer, B, inner] → state[outer, N, inner] by `rows: i32[N]`, for every state with an axis of extent B; results are called `~` and
 * the state's name. B is the first axis of the first input along T. Undefined where there is none, or where a state's rows
 * cannot be told apart (B within another extent, or twice).
 */
export function reorder({ prefill, T, past, state }: Derived): Reorder | undefined {
  const tokens = prefill.inputs.find((i) => i.node.type.shape.some((d) => symbolsOf(d).has(T)))
  const first = tokens?.node.type.shape[0]
  const batch = first && [...symbolsOf(first)].find((s) => of(s) === first && s !== T)
  if (tokens === undefined || batch === undefined) return undefined
  const taken = new Set(prefill.dims.map((d) => d.name))
  let name = 'N'
  while (taken.has(name)) name += '_'
  const count = sym(name, { lo: 1, role: 'dim' })

  const builder = makeBuilder({ share: true })
  const origin = { ...tokens.node.origin, scope: '', name: 'reorder' }
  const rows = builder.node('input', [], { name: 'rows', dtype: 'i32', shape: [of(count)] }, origin)
  const outputs: OutputSpec[] = []
  const states = new Set<string>()
  for (const s of state) {
    const shape = s.shape.map((d) => substitute(d, new Map([[T, con(0)]])))
    const having = shape.flatMap((d, i) => (symbolsOf(d).has(batch) ? [i] : []))
    if (having.length === 0) continue
    if (having.length > 1 || shape[having[0]] !== of(batch)) return undefined
    const [axis] = having
    // Positions come first in storage.
    const before = shape.flatMap((d, i) => (i === s.axis || i < axis ? [d] : []))
    const behind = shape.flatMap((d, i) => (i > axis && i !== s.axis ? [d] : []))
    const kept = builder.node('state', [], { name: s.name, dtype: s.dtype, shape: [product(before), of(batch), product(behind)] }, origin) // prettier-ignore
    const moved = builder.node('gather', [kept, rows], { axis: 1, batch: 0 }, origin)
    const name = `~${s.name}`
    outputs.push({ name, node: builder.node('hold', [moved], { name }, origin) })
    states.add(s.name)
  }
  if (outputs.length === 0) return undefined
  const graph: Graph = {
    ...prefill, outputs,
    inputs: [{ name: 'rows', node: rows, doc: 'The row that each row goes on from.' }],
    dims: [...prefill.dims, count],
    constraints: [],
  } // prettier-ignore
  return { graph, batch, states }
}

const product = (dims: readonly Ix[]): Ix => dims.reduce((a, b) => mul(a, b), con(1))
