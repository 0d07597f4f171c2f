/** Expected values of kernels on made-up inputs, computed from the stages (not from the nests that are printed). */
import { storageOf } from '../../src/kernel/address.ts'
import type { Buffer, Layout } from '../../src/kernel/buffer.ts'
import { withHalfErrors } from '../../src/kernel/half.ts'
import { pointEvaluator } from '../../src/kernel/point.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { extentOf } from '../../src/kernel/walk.ts'
import type { Module } from '../../src/program/types.ts'
import type { Condition, FloatRules } from '../../src/target.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { evaluate, isConst } from '../../src/types/ix.ts'
import type { Printer } from './printer.ts'
import { sampleInput } from '../runtime/sample.ts'
import { indent, quote } from './text.ts'

/** Arguments above this many elements would make the test slow to run: their kernels are left out. */
const largest = 2 ** 26

/** Arguments of at most this many elements are made up once, for kernels that read all of them for each of them. */
const few = 2048

/** Made-up weights that are kept in fewer bits, of targets that can make them where they are tested. */
export interface KeptSamples {
  /** The number at a flat offset of what is filled as `seed`: an argument, or a part with so many elements of its layout's storage. */
  readonly value: (layout: Layout, elements: number, seed: number, flat: number) => number
  /** How it is kept, for its test. */
  readonly text: (layout: Layout, elements: number) => string
}

/** The table `tests`, one entry for each kernel. */
export function selftestLines(
  module: Module,
  names: readonly string[],
  rules: FloatRules,
  p: Printer,
  {
    dims = inOrder,
    parts = () => undefined,
    kept,
    passes = () => [],
  }: {
    readonly dims?: DimsText
    readonly parts?: PartLengths
    readonly kept?: KeptSamples
    readonly passes?: (kernel: number) => readonly PassTest[]
  } = {},
): string[] {
  const lines = module.kernels.flatMap((k, i) => {
    const [first, ...more] = passes(i)
    const test = (name: string, of?: PassTest): readonly string[] => testOf(k, name, rules, dims, (a) => parts(i, a), kept, of) // prettier-ignore
    return [...test(names[i], first), ...more.flatMap((x) => test(quote(''), x))]
  })
  return [`const tests${p.type('KernelTest[]')} = [`, ...indent(lines), ']', '']
}

/** Dispatches in sequence that make a kernel's results, too: their text, and the elements of what lies between them. */
export interface PassTest {
  readonly text: string
  readonly scratch: readonly Ix[]
  /** What sizes are to be like. */
  readonly where?: Condition
}
/** How the dims of a test are written: by position, as kernels take them. */
type DimsText = (params: ReadonlyMap<Sym, number>) => string
/** The elements of each part of an argument that lies in several: tests fill and name buffers, not arguments. */
type PartLengths = (kernel: number, argument: number) => readonly number[] | undefined
const inOrder: DimsText = (params) => `[${[...params.values()].join(', ')}]`

