/**
 * Law 8: what reads several columns of a contraction at once (a gated unit, a rotation of pairs) goes into it, where a thread can make the columns
 * that belong together: each column once, each result from the sums of one set of columns (`src/kernel/columns.ts`).
 */
import type { Node } from '../ir/types.ts'
import { inlineStages } from '../kernel/inline.ts'
import { columnSets } from '../kernel/columns.ts'
import { structureOf } from '../kernel/structure.ts'
import type { Flow } from './flow.ts'
import { free } from './flow.ts'
import type { External, Output } from './group.ts'
import { buildKernel, walk } from './group.ts'
import type { Group } from './partition.ts'
import { storedOf } from './store.ts'

/** What is known of groups of one shape: layers have the same. */
export type Verdicts = Map<string, boolean>

/**
 * A value of the contraction in `into` that `from` reads, and its reader there, where the two may be one kernel; or why they may not. Undefined
 * where there is nothing to say: `from` is no group of maps, or reads the sums at its own index.
 */
export function columnsOf(
  flow: Flow,
  from: Group,
  into: Group,
  known: Verdicts,
): { readonly value: Node; readonly reader: Node; readonly refused?: string } | undefined {
  if (into.kind !== 'contraction' || from.kind !== 'map') return undefined
  const own = [...into.nodes].filter((n) => !into.before?.has(n))
  const value = own.find((n) => [...from.nodes].some((m) => flow.reads(m).includes(n)))
  const reader = value && [...from.nodes].find((m) => flow.reads(m).includes(value))
  if (value === undefined || reader === undefined || flow.kind(value) === 'append') return undefined
  const refused = (reason: string) => ({ value, reader, refused: reason })
  if ([...from.nodes].some((m) => flow.kind(m) === 'reduce')) return undefined
  if ([...from.nodes].some((m) => flow.reads(m).some((x) => into.before?.has(x))))
    return refused('it reads the rows that the contraction makes')
  const nodes = new Set([...own, ...from.nodes])
  return once(flow, { ...into, nodes, columns: true, before: new Set() }, known)
    ? { value, reader }
    : refused('its columns do not come in sets, each column in one of them')
}

/** Whether a kernel of the group computes each column once. */
function once(flow: Flow, g: Group, known: Verdicts): boolean {
  const placeholder = (n: Node): External => ({ id: `${n.id}`, role: 'activation', type: n.type, name: n.op })
  const outputs = storedOf(flow, g).map((s): Output => ({ node: s.value, views: s.views, external: placeholder(s.stored) })) // prettier-ignore
  const made = new Set(outputs.map((o) => o.node))
  const cut = (n: Node): External | undefined =>
    made.has(n) || g.nodes.has(n) || (free(flow.kind(n)) && !flow.loadTime(n)) ? undefined : placeholder(n)
  const spec = { kind: g.kind, columns: true, outputs, cut, kindOf: flow.kind }
  const walked = walk(spec)
  let verdict = known.get(walked.key)
  if (verdict === undefined) {
    const structure = structureOf({ ...kernelOf(), stages: inlineStages(buildKernel(spec, walked, 'tried').stages) })
    verdict = structure.k === 'contraction' && columnSets(structure, structure.epilogue) !== undefined
    known.set(walked.key, verdict)
  }
  return verdict
}
const kernelOf = () => ({ name: 'tried', doc: [], args: [], params: [] })
