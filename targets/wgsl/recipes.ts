/**
 * Schedules by structure: what a kernel computes (a contraction, rows, a carried reduction, points), never what it is called. A kernel has one
 * to three variants for different numbers of rows; the host takes the first whose `upTo` is not exceeded.
 */
import { arrange } from '../../src/kernel/build.ts'
import { columnSets } from '../../src/kernel/columns.ts'
import { inlineStages } from '../../src/kernel/inline.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import { splitPrologue } from '../../src/kernel/prologue.ts'
import { exprsOfStage } from '../../src/kernel/rows.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { cse, hoist, simplify, withoutCopies } from '../../src/kernel/schedule/index.ts'
import type { Condition } from '../../src/target.ts'
import { loadsOf } from '../../src/kernel/walk.ts'
import type { Structure } from '../../src/kernel/structure.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { con, isConst } from '../../src/types/ix.ts'
import { apart } from './recipes/apart.ts'
import { carried } from './recipes/carried.ts'
import type { Product, Tail, TailCall } from './recipes/contraction.ts'
import { productOf, productOfSets, tailOf } from './recipes/contraction.ts'
import { direct } from './recipes/direct.ts'
import { alone, each } from './recipes/each.ts'
import { epilogueOf } from './recipes/epilogue.ts'
import type { Passes } from './passes.ts'
import { flash } from './recipes/flash.ts'
import { generic } from './recipes/generic.ts'
import { matvec, rowsKept } from './recipes/matvec.ts'
import { leftOf } from './recipes/prologue.ts'
import { split } from './recipes/split.ts'
import { spread } from './recipes/spread.ts'
import { longestRow, rows } from './recipes/rows.ts'
import { tiled, tileRows } from './recipes/tiled.ts'
import { tiledHalf } from './recipes/tiled-half.ts'
import type { Alternative, Feature } from './runtime/device.ts'

export interface Variant {
  /** What follows the kernel's name: empty for the most general one. */
  readonly suffix: string
  readonly schedule:
    'tiled' | 'matvec' | 'direct' | 'rows' | 'carried' | 'flash' | 'split' | 'spread' | 'merge' | 'each'
  readonly nest: NestKernel
  /** Where it does what the tail of all variants says. */
  readonly calls?: readonly TailCall[]
  /** The same for devices with a feature: of as many workgroups and threads. */
  readonly form?: { readonly feature: Feature; readonly nest: NestKernel; readonly calls: readonly TailCall[] }
  /** Taken when the number of rows is at most this. The last variant has none. */
  readonly upTo?: number
  /** Taken on devices that do better with this alternative to the variants after it; passed over elsewhere. */
  readonly when?: Alternative
}
export interface Scheduled {
  /** What variants are chosen by. */
  readonly rows?: Ix
  /** Sizes that the nests call by name, as parameters. */
  readonly constants?: ReadonlyMap<Sym, number>
  /** Whether the right operand that they stand in is kept column by column. */
  readonly turned?: boolean
  /** What becomes of the sums of a contraction. */
  readonly tail?: Tail
  /** None where there are passes for all dims. */
  readonly variants: readonly Variant[]
  /** Several dispatches that do the same, where that is better. */
  readonly passes?: Passes
  /** The same, of a kernel that may have those: where none of its alternatives is taken. */
  readonly spread?: Passes
}

export interface ScheduleOptions {
  /** Whether the kernel is used with one position per sequence, with many, or both: which numbers of rows to be good at. Default 'many'. */
  readonly used?: 'one' | 'many' | 'both'
  /** Where contractions have the rows that they make themselves: kept by each workgroup (default), or made by a pass before. */
  readonly prologues?: 'kept' | 'apart'
  /** Only what needs no workgroup memory, for few rows. */
  readonly direct?: boolean
}

/** Rows up to which a variant is taken: one row per workgroup, or several. */
const ONE = 4
const FEW = 16
const FEW_ROWS = 4
/** Rows of a thread that makes results of many by itself. */
const DIRECT_ROWS = 4
/** Rows up to which each has a workgroup of its own, rather than a part of one. */
const APART = 8

