/**
 * One generated model through everything: text and IR read back, passes and derived programs keep the meaning, and the emitted modules,
 * fused and unfused, are within the derived bounds of the reference.
 */
import { desugar, skeleton } from '../../grammar/desugar.ts'
import { format } from '../../grammar/format.ts'
import { parse } from '../../grammar/parse.ts'
import type { CheckedModel, Compiled } from '../../src/compile.ts'
import { checkModel, compileGraph } from '../../src/compile.ts'
import { DiagnosticError, render, sourceFile } from '../../src/diagnostics/index.ts'
import { compare } from '../../src/diff/compare.ts'
import { deviations } from '../../src/kernel/pairs.ts'
import { makeSimulator, type Simulator } from '../../src/diff/simulate.ts'
import { bindDims, evaluateAt, interpret } from '../../src/interpret/index.ts'
import { parseGraph } from '../../src/ir/parse.ts'
import { printGraph } from '../../src/ir/print.ts'
import type { Graph } from '../../src/ir/types.ts'
import { verifyGraph } from '../../src/ir/verify.ts'
import type { ProgramName } from '../../src/program/types.ts'
import { importArtifacts } from '../../src/cli/emitted.ts'
import type { Target } from '../../src/target.ts'
import type { Sym } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { safetensorsChunks } from '../../src/weights/write.ts'
import { givenAll } from '../support/tensors.ts'
import { cut, expectedOf, piecesOf, stepped } from './steps.ts'
import type { Case, Dims } from './model.ts'
import { drawn, weightOf } from './model.ts'

export interface Subject {
  readonly target: Target
  readonly fused: boolean
  /** Off: the model as if it declared no sequence, which is two programs fewer to build. Default true. */
  readonly steps?: boolean
}
export interface CheckOptions {
  readonly subjects: readonly Subject[]
  readonly device: () => Promise<GPUDevice>
}
export interface Finding {
  /** What was checked. */
  readonly what: string
  readonly message: string
}
export interface Report {
  readonly findings: readonly Finding[]
  /** Of each output of each target and call: its largest share of the bound, and the bound relative to the largest value. */
  readonly shares: readonly number[]
  readonly widths: readonly number[]
  readonly steppable: boolean
  readonly kernels: number
}
type Given = ReadonlyMap<string, Tensor>
type Results = Readonly<Record<string, { readonly data: ArrayLike<number>; readonly shape: readonly number[] }>>
type Run = (inputs: Readonly<Record<string, unknown>>) => Promise<Results>
interface Call {
  readonly given: Given
  readonly want: Given
  readonly dims: ReadonlyMap<Sym, number>
  /** A run over the first positions. */
  readonly wholeOf: (length: number) => Given
}
interface Emitted {
  readonly run: Run
  readonly prefill: Run
  readonly step: Run
  readonly reset: () => void
  readonly dispose: () => void
}

