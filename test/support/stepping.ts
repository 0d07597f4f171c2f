/** The property of derived programs: however a sequence is cut into pieces, each piece gives what a run over everything up to it gives there. */
import { expect } from 'vitest'
import { compileGraph, type Compiled } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { makeSimulator } from '../../src/diff/simulate.ts'
import type { ElaborateOptions } from '../../src/frontend/index.ts'
import { interpret } from '../../src/interpret/index.ts'
import { parseGraph } from '../../src/ir/parse.ts'
import { printGraph } from '../../src/ir/print.ts'
import type { Graph, InputSpec } from '../../src/ir/types.ts'
import { verifyGraph } from '../../src/ir/verify.ts'
import type { Cells } from '../../src/kernel/execute.ts'
import type { ProgramName } from '../../src/program/types.ts'
import type { Target } from '../../src/target.ts'
import { evaluate, of, symbolsOf, type Sym } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { randomTensor } from '../../src/weights/random.ts'
import { writeSafetensors } from '../../src/weights/write.ts'
import { expectInBounds } from './bounds.ts'
import { loadEmitted, targets as allTargets } from './emitted.ts'
import { graphOfText } from './models.ts'
import { givenAll, positions, type Result } from './tensors.ts'

export interface SteppingOptions {
  /** Positions in all. Default 7. */
  readonly length?: number
  /** Sizes of the other dims, by name. Default 2. */
  readonly dims?: Readonly<Record<string, number>>
  /** Inputs by name; `undefined` leaves an optional one out. The others are random: i32 below what they index (else 0 and 1). */
  readonly inputs?: Readonly<Record<string, Tensor | undefined>>
  /** Sizes of pieces, each list adding up to `length`; pieces of 1 after the first are steps. Default: steps only; 3, 1, 2, steps; all at once. */
  readonly pieces?: readonly (readonly number[])[]
  /** Default: all. The reference is always tested. */
  readonly targets?: readonly Target[]
  readonly elaborate?: ElaborateOptions
  /** Instead of random weights. */
  readonly weights?: ReadonlyMap<string, Tensor>
}

/**
 * Checks a model with `sequence` on the reference (float64, to 1e-12), and on each target within the simulated bound of rounding errors.
 * Returns what was compiled (for the first target), for further tests.
 */
export async function expectStepsEqualRun(text: string, options: SteppingOptions = {}): Promise<Compiled> {
  const graph = graphOfText(text, options.elaborate)
  const T = graph.sequence
  if (T === undefined) throw new Error('the model declares no sequence')
  const length = options.length ?? 7
  const sizes = new Map(graph.dims.map((s) => [s, s === T ? length : (options.dims?.[s.name] ?? 2)]))
  const weights = options.weights ?? weightsOf(graph)
  const targets = options.targets ?? allTargets
  const compiled = (targets.length > 0 ? targets : [allTargets[0]]).map((target) =>
    compileGraph(graph, sourceFile('test.tfm', text), target),
  )
  if (compiled[0].notSteppable) throw new Error(compiled[0].notSteppable.message)
  for (const { graph: derived } of compiled[0].programs) {
    verifyGraph(derived)
    // Terms of dims may be printed in another order.
    const again = printGraph(parseGraph(printGraph(derived)))
    expect(printGraph(parseGraph(again))).toBe(again)
  }
  const inputs = new Map<string, Tensor>()
  for (const i of graph.inputs) {
    const given =
      options.inputs && i.name in options.inputs ? options.inputs[i.name] : randomInput(i, sizes, compiled[0])
    if (given !== undefined) inputs.set(i.name, given)
  }
  const pieces = options.pieces ?? [ones(length), pieced(length), [length]]
  const wanted = new Map<number, ReadonlyMap<string, Tensor>>()
  const want = (upTo: number): ReadonlyMap<string, Tensor> => {
    let found = wanted.get(upTo)
    if (found === undefined) {
      const prefix = new Map(graph.inputs.flatMap((i) => cut(i, inputs, T, 0, upTo)))
      wanted.set(upTo, (found = interpret(graph, { inputs: prefix, params: weights }).outputs))
    }
    return found
  }
  const given = { graph, T, inputs, weights, want, sizes }
  for (const list of pieces) {
    expect(list.reduce((a, b) => a + b, 0)).toBe(length)
    stepReference(compiled[0], given, list)
  }
  for (const [n, target] of targets.entries()) await stepTarget(target, compiled[n], given, pieces)
  return compiled[0]
}

