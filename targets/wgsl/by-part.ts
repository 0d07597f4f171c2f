/**
 * A weight with more parts than a kernel can bind, one part at a time. Columns of a product are made by a dispatch for each part. Rows of a table that
 * data chooses are gathered, by a dispatch for each part, and the kernel reads them where they then lie.
 */
import type { Buffer } from '../../src/kernel/buffer.ts'
import { newBuffer } from '../../src/kernel/buffer.ts'
import type { Expr } from '../../src/kernel/expr.ts'
import { bin, constant, dataIndex, index, load } from '../../src/kernel/expr.ts'
import { inlineStages, mapStage } from '../../src/kernel/inline.ts'
import { splitPrologue } from '../../src/kernel/prologue.ts'
import { exprsOfStage } from '../../src/kernel/rows.ts'
import type { KernelArg, Stage, StageKernel } from '../../src/kernel/stage.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import { extentOf, loadsOf, loopSymbol, mapper, symbolsOfExpr } from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { add, coefficientOf, con, isConst, of, substitute, symbolsOf, valuesOf } from '../../src/types/ix.ts'
import { elements } from '../../src/types/shape.ts'
import { keptLayout } from './kept.ts'
import { apart } from './recipes/apart.ts'
import { epilogueOf } from './recipes/epilogue.ts'

/** A buffer that stands for one part of an argument. */
export interface PartOf {
  readonly buffer: Buffer
  readonly of: Buffer
  readonly number: number
}
/** Kernels in sequence, which hand data over through scratch. */
export interface ByPart {
  readonly list: readonly { readonly kernel: StageKernel; readonly part?: PartOf }[]
  readonly scratch: readonly Buffer[]
}
type Load = Expr & { readonly k: 'load' }

/** The axis of a matrix, or of a table, of which each part holds a range, and the elements of storage that one element of the axis takes. */
export function rangesOf({ shape, layout }: Buffer): { readonly axis: number; readonly each: number } | undefined {
  if (layout === undefined) {
    const each = isConst(elements(shape.slice(1)))
    return each === undefined || shape.length < 2 ? undefined : { axis: 0, each }
  }
  const steps = layout.axes.map((a) => isConst(coefficientOf(layout.offset, a)?.coef ?? con(0)) ?? 0)
  if (steps.length !== 2) return undefined
  // What is kept in fewer bits is cut into ranges of columns.
  const axis = steps.indexOf(layout.kept ? 1 : Math.max(...steps))
  if (layout.kept) return { axis, each: layout.kept.rows }
  return steps[axis] === isConst(shape[1 - axis]) && steps[1 - axis] === 1 ? { axis, each: steps[axis] } : undefined
}

/** The kernel with one part of `buf` at a time, which has so many elements; undefined where that cannot be. */
export function byParts(kernel: StageKernel, buf: Buffer, lengths: readonly number[]): ByPart | undefined {
  const ranges = rangesOf(buf)
  const size = ranges && isConst(buf.shape[ranges.axis])
  if (ranges === undefined || size === undefined || lengths.some((n) => n % ranges.each > 0)) return undefined
  const { axis, each } = ranges
  const parts = lengths.map((n, number): Part => {
    const first = (number * lengths[0]) / each
    const count = Math.min(n / each, size - first)
    return { first, count, buffer: partBuffer(buf, axis, each, count), of: buf, number }
  })
  return productsOf(kernel, axis, parts) ?? gathersOf(kernel, axis, parts)
}
interface Part extends PartOf {
  readonly first: number
  readonly count: number
}

/** The same matrix with fewer rows, or columns. */
function partBuffer({ name, of: type, shape, layout }: Buffer, axis: number, each: number, count: number): Buffer {
  const own = shape.with(axis, con(count))
  if (layout === undefined) return newBuffer(name, type, 'global', own)
  if (layout.kept) {
    const made = keptLayout(isConst(shape[1 - axis])!, count, layout.kept.as)!
    return newBuffer(name, type, 'global', own, axis === 1 ? made : { ...made, axes: made.axes.toReversed() })
  }
  const a = loopSymbol(layout.axes[axis].name, count)
  const offset = substitute(layout.offset, new Map([[layout.axes[axis], of(a)]]))
  const axes = layout.axes.with(axis, a)
  return newBuffer(name, type, 'global', own, { ...layout, axes, offset, size: con(each * count) })
}