/** Runs all checks. Never throws: what is thrown is a finding. */
export async function check(model: Case, options: CheckOptions): Promise<Report> {
  const findings: Finding[] = []
  const [shares, widths]: [number[], number[]] = [[], []]
  let [steppable, kernels] = [false, 0]
  const attempt = async (what: string, f: () => void | Promise<void>): Promise<boolean> => {
    try {
      await f()
      return true
    } catch (error) {
      findings.push({ what, message: messageOf(error) })
      return false
    }
  }
  const { text } = model
  const file = sourceFile(`${model.name}.tfm`, text)
  let checked: CheckedModel | undefined
  if (!(await attempt('compile', () => void (checked = checkModel(file, { set: model.set ?? {} })))) || !checked)
    return report()
  const { graph } = checked
  await attempt('format', () => formatted(text, graph, model.set ?? {}))
  await attempt('printed IR', () => readsBack(graph))
  const tensor = (name: string): Float32Array => weightOf(name, graph.params.find((p) => p.name === name)!.shape)
  const weights = bytesOf(graph, tensor)
  const params = new Map(graph.params.map((p) => [p.name, { dtype: 'f32' as const, shape: p.shape, data: Float64Array.from(tensor(p.name)) }])) // prettier-ignore
  const calls: Call[] = []
  const evaluate = (given: Given): Given => interpret(graph, { inputs: given, params }).outputs
  const evaluated = await attempt('reference', () => {
    for (const [i, sizes] of model.calls.entries()) {
      const given = inputsOf(graph, model, sizes, i)
      const want = evaluate(given)
      for (const [name, t] of want)
        if (t.data.some((x) => !Number.isFinite(x))) throw new Error(`output ${name} is not finite`)
      const dims = bindDims(graph, given)
      const wholes = new Map<number, Given>(graph.sequence ? [[dims.get(graph.sequence)!, want]] : [])
      const wholeOf = (length: number): Given => {
        if (!wholes.has(length)) wholes.set(length, evaluate(cut(graph, given, 0, length)))
        return wholes.get(length)!
      }
      calls.push({ given, want, dims, wholeOf })
    }
  })
  if (!evaluated) return report()

  for (const [n, { target, fused, steps = true }] of options.subjects.entries()) {
    const what = `${target.name}, ${fused ? 'fused' : 'unfused'}`
    let compiled: Compiled | undefined
    const onPass = (pass: { name: string }, g: Graph): void => {
      try {
        verifyGraph(g)
      } catch (error) {
        throw new Error(`after ${pass.name}: ${messageOf(error)}`)
      }
    }
    const worked = await attempt(`compile for ${what}`, () => {
      const { sequence: _, ...still } = graph
      compiled = compileGraph(steps ? graph : still, file, target, { fuse: fused, onPass })
    })
    if (!worked || !compiled) continue
    const { optimised, derived, lowered } = compiled
    if (n === 0) {
      await attempt('passes', () => {
        for (const { given, want } of calls)
          sameValues(interpret(optimised, { inputs: given, params }).outputs, want, 1e-9, 'of the optimised graph')
      })
      if (derived) {
        steppable = true
        await attempt('steps of the reference', () => {
          for (const { given, dims, wholeOf } of calls) stepped(graph, compiled!.programs, given, dims, params, wholeOf)
        })
      }
    }
    kernels += lowered.module.kernels.length
    await attempt(what, async () => {
      const emitted = await load(target, compiled!, weights, options)
      const simulator = makeSimulator({ module: lowered.module, rules: target.floats, mode: 'rms', tensor })
      try {
        for (const call of calls) {
          const { given, want, dims } = call
          const got = await emitted.run(givenAll(given))
          within(target.floats.roundoff, got, want, simulator, 'run', given, dims, '')
          if (derived) await inSteps(emitted, call)
        }
      } finally {
        emitted.dispose()
      }

      /** Prefill in pieces, then steps, each against a run over the positions up to its end. */
      async function inSteps(emitted: Emitted, { given, dims, wholeOf }: Call): Promise<void> {
        const { T, past } = derived!
        const { programs } = lowered.module
        const state = makeSimulator({ module: lowered.module, rules: target.floats, mode: 'rms', tensor })
        emitted.reset()
        for (const [from, count] of piecesOf(dims.get(T)!)) {
          const local = new Map(dims).set(T, count).set(past, from)
          const piece = cut(graph, given, from, count)
          const prepare = from === 0 && programs.some((p) => p.name === 'prepare')
          if (prepare) state.run('prepare', { inputs: dataOf(piece), dims: local })
          const name = count === 1 && from > 0 ? 'step' : 'prefill'
          const taken = programs.filter((p) => p.name === name || (prepare && p.name === 'prepare'))
          const ports = new Set(taken.flatMap((p) => p.inputs.map((i) => i.name)))
          const got = await emitted[name](givenAll(new Map([...piece].filter(([input]) => ports.has(input)))))
          const results = new Set(programs.find((p) => p.name === name)!.outputs.map((o) => o.name))
          const want = [...expectedOf(graph, wholeOf(from + count), from, count)].filter(([output]) =>
            results.has(output),
          )
          within(
            target.floats.roundoff,
            got,
            new Map(want),
            state,
            name,
            piece,
            local,
            ` at ${from} to ${from + count - 1}`,
          )
        }
      }
    })
  }
  return report()

  function report(): Report {
    return { findings, shares, widths, steppable, kernels }
  }
  function within(
    roundoff: number,
    got: Results,
    want: Given,
    simulator: Simulator,
    program: ProgramName,
    given: Given,
    dims: ReadonlyMap<Sym, number>,
    where: string,
  ): void {
    const bounds = simulator.run(program, { inputs: dataOf(given), dims })
    for (const [name, w] of want) {
      const cells = bounds.get(name)
      if (cells === undefined || got[name] === undefined) throw new Error(`${program} gives no ${name}${where}`)
      const { data, shape } = got[name]
      if (shape.join() !== w.shape.join()) throw new Error(`${name}${where} is [${shape}], not [${w.shape}]`)
      const bound = (i: number): number => deviations * cells.error[i] + roundoff * Math.abs(w.data[i])
      const c = compare(data, w.data, bound, w.shape)
      const largest = w.data.reduce((m, x) => Math.max(m, Math.abs(x)), 0)
      let widest = 0
      for (let i = 0; i < w.data.length; i++) widest = Math.max(widest, bound(i))
      if (w.dtype === 'f32' && largest > 0) widths.push(widest / largest)
      shares.push(c.used)
      // What the simulation computes in float64 is the reference, but for the roundings it counts.
      const off = compare(cells.value, w.data, (i) => bound(i) + 1e-9 * Math.abs(w.data[i]), w.shape)
      if (off.used > 1)
        throw new Error(`${name}[${off.index}]${where} of the kernels in float64 is ${off.got}, not ${off.want}`)
      if (c.used > 1) throw new Error(`${name}[${c.index}]${where} is ${c.got}, not ${c.want} (bound ${c.bound})`)
    }
  }
}

