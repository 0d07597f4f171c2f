/**
 * Kernels that draw the next token from the last position's logits, so that only its id leaves the device. They are stages like a model's own:
 * the largest is a fold; the k largest are found by rank, in slices, level by level; the draw is made of prefix sums over the k that are left.
 */
import { newBuffer } from '../../src/kernel/buffer.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { Expr, Scalar } from '../../src/kernel/expr.ts'
import { bin, constant, index, load, select, un } from '../../src/kernel/expr.ts'
import type { Body, KernelArg, Stage, StageKernel } from '../../src/kernel/stage.ts'
import { loopSymbol } from '../../src/kernel/walk.ts'
import type { HostStep, Module, Program } from '../../src/program/types.ts'
import type { Ix, IxLike, Sym } from '../../src/types/ix.ts'
import { add, con, isConst, min, mul, of, sub, sym, symbolsOf } from '../../src/types/ix.ts'
import { generationOf, programOf } from '../shared/generation.ts'

/** The most ids that `topK` may keep on the device. */
export const MOST = 64
/** Candidates that one workgroup ranks, and that the last one does. */
const SLICE = 512
const LAST = 1024
/** The largest finite f32: kernels have no infinities. */
const HUGE = 3.4028234663852886e38
/** The largest of no ids. */
const NONE = -2147483647

/** Kernels and their buffers, as dispatches: `o:` logits, `d:` what is drawn with. */
export type Draws = readonly { readonly kernel: StageKernel; readonly args: readonly string[] }[]
export interface Sampling {
  /** The input that takes the drawn id. */
  readonly ids: string
  /** Dims of that input beside the positions: it has one row. */
  readonly rows: readonly string[]
  /** Whether a step can be undone by counting positions back: it writes caches only. */
  readonly ahead: boolean
  readonly vocabulary: number
  /** Elements of the lists between the levels: values and ids of each. */
  readonly lists: readonly number[]
  readonly greedy: Draws
  readonly top: Draws
}

/** Undefined where the model does not generate, or its logits do not say how many they are. */
export function samplingOf(module: Module): Sampling | undefined {
  const generation = generationOf(module)
  const prefill = programOf(module, 'prefill')
  const step = programOf(module, 'step')
  if (!generation || !prefill || !step) return undefined
  const port = prefill.outputs.find((o) => o.name === generation.logits)!
  const below = step.inputs.find((i) => i.name === generation.ids)?.below
  const size = isConst(port.shape[port.shape.length - 1])
  if (size === undefined || (below !== undefined && !((isConst(below) ?? 0) >= size))) return undefined

  const logits = newBuffer('logits', 'f32', 'global', port.shape)
  const last = port.shape.slice(0, -1).map((x) => sub(x, 1))
  const params = [...new Set(port.shape.flatMap((x) => [...symbolsOf(x)]))]
  const at = (v: Ix): Expr => load(logits, [...last, v])
  const source = `o:${generation.logits}`
  const id = newBuffer('id', 'i32', 'global', [con(1)])

  const one = loopSymbol('i', 1)
  const v = loopSymbol('v', size)
  const largest = reduce('id', id, [one], 'argmax', v, at(of(v)), undefined, -1)
  const greedy = { kernel: kernelOf('largest_logit', 'The id of the largest logit.', [largest], [logits], [id], params), args: [source, 'd:id'] } // prettier-ignore

  const lists: number[] = []
  const top: Draws[number][] = []
  let from: Candidates = { count: size, value: (i) => clean(at(i)), id: index, buffers: [logits], params }
  let names = [source]
  while (from.count > LAST) {
    const list = listOf(MOST * Math.ceil(from.count / SLICE), lists.length)
    top.push({ kernel: topOfSlices(from, list, lists.length), args: [...names, ...list.names] })
    lists.push(list.from.count)
    from = list.from
    names = [...list.names]
  }
  top.push({ kernel: drawn(from, id), args: [...names, 'd:options', 'd:id'] })
  const shape = prefill.inputs.find((i) => i.name === generation.ids)?.shape ?? []
  const rows = shape.flatMap((x) => [...symbolsOf(x)]).filter((s) => s !== module.sequence?.T)
  return {
    ids: generation.ids,
    rows: rows.map((s) => s.name),
    ahead: onlyCaches(module, step),
    vocabulary: size,
    lists,
    greedy: [greedy],
    top,
  }
}