// ---- columns ----

/** A product whose right operand lies in parts: some columns at a time, after rows that it makes itself. */
function productsOf(kernel: StageKernel, axis: number, parts: readonly Part[]): ByPart | undefined {
  const prologue = splitPrologue(kernel)
  const [first, rest] = prologue
    ? apart(prologue, () => ({ variants: [] })).list.map((x) => x.kernel)
    : [undefined, kernel]
  const own: StageKernel = { ...rest, stages: inlineStages(rest.stages) }
  // The rows may come from the same table.
  const tied = first?.args.some((a) => a.buffer === parts[0].of)
  const before = first && (tied ? gathersOf(first, axis, parts) : { list: [{ kernel: first }], scratch: [] })
  if (first && before === undefined) return undefined
  const s = structureOf(own)
  const plain =
    s.k === 'contraction' &&
    s.stage === own.stages[0] &&
    s.stage.body.k === 'reduce' &&
    s.stage.body.where === undefined &&
    s.b.buf === parts[0].of &&
    s.n.length === 1 &&
    // Results of some columns each would lie across parts.
    [s.stage, ...s.epilogue].every((x) => x.guard === undefined) &&
    s.b.at[axis] === of(s.n[0]) &&
    readsOf(own.stages, s.b.buf).length === 1 &&
    epilogueOf(s.stage, s.epilogue) !== undefined
  if (!plain) return undefined
  const list = parts.map((part) => {
    const stages = columnsOf(s.stage, s.epilogue, s.n[0], axis, part)
    return stages && { kernel: withArgs({ ...own, name: `${kernel.name}_${part.number}`, stages }, part), part }
  })
  if (list.some((x) => x === undefined)) return undefined
  const operand = first ? first.args.slice(-1).map((a) => a.buffer) : []
  return { list: [...(before?.list ?? []), ...list.map((x) => x!)], scratch: [...operand, ...(before?.scratch ?? [])] }
}

/** The stages of a product for the columns of one part. */
function columnsOf(
  main: Stage,
  later: readonly Stage[],
  n: Sym,
  axis: number,
  { first, count, buffer, of: whole }: Part,
): Stage[] | undefined {
  const place = main.domain.indexOf(n)
  const inner = main.out.space !== 'global'
  if ((inner && main.at !== undefined) || (!inner && later.length > 0)) return undefined
  const out = inner
    ? newBuffer(main.out.name, main.out.of, 'virtual', main.out.shape.with(place, con(count)))
    : main.out
  /** A stage whose columns are `column`. */
  const some = (s: Stage, column: Sym): Stage => {
    const own = loopSymbol(column.name, count)
    const m = mapper({
      syms: new Map([[column, add(of(own), first)]]),
      load: (b, at, v) => {
        if (b === whole) return load(buffer, at.with(axis, of(own)), v)
        return b === main.out ? load(out, at.with(place, of(own)), v) : undefined
      },
    })
    const made = mapStage({ ...s, ...(s.out === main.out && inner ? {} : { at: s.at ?? s.domain.map(of) }) }, m)
    return { ...made, domain: s.domain.with(s.domain.indexOf(column), own), out: s.out === main.out ? out : s.out }
  }
  const made = [some(main, n)]
  for (const s of later) {
    const columns = new Set(readsOf([s], main.out).map((l) => l.at[place]))
    const column = s.domain.find((v) => columns.size === 1 && columns.has(of(v)))
    if (column === undefined) return undefined
    made.push(some(s, column))
  }
  return made
}

// ---- rows ----

