/**
 * Law 7: row statistics and what is made of them go into the contraction that reads the row, where rows are few. Each workgroup then makes its
 * rows anew (a norm of 768 numbers against thousands of products) instead of waiting for a kernel that made them for all.
 */
import type { Node } from '../ir/types.ts'
import type { Ix } from '../types/ix.ts'
import { isConst } from '../types/ix.ts'
import type { Flow } from './flow.ts'
import type { Group } from './partition.ts'
import { readAtOwnRow } from './rows.ts'

/** Elements of a row that a workgroup can keep (4 bytes each) beside its sums, in the 16 KiB that every device has. */
export const longestRow = 2560
const mostRows = 4

/** Whether there are few rows: in a step every dim is one of independent sequences. */
function few(rows: readonly Ix[], step: boolean): boolean {
  const sizes = rows.map((d) => isConst(d))
  const open = sizes.filter((n) => n === undefined).length
  return open <= (step ? 1 : 0) && sizes.reduce<number>((n, x) => n * (x ?? 1), 1) <= mostRows
}

/**
 * The contraction in `into` that may make its rows itself, and the value of `rows` that it takes as its operand; or why it may not. Undefined
 * where there is nothing to say: the groups are of other kinds, or rows are many.
 */
export function prologueOf(
  flow: Flow,
  rows: Group,
  into: Group,
  step: boolean,
): { readonly value: Node; readonly reader: Node; readonly refused?: string } | undefined {
  const extents = rows.rows
  if (rows.kind !== 'rows' || into.kind !== 'contraction' || extents === undefined || !few(extents, step))
    return undefined
  const reader = [...into.nodes].find((n) => flow.kind(n) === 'contraction')
  if (reader === undefined || into.before !== undefined) return undefined
  const taken = flow.reads(reader).filter((x) => rows.nodes.has(x))
  if (taken.length === 0) return undefined
  const [value] = taken
  const made = (refused?: string) => ({ value, reader, ...(refused === undefined ? {} : { refused }) })
  const others = [...into.nodes].some((n) => n !== reader && flow.reads(n).some((x) => rows.nodes.has(x)))
  if (taken.length > 1 || others) return made('it reads several values of the rows, or reads them after its sums')
  const through = reader.inputs.filter((x) => flow.root(x) === value)
  const rest = reader.inputs.filter((x) => flow.root(x) !== value)
  if (through.length !== 1 || !rest.every((x) => flow.loadTime(flow.root(x))))
    return made('its other operand is no weight')
  if (flow.kind(value) !== 'map' || !folds(flow, rows, value))
    return made('it reads a value that no row statistic is in')
  if (value.type.dtype !== 'f32' || !readAtOwnRow(flow, into.nodes, value, extents.length))
    return made('it reads other rows than its own')
  const length = value.type.shape.slice(extents.length).reduce<number>((n, d) => n * (isConst(d) ?? Infinity), 1)
  if (length > longestRow) return made(`a row of ${length} does not fit into workgroup memory (${longestRow})`)
  return made()
}

/** Whether a reduction of the group is in the value. */
function folds(flow: Flow, rows: Group, value: Node): boolean {
  const inside = flow.reads(value).filter((x) => rows.nodes.has(x))
  return inside.some((x) => flow.kind(x) === 'reduce' || folds(flow, rows, x))
}