interface Given {
  readonly graph: Graph
  readonly T: Sym
  readonly inputs: ReadonlyMap<string, Tensor>
  readonly weights: ReadonlyMap<string, Tensor>
  readonly want: (upTo: number) => ReadonlyMap<string, Tensor>
  readonly sizes: ReadonlyMap<Sym, number>
}

/** 3, 1, 2, then one at a time. */
const pieced = (length: number): number[] =>
  length < 6 ? [Math.min(2, length), ...ones(length - 2)] : [3, 1, 2, ...ones(length - 6)]
const ones = (n: number): number[] => Array.from({ length: Math.max(n, 0) }, () => 1)

/** Random weights of a model, as the tests of stepping use them. */
export function weightsOf(graph: Graph): Map<string, Tensor> {
  return new Map(
    graph.params
      .filter((p) => p.fallback === undefined)
      .map(({ name, shape }) => {
        // Wide enough for errors to show, and far from saturating.
        const gain = shape.length > 1 ? 15 : 5
        const center = shape.length > 1 || /b(ias)?$/.test(name) ? 0 : 1
        const data = Float64Array.from(randomTensor(name, shape, 7), (x) => Math.fround((x - center) * gain + center))
        return [name, { dtype: 'f32', shape, data }]
      }),
  )
}

function randomInput(i: InputSpec, sizes: ReadonlyMap<Sym, number>, compiled: Compiled): Tensor {
  const { dtype, shape } = i.node.type
  const size = (s: Sym): number => sizes.get(s)!
  const extents = shape.map((d) => evaluate(d, size))
  const below = compiled.lowered.module.programs[0].inputs.find((p) => p.name === i.name)?.below
  const most = below === undefined ? 2 : evaluate(below, size)
  const data = Float64Array.from(randomTensor(i.name, [...extents, 1], 3), (x) =>
    dtype === 'f32' ? Math.fround(x * 50) : Math.abs(Math.floor(x * 1e6)) % most,
  )
  return { dtype, shape: extents, data }
}

/** Positions from … to - 1 of an input that lies on the sequence; others whole. */
function cut(i: InputSpec, inputs: ReadonlyMap<string, Tensor>, T: Sym, from: number, to: number): [string, Tensor][] {
  const t = inputs.get(i.name)
  if (t === undefined) return []
  const axis = i.node.type.shape.findIndex((d) => d === of(T))
  return [[i.name, axis < 0 ? t : positions(t, from, to, axis)]]
}

/** What the outputs of the piece past … past + n - 1 must be. */
function expected({ graph, T, want }: Given, past: number, n: number): Map<string, Tensor> {
  return new Map(
    graph.outputs.flatMap((o): [string, Tensor][] => {
      const { shape } = o.node.type
      const value = want(past + n).get(o.name)!
      const axis = shape.findIndex((d) => d === of(T))
      return [[o.name, axis < 0 ? value : positions(value, past, past + n, axis)]]
    }),
  )
}

function stepReference(compiled: Compiled, given: Given, pieces: readonly number[]): void {
  const { graph, T, inputs, weights, sizes } = given
  const program = (name: string) => compiled.programs.find((p) => p.name === name)
  const state = new Map<string, Tensor>()
  const others = Object.fromEntries([...sizes].filter(([s]) => s !== T).map(([s, n]) => [s.name, n]))
  const run = (name: string, from: number, to: number): Map<string, Tensor> => {
    const { graph: part, keep } = program(name)!
    const own = new Map(
      graph.inputs
        .filter((i) => part.inputs.some((p) => p.name === i.name))
        .flatMap((i) => cut(i, inputs, T, from, to)),
    )
    const done = interpret(part, {
      inputs: own,
      params: weights,
      state,
      dims: { ...others, P: from, [T.name]: to - from },
    })
    for (const [key, value] of done.state) state.set(key, value)
    for (const key of keep) if (done.outputs.has(key)) state.set(key, done.outputs.get(key)!)
    return done.outputs
  }
  if (program('prepare')) run('prepare', 0, pieces[0])
  let past = 0
  for (const n of pieces) {
    const got = run(n === 1 && past > 0 ? 'step' : 'prefill', past, past + n)
    for (const [name, value] of expected(given, past, n)) {
      const mine = got.get(name)
      if (mine === undefined) continue // does not depend on the sequence: a result of prepare
      expect(mine.shape, name).toEqual(value.shape)
      let worst = 0
      for (let i = 0; i < value.data.length; i++) {
        const off = Math.abs(mine.data[i] - value.data[i]) / (1 + Math.abs(value.data[i]))
        worst = Math.max(worst, Number.isNaN(off) ? Infinity : off)
      }
      expect(worst, `reference, ${name} of ${n} after ${past} (pieces ${pieces.join(', ')})`).toBeLessThan(1e-12)
    }
    past += n
  }
}