function testOf(
  given: StageKernel,
  name: string,
  rules: FloatRules,
  dimsText: DimsText,
  partsOf: (argument: number) => readonly number[] | undefined,
  kept: KeptSamples | undefined,
  passes: PassTest | undefined,
): string[] {
  const kernel = withHalfErrors(given)
  const params = new Map(kernel.params.map((s) => [s, smallValue(s)]))
  const value = (s: Sym): number => params.get(s) ?? 0
  // The index of a loop ends before the loop does: beyond it a kernel would write outside of its results.
  for (const s of kernel.params)
    if (isConst(s.hi) === undefined) params.set(s, Math.min(value(s), evaluate(s.hi, value)))
  if (passes?.where) enlarge(params, passes.where)
  const sizes = kernel.args.map((a) => evaluate(storageOf(a.buffer), value))
  const keeps = kernel.args.flatMap((a, i) => (a.buffer.layout?.kept ? [[i, a.buffer.layout] as const] : []))
  // Made-up inputs are floats: weights that are kept in fewer bits would be others.
  if (sizes.some((n) => n > largest) || (keeps.length > 0 && kept === undefined)) return []
  const written = kernel.args.flatMap((a, i) => (a.access === 'read' ? [] : [i]))
  // What is filled, one by one: arguments, or the parts of one.
  const filled = kernel.args.map((_, i) => partsOf(i) ?? [sizes[i]])
  const places = filled.map((_, i) => filled.slice(0, i).flat().length)
  const seeds = new Map(kernel.args.map((a, i) => [a.buffer, i]))
  const inputs = (buffer: Buffer): ((flat: number) => number) => {
    const argument = seeds.get(buffer)!
    const { of, layout } = buffer
    const place = places[argument]
    const [whole, ...more] = filled[argument]
    if (layout?.kept) {
      // Parts of what is kept are ranges of columns.
      const { rows } = layout.kept
      const [width, each] = [sizes[argument] / rows, whole / rows]
      return (flat) => {
        const part = Math.floor((flat % width) / each)
        const own = filled[argument][part] / rows
        const at = Math.floor(flat / width) * own + (flat % width) - part * each
        return kept!.value(layout, filled[argument][part], place + part, at)
      }
    }
    const integer = of === 'i32' || of === 'bool'
    // Parts are filled as buffers of their own.
    const value = (flat: number): number =>
      more.length === 0
        ? sampleInput(place, flat, integer)
        : sampleInput(place + Math.floor(flat / whole), flat % whole, integer)
    if (sizes[argument] > few) return value
    const table = Float64Array.from({ length: sizes[argument] }, (_, i) => value(i))
    return (flat) => table[flat]
  }
  const point = pointEvaluator(kernel, inputs, params, rules)
  const expected: string[] = []
  for (const argument of written) {
    for (const stage of kernel.stages.filter((s) => s.out === kernel.args[argument].buffer)) {
      for (const part of [0.37, 0.71]) {
        const coords = stage.domain.map((v) => Math.floor(part * evaluate(extentOf(v), value)))
        const found = point(stage, coords)
        if (found === undefined || !Number.isFinite(found.value + found.bound)) continue
        const bound = found.bound + Math.abs(found.value) * 2 ** -23 + 1e-12
        expected.push(
          `[${places[argument]}, ${found.offset}, ${Number(found.value.toPrecision(9))}, ${Number((bound * 1.01).toPrecision(3))}]`,
        )
        break
      }
    }
  }
  // A kernel whose every result was left out by a guard could not be told apart from an input.
  if (written.some((a) => !expected.some((e) => e.startsWith(`[${places[a]},`)))) return []
  const lengths = kernel.args.flatMap(({ buffer: { of } }, i) =>
    filled[i].map((n) => (of === 'i32' || of === 'bool' ? -n : n)),
  )
  if (passes) lengths.push(...passes.scratch.map((x) => evaluate(x, value)))
  const keep = keeps.flatMap(([i, layout]) =>
    filled[i].map((n, part) => `${places[i] + part}: ${kept!.text(layout, n)}`),
  )
  return [
    `{ name: ${quote(kernel.name)}, run: ${name}, lengths: [${lengths.join(', ')}], dims: ${dimsText(params)},${passes ? ` ${passes.text},` : ''}${keep.length > 0 ? ` keep: { ${keep.join(', ')} },` : ''}`,
    `  expect: [${[...new Set(expected)].join(', ')}] },`,
  ]
}

/** 2 where it is allowed. */
function smallValue(s: Sym): number {
  const lo = isConst(s.lo) ?? 1
  const hi = isConst(s.hi) ?? Infinity
  return Math.min(Math.max(Math.ceil(Math.max(2, lo) / s.multipleOf) * s.multipleOf, lo), hi)
}

/** Doubles one of the dims until conditions hold, where that is enough. */
function enlarge(params: Map<Sym, number>, conditions: Condition): void {
  for (const [s, least] of params) {
    const most = Math.min(isConst(s.hi) ?? Infinity, 2 ** 12)
    for (let n = least; n <= most; n *= 2) {
      const at = (x: Sym): number => (x === s ? n : (params.get(x) ?? 0))
      if (!conditions.every(([a, b]) => evaluate(a, at) <= evaluate(b, at))) continue
      params.set(s, n)
      return
    }
  }
}