/** Queries up to which threads make one each, on devices where that is faster than blocks. */
const ALONE = 128
/** Elements of rows that a thread makes by itself on such devices. */
const LONG = 4096

/** What whole nests get: nothing computed twice, or in a loop without need. */
const finish = (nest: NestKernel): NestKernel => withoutCopies(cse(hoist(cse(simplify(nest)))))

export function schedule(given: StageKernel, options: ScheduleOptions = {}): Scheduled {
  const folded = withPrologue(given, options)
  if (folded !== undefined) return folded
  const kernel: StageKernel = { ...given, stages: inlineStages(given.stages) }
  const structure = structureOf(kernel)
  const only = (name: Variant['schedule'], nest: NestKernel): Scheduled => ({
    variants: [{ suffix: '', schedule: name, nest: finish(nest) }],
  })
  switch (structure.k) {
    case 'contraction': {
      const plain = productIn(kernel, structure)
      if (plain === undefined) return only('each', each(given))
      const named = plain.sides ? undefined : generic(plain, structure.epilogue)
      const p = named?.product ?? plain
      const tail = tailOf(plain)
      const variants = contractionVariants(
        p,
        tail,
        options.direct ? 'direct' : p.sides ? 'one' : (options.used ?? 'many'),
      )
      return {
        rows: p.rows.count,
        tail,
        variants,
        ...(named ? { constants: named.constants, turned: named.turned } : {}),
      }
    }
    case 'carried': {
      const parts = split(kernel)
      const nest = parts ?? carried(kernel)
      if (nest === undefined) return only('each', each(given))
      const one: Variant = { suffix: '', schedule: parts ? 'split' : 'carried', nest: finish(nest) }
      const blocks = options.used === 'one' ? undefined : flash(kernel)
      const count = blocks && isConst(blocks.rows)
      const parted = options.used === 'many' ? undefined : spread(kernel, APART, finish)
      const apart = parted ? { spread: parted } : {}
      if (blocks === undefined || (count ?? Infinity) <= APART)
        return { variants: [one], ...instead(given, 'queries'), ...apart }
      const many: Variant = { suffix: '', schedule: 'flash', nest: finish(blocks.nest) }
      const few: readonly Variant[] = options.used === 'both' ? [{ ...one, suffix: '_one', upTo: APART }] : []
      return {
        rows: blocks.rows,
        variants: [...few, many],
        ...instead(given, 'queries', [[blocks.rows, con(ALONE)]]),
        ...apart,
      }
    }
    case 'rows': {
      if (options.direct) return only('each', alone(given) ?? each(given))
      const nest = rows(kernel)
      if (nest === undefined) return only('each', each(given))
      const together = only('rows', nest)
      const arranged = arrange(kernel)
      // One fold for each element is too much for a thread.
      const folds = arranged.stages.some((s) => s.stage.body.k === 'reduce' && s.inner.length > 0)
      if (folds || longestRow(arranged) > LONG) return together
      return { ...together, ...instead(given, 'rows') }
    }
    case 'map':
      return only('each', each(given))
  }
}

/** A thread for each row, on devices that do better with that: a kernel of its own, whose buffers are read element by element. */
function instead(given: StageKernel, when: Alternative, where?: Condition): Pick<Scheduled, 'passes'> {
  const nest = alone(given)
  if (nest === undefined) return {}
  const kernel = { ...given, name: `${given.name}_direct` }
  const scheduled: Scheduled = { variants: [{ suffix: '', schedule: 'each', nest: finish(nest) }] }
  return { passes: { list: [{ kernel, scheduled }], scratch: [], when, ...(where ? { where } : {}) } }
}