async function stepTarget(
  target: Target,
  compiled: Compiled,
  given: Given,
  all: readonly (readonly number[])[],
): Promise<void> {
  const { graph, T, inputs, weights, sizes, want } = given
  const { module } = compiled.lowered
  const file = [...weights].map(([name, { shape, data }]) => ({ name, shape, data: Float32Array.from(data) }))
  const model = await loadEmitted(target, compiled, writeSafetensors(file))
  const portsOf = (name: string) => module.programs.find((p) => p.name === name)?.inputs ?? []
  const close = (
    got: Readonly<Record<string, Result>>,
    wanted: ReadonlyMap<string, Tensor>,
    bounds: ReadonlyMap<string, Cells>,
    where: string,
  ): void => {
    for (const [key, value] of wanted) {
      if (got[key] === undefined) continue
      expectInBounds(got[key], value, bounds.get(key)!, target, `${target.name}, ${key} ${where}`)
    }
  }
  try {
    for (const pieces of all) {
      // The same calls on pairs of values and errors.
      const simulator = makeSimulator({
        module, rules: target.floats, mode: 'rms',
        tensor: (name) => (weights.get(name) ?? weights.get(graph.params.find((p) => p.name === name)!.fallback!))!.data,
      }) // prettier-ignore
      const dims = new Map(sizes)
      const filled = (name: ProgramName, from: number, to: number) =>
        new Map(
          portsOf(name).map((port) => {
            const spec = graph.inputs.find((i) => i.name === port.name)!
            const [found] = cut(spec, inputs, T, from, to)
            const count = port.shape.reduce((k, d) => k * evaluate(d, (s) => dims.get(s)!), 1)
            return [port.name, found?.[1].data ?? new Float64Array(count).fill(port.fill ?? NaN)]
          }),
        )
      model.reset()
      let past = 0
      for (const n of pieces) {
        const name = n === 1 && past > 0 ? 'step' : 'prefill'
        dims.set(T, n).set(module.sequence!.past, past)
        if (past === 0 && module.programs.some((p) => p.name === 'prepare'))
          simulator.run('prepare', { inputs: filled('prepare', 0, n), dims })
        const bounds = simulator.run(name, { inputs: filled(name, past, past + n), dims })
        const names = new Set([...portsOf(name), ...(past === 0 ? portsOf('prepare') : [])].map((p) => p.name))
        const own = graph.inputs.filter((i) => names.has(i.name)).flatMap((i) => cut(i, inputs, T, past, past + n))
        const got = await model[name](givenAll(own))
        expect(model.past).toBe(past + n)
        close(got, expected(given, past, n), bounds, `of ${n} after ${past} (pieces ${pieces.join(', ')})`)
        past += n
        // A run of the whole on its own leaves the positions so far alone.
        if (past === n && pieces === all[0]) {
          const length = sizes.get(T)!
          const whole = graph.inputs.flatMap((i) => cut(i, inputs, T, 0, length))
          dims.set(T, length)
          const run = simulator.run('run', { inputs: filled('run', 0, length), dims })
          close(await model.run(givenAll(whole)), want(length), run, 'of run')
        }
      }
    }
    await model.selftest()
  } finally {
    model.dispose()
  }
}

/** Elements that a program keeps between calls beside those that grow, and per position those that grow. */
export function stateSizes(
  compiled: Compiled,
  dims: Readonly<Record<string, number>>,
): { fixed: number; growing: number } {
  const { state, sequence } = compiled.lowered.module
  const { T, past } = sequence!
  const at = (size: Parameters<typeof evaluate>[0], positions: number): number =>
    evaluate(size, (s) => (s === T ? positions : s === past ? 0 : dims[s.name]))
  const grows = state.filter((s) => symbolsOf(s.layout.size).has(T))
  return {
    fixed: state.filter((s) => !grows.includes(s)).reduce((n, s) => n + at(s.layout.size, 1), 0),
    growing: grows.reduce((n, s) => n + at(s.layout.size, 1), 0),
  }
}