/** Whether all state that a program writes grows along the sequence: what lies behind the past positions is never read. */
function onlyCaches(module: Module, program: Program): boolean {
  const caches = new Set(module.state.filter((s) => s.axis !== undefined).map((s) => s.name))
  const undone = (steps: readonly HostStep[]): boolean =>
    steps.every((s) => {
      if (s.k !== 'dispatch') return undone(s.body)
      return s.args.every((slot, i) => {
        if (module.kernels[s.kernel].args[i].access === 'read') return true
        if (slot.k === 'state') return caches.has(slot.name)
        return slot.k !== 'perLayer' || slot.of !== 'state' || slot.names.every((n) => caches.has(n))
      })
    })
  return undone(program.steps)
}

// ---- the k largest ----

/** Numbered values with the ids they stand for. Of equal values the first comes first. */
interface Candidates {
  readonly count: number
  readonly value: (i: Ix) => Expr
  readonly id: (i: Ix) => Expr
  readonly buffers: readonly Buffer[]
  readonly params: readonly Sym[]
}

/** What one level writes, in rows, and the next one reads. */
function listOf(
  count: number,
  level: number,
): {
  readonly from: Candidates
  readonly names: readonly [string, string]
  readonly buffers: readonly [Buffer, Buffer]
} {
  const made = (shape: readonly Ix[]): readonly [Buffer, Buffer] => [
    newBuffer('values', 'f32', 'global', shape),
    newBuffer('ids', 'i32', 'global', shape),
  ]
  const [values, ids] = made([con(count)])
  return {
    from: { count, value: (i) => load(values, [i]), id: (i) => load(ids, [i]), buffers: [values, ids], params: [] },
    names: [`d:values ${level}`, `d:ids ${level}`],
    buffers: made([con(count / MOST), con(MOST)]),
  }
}

/** No NaN (it is never drawn) and no infinities. */
const clean = (x: Expr): Expr =>
  select(bin('ne', x, x), constant(-HUGE), bin('min', bin('max', x, constant(-HUGE)), constant(HUGE)))

interface Ranked {
  readonly rank: Stage
  /** The candidate of that rank in slice `g`: a fold of `e` over the one that has it. */
  readonly pick: (
    name: string,
    out: Buffer,
    domain: readonly Sym[],
    g: Ix,
    rank: Expr,
    fold: 'add' | 'max',
    e: (at: Ix) => Expr,
    empty: number,
    where?: Expr,
  ) => Stage
}
/** Counts, for each candidate of a slice, how many come before it: larger, or as large and earlier. */
function ranked(from: Candidates, slice: number): Ranked {
  const slices = Math.ceil(from.count / slice)
  const whole = from.count % slice === 0
  const [g, c, u] = [loopSymbol('g', slices), loopSymbol('c', slice), loopSymbol('u', slice)]
  const place = (g: IxLike, c: Sym): Ix => add(mul(slice, of(g)), c)
  const inside = (g: IxLike, c: Sym): Ix => (whole ? place(g, c) : min(place(g, c), from.count - 1))
  const exists = (g: IxLike, c: Sym): Expr | undefined =>
    whole ? undefined : bin('lt', index(place(g, c)), index(con(from.count)))
  const [mine, other] = [from.value(inside(g, c)), from.value(inside(g, u))]
  const tie = bin('and', bin('eq', other, mine), bin('lt', index(of(u)), index(of(c))))
  const before = bin('or', bin('gt', other, mine), tie)
  const out = newBuffer('rank', 'i32', 'virtual', [con(slices), con(slice)])
  const counted = select(before, constant(1, 'i32'), constant(0, 'i32'))
  return {
    rank: reduce('rank', out, [g, c], 'add', u, counted, exists(g, u), 0),
    pick: (name, to, domain, g, rank, fold, e, empty, where) => {
      const c = loopSymbol('c', slice)
      const conditions = [exists(g, c), where, bin('eq', load(out, [g, of(c)]), rank)].filter((x) => x !== undefined)
      return reduce(
        name,
        to,
        domain,
        fold,
        c,
        e(inside(g, c)),
        conditions.reduce((x, y) => bin('and', x, y)),
        empty,
      )
    },
  }
}

/** The largest of each slice in order, with their ids. */
function topOfSlices(from: Candidates, to: ReturnType<typeof listOf>, level: number): StageKernel {
  const { rank, pick } = ranked(from, SLICE)
  const stages = to.buffers.map((out, n): Stage => {
    const [g, i] = [loopSymbol('g', Math.ceil(from.count / SLICE)), loopSymbol('i', MOST)]
    const place = [[g, i], of(g), index(of(i)), 'max'] as const
    return n === 0 ? pick('value', out, ...place, from.value, -HUGE) : pick('id', out, ...place, from.id, NONE)
  }) // prettier-ignore
  const doc = `The ${MOST} largest of each ${SLICE} ${level === 0 ? 'logits' : 'candidates'}, largest first, and their ids.`
  return kernelOf(level === 0 ? 'top_logits' : `top_again${level}`, doc, [rank, ...stages], from.buffers, to.buffers, from.params) // prettier-ignore
}