/** What a kernel is used for decides which it has; each more would be more code and more pipelines to compile. Sets of columns are summed where rows are few. */
function contractionVariants(p: Product, tail: Tail, used: 'direct' | NonNullable<ScheduleOptions['used']>): readonly Variant[] {
  const one = (): Variant => ({ suffix: '_one', schedule: 'matvec', ...matvec(p, tail, 1), upTo: ONE })
  const some = (): Variant => ({ suffix: '_few', schedule: 'matvec', ...matvec(p, tail, FEW_ROWS), upTo: FEW })
  const many = (): Variant => {
    const half = tiledHalf(p, tail, tileRows(p))
    const form = half ? { form: { feature: 'shader-f16', ...half } as const } : {}
    return { suffix: '', schedule: 'tiled', ...tiled(p, tail, tileRows(p)), ...form }
  }
  const own = (): Variant => ({ suffix: '_direct_one', schedule: 'direct', ...direct(p, tail, 1), upTo: ONE, when: 'few' })
  const direct4 = (when: Alternative): Variant => ({ suffix: '_direct', schedule: 'direct', ...direct(p, tail, DIRECT_ROWS), when })
  const last = ({ upTo: _, ...v }: Variant, suffix: string): Variant => ({ ...v, suffix })
  const count = isConst(p.rows.count)
  if (used === 'direct') return [{ suffix: '', schedule: 'direct', ...direct(p, tail, 1) }]
  if (count === undefined)
    switch (used) {
      case 'one':
        return [own(), direct4('few'), one(), last(some(), '')]
      case 'many':
        return [direct4('many'), some(), many()]
      case 'both':
        return [own(), one(), direct4('many'), many()]
    }
  const few = used === 'one' || count <= (used === 'many' ? FEW : ONE)
  const apart = count <= ONE ? last(own(), '_direct') : direct4(few ? 'few' : 'many')
  return [apart, last(!few ? many() : used !== 'many' && count <= ONE ? one() : some(), '')]
} // prettier-ignore

/** A contraction that is the first of the kernel's stages, with what follows it: at each of its own points, or in sets of columns. */
function productIn(kernel: StageKernel, s: Structure & { k: 'contraction' }): Product | undefined {
  const whole = !(s.stage.body.k === 'reduce' && s.stage.body.where)
  if (kernel.stages[0] !== s.stage || !whole) return undefined
  const epilogue = epilogueOf(s.stage, s.epilogue)
  if (epilogue !== undefined) return productOf(kernel, s, epilogue)
  const sets = columnSets(s, s.epilogue)
  return sets && productOfSets(kernel, s, sets)
}

/** A contraction of few rows that it makes itself. */
function withPrologue(given: StageKernel, options: ScheduleOptions): Scheduled | undefined {
  const split = splitPrologue(given)
  if (split === undefined) return undefined
  const inSequence = (): Scheduled => ({ variants: [], passes: apart(split, (k) => schedule(k, options)) })
  if (options.prologues === 'apart') return inSequence()
  const structure = structureOf(split.rest)
  if (structure.k !== 'contraction') return undefined
  // A table that the rows are gathered from, too, would have two shapes in one kernel.
  const read = new Set(split.rows.stages.flatMap(exprsOfStage).flatMap(loadsOf).map((l) => l.buf)) // prettier-ignore
  if (read.has(structure.b.buf)) return inSequence()
  const plain = productIn(split.rest, structure)
  if (plain === undefined) return undefined
  const named = plain.sides ? undefined : generic(plain, structure.epilogue, split)
  const product = named?.product ?? plain
  const left = leftOf(named?.split ?? split, product.c, product.rows)
  if (left === undefined || structure.batch.length > 0) return undefined
  const p = { ...product, left }
  const constants = named ? { constants: named.constants, turned: named.turned } : {}
  const passes: Passes = { ...apart(split, (k) => schedule(k, { direct: true })), when: 'few' }
  const tail = tailOf(plain)
  const most = rowsKept(p, FEW_ROWS)
  const count = isConst(p.rows.count)
  const one: Variant = { suffix: '_one', schedule: 'matvec', ...matvec(p, tail, 1), upTo: ONE }
  if (most === 1 || (count !== undefined && count <= ONE)) {
    const { upTo: _, ...only } = one
    return { ...constants, tail, variants: [{ ...only, suffix: '' }], passes }
  }
  const some: Variant = { suffix: '', schedule: 'matvec', ...matvec(p, tail, most) }
  return { ...constants, tail, rows: p.rows.count, variants: [one, some], passes }
}