export function messageOf(error: unknown): string {
  if (error instanceof DiagnosticError) return error.diagnostics.map((d) => render(d)).join('\n')
  if (!(error instanceof Error)) return String(error)
  const frame = /\n\s+at (.*(?:src|targets|grammar)\/[^\s)]+)/.exec(error.stack ?? '')
  return frame && error.message.startsWith('internal')
    ? `${error.message} (${frame[1].replace(/.*\/(?=(?:src|targets|grammar)\/)/, '')})`
    : error.message
}

const unplaced = (text: string): string => text.replace(/ +# .*$/gm, '')

/** Formatting twice changes nothing more, and no meaning. */
function formatted(text: string, graph: Graph, set: Readonly<Record<string, number>>): void {
  const once = format(text)
  if (format(once) !== once) throw new Error(`formatted again it changes:\n${once}`)
  const shape = (t: string): string => JSON.stringify(skeleton(desugar(parse(sourceFile('a.tfm', t)).ast)))
  if (shape(once) !== shape(text)) throw new Error(`formatted it reads differently:\n${once}`)
  const again = checkModel(sourceFile('a.tfm', once), { set }).graph
  if (unplaced(printGraph(again)) !== unplaced(printGraph(graph)))
    throw new Error(`formatted it means something else:\n${once}`)
}

function readsBack(graph: Graph): void {
  verifyGraph(graph)
  const text = printGraph(graph)
  const again = parseGraph(text)
  verifyGraph(again)
  if (printGraph(again) !== text) throw new Error(`the IR reads back as another one:\n${text}`)
}

function sameValues(got: Given, want: Given, tolerance: number, where: string): void {
  for (const [name, w] of want) {
    const t = got.get(name)
    if (t === undefined) throw new Error(`no ${name} ${where}`)
    const largest = w.data.reduce((m, x) => Math.max(m, Math.abs(x)), 0)
    const c = compare(t.data, w.data, () => tolerance * Math.max(largest, 1e-30), w.shape)
    if (c.used > 1) throw new Error(`${name}[${c.index}] ${where} is ${c.got}, not ${c.want}`)
  }
}

function inputsOf(graph: Graph, { draws }: Case, dims: Dims, call: number): Map<string, Tensor> {
  const env = new Map(graph.dims.map((s) => [s, dims[s.name]]))
  return new Map(
    graph.inputs.map(({ name, node: { type } }) => {
      const shape = type.shape.map((d) => evaluateAt(d, env))
      const usual = type.dtype === 'i32' ? { k: 'ids' as const, below: 3 } : { k: 'normal' as const }
      return [name, drawn(name, type.dtype, shape, draws[name] ?? usual, call)]
    }),
  )
}

const dataOf = (given: Given): Map<string, ArrayLike<number>> => new Map([...given].map(([n, t]) => [n, t.data]))
function bytesOf(graph: Graph, tensor: (name: string) => Float32Array): Uint8Array {
  const chunks = [...safetensorsChunks(graph.params.map(({ name, shape }) => ({ name, shape, data: tensor(name) })))]
  return Uint8Array.from(Buffer.concat(chunks))
}

async function load(target: Target, compiled: Compiled, weights: Uint8Array, options: CheckOptions): Promise<Emitted> {
  const { module, close } = await importArtifacts(
    await target.emit(compiled.lowered.module, { language: 'js', selftest: false }),
  )
  const { load } = module as { load: (o: object) => Promise<Emitted> }
  try {
    return await load({
      weights,
      ...(target.name === 'wgsl' ? { device: await options.device(), alternatives: [] } : {}),
    })
  } finally {
    close()
  }
}