/** Rows of a table, each chosen by data, into scratch; then the kernel. */
function gathersOf(kernel: StageKernel, axis: number, parts: readonly Part[]): ByPart | undefined {
  const { of: table } = parts[0]
  const reads = [...new Set(readsOf(kernel.stages, table))]
  if (!reads.every((l) => l.lanes === 1 && valuesOf(l.at[axis]).size > 0)) return undefined
  const made = new Map<Load, { readonly rows: Buffer; readonly at: readonly Ix[] }>()
  const list: { kernel: StageKernel; part: Part }[] = []
  const known = new Map<string, Buffer>()
  // Stages that read the same rows in loops of their own gather them once.
  const loopOf = new Map<string, Sym>()
  const standIn = (v: Sym, i: number): Sym => {
    const key = `${i}:${extentOf(v).id}`
    const found = loopOf.get(key) ?? loopSymbol(v.name, extentOf(v))
    loopOf.set(key, found)
    return found
  }
  for (const l of reads) {
    const loops = [...symbolsOfExpr(l)].filter((v) => v.role === 'loop')
    if (loops.some((v) => v.lo !== con(0) || [...symbolsOf(extentOf(v))].some((x) => x.role === 'loop')))
      return undefined
    const fresh = loops.map((v, i) => standIn(v, i))
    const at = l.at.map(mapper({ syms: new Map(loops.map((v, i) => [v, of(fresh[i])])) }).ix)
    const key = at.map((x) => x.id).join()
    let rows = known.get(key)
    if (rows === undefined) {
      known.set(key, (rows = newBuffer(`${table.name}_rows`, table.of, 'global', fresh.map(extentOf))))
      for (const part of parts)
        list.push({ kernel: gather(kernel, `${kernel.name}_${list.length}`, rows, fresh, at, axis, part), part })
    }
    made.set(l, { rows, at: loops.map(of) })
  }
  const found = mapper({
    load: (b, at) => {
      const l = reads.find((l) => b === table && l.at.every((x, i) => x === at[i]))
      return l && load(made.get(l)!.rows, made.get(l)!.at)
    },
  })
  const scratch = [...known.values()]
  const rest: StageKernel = {
    ...kernel,
    name: `${kernel.name}_rest`,
    stages: kernel.stages.map((s) => mapStage(s, found)),
    args: [
      ...kernel.args.filter((a) => a.buffer !== table),
      ...scratch.map((buffer): KernelArg => ({ buffer, access: 'read', role: 'activation' })),
    ],
  }
  return { list: [...list, { kernel: rest }], scratch }
}

/** The rows that lie in one part. */
function gather(
  kernel: StageKernel,
  name: string,
  rows: Buffer,
  domain: readonly Sym[],
  at: readonly Ix[],
  axis: number,
  { first, count, buffer, of: table }: Part,
): StageKernel {
  const row = index(at[axis])
  const guard = bin('and', bin('le', constant(first, 'i32'), row), bin('lt', row, constant(first + count, 'i32')))
  const inside = bin('max', constant(0, 'i32'), bin('min', bin('sub', row, constant(first, 'i32')), constant(count - 1, 'i32'))) // prettier-ignore
  const e = load(buffer, at.with(axis, dataIndex(inside, 0, count - 1)))
  const stage: Stage = { name: 'row', out: rows, domain, guard, body: { k: 'map', e } }
  const read = new Set(
    exprsOfStage(stage)
      .flatMap(loadsOf)
      .map((l) => l.buf),
  )
  const args = kernel.args.flatMap((a): KernelArg[] => {
    if (a.buffer === table) return [{ ...a, buffer }]
    return read.has(a.buffer) ? [{ ...a, access: 'read' }] : []
  })
  return { ...kernel, name, stages: [stage], args: [...args, { buffer: rows, access: 'write', role: 'activation' }] }
}

const readsOf = (stages: readonly Stage[], buf: Buffer): readonly Load[] =>
  stages.flatMap(exprsOfStage).flatMap(loadsOf).filter((l) => l.buf === buf) // prettier-ignore
const withArgs = (kernel: StageKernel, { buffer, of: whole }: Part): StageKernel => ({
  ...kernel,
  args: kernel.args.map((a) => (a.buffer === whole ? { ...a, buffer } : a)),
})