/**
 * One id of the k largest, by softmax with a temperature: after topP (the fewest that have this probability together, Holtzman et al. 2020) and
 * minP (a part of the largest probability). As `sample` of the runtime does it, in f32.
 */
function drawn(from: Candidates, id: Buffer): StageKernel {
  const topK = sym('top k', { lo: 1, hi: MOST, role: 'param' })
  const options = newBuffer('options', 'f32', 'global', [con(4)])
  const [temperature, topP, minP, random] = [0, 1, 2, 3].map((i) => load(options, [con(i)]))
  const { rank, pick } = ranked(from, from.count)
  const scalar = (name: string, of: Scalar = 'f32'): Buffer => newBuffer(name, of, 'virtual', [])
  const list = (name: string): Buffer => newBuffer(name, 'f32', 'virtual', [con(MOST)])
  const [best, weight, before, mass] = [scalar('best'), list('weight'), list('before'), list('mass')]
  const [choice, found] = [scalar('choice', 'i32'), scalar('found', 'i32')]
  const [c, i, j, one] = [loopSymbol('c', from.count), loopSymbol('i', MOST), loopSymbol('j', MOST), loopSymbol('one', 1)] // prettier-ignore
  const at = (list: Buffer, i: Sym): Expr => load(list, [of(i)])
  /** The probability of a candidate, as a part of the largest. */
  const part = (c: Ix): Expr => un('exp', bin('div', bin('sub', from.value(c), load(best, [])), temperature))
  const few = bin('lt', index(of(i)), index(of(topK)))
  // Parts fall: those that are kept are the first ones.
  const total = bin('add', load(before, [con(MOST - 1)]), load(weight, [con(MOST - 1)]))
  const kept = bin('and', bin('lt', at(before, j), bin('mul', topP, total)), bin('ge', at(weight, j), minP))
  const all = load(mass, [con(MOST - 1)])
  const passed = bin('and', bin('le', at(mass, i), bin('mul', random, all)), bin('lt', at(mass, i), all))
  const upTo = (f: 'lt' | 'le'): Expr => bin(f, index(of(j)), index(of(i)))
  const stages: Stage[] = [
    reduce('best', best, [], 'max', c, from.value(of(c)), undefined, -HUGE),
    rank,
    pick('weight', weight, [i], con(0), index(of(i)), 'add', part, 0, few),
    reduce('before', before, [i], 'add', j, at(weight, j), upTo('lt'), 0),
    reduce('mass', mass, [i], 'add', j, select(kept, at(weight, j), constant(0)), upTo('le'), 0),
    reduce('choice', choice, [], 'max', i, select(passed, index(add(of(i), 1)), constant(0, 'i32')), undefined, NONE),
    pick('found', found, [], con(0), load(choice, []), 'max', from.id, NONE),
    { name: 'id', out: id, domain: [one], body: { k: 'map', e: select(bin('gt', load(best, []), constant(-HUGE)), load(found, []), constant(-1, 'i32')) } },
  ] // prettier-ignore
  const doc = `One id of the k largest: ranks, then sums of the softmax up to each, then the first that passes the random number.`
  return kernelOf('draw', doc, stages, [...from.buffers, options], [id], [...from.params, topK])
}

// ---- stages ----

function reduce(
  name: string,
  out: Buffer,
  domain: readonly Sym[],
  fold: (Body & { k: 'reduce' })['fold'],
  axis: Sym,
  e: Expr,
  where: Expr | undefined,
  empty: number,
): Stage {
  return { name, out, domain, body: { k: 'reduce', fold, axes: [axis], e, empty, ...(where ? { where } : {}) } }
}

function kernelOf(
  name: string,
  doc: string,
  stages: readonly Stage[],
  reads: readonly Buffer[],
  writes: readonly Buffer[],
  params: readonly Sym[],
): StageKernel {
  const args = [
    ...reads.map((buffer): KernelArg => ({ buffer, access: 'read', role: 'activation' })),
    ...writes.map((buffer): KernelArg => ({ buffer, access: 'write', role: 'activation' })),
  ]
  return { name, doc: [doc], stages, args, params }
}
