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
import type { Target } from '../../src/target.ts'
import type { Sym } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { safetensorsChunks } from '../../src/weights/write.ts'
import { cut, piecesOf, stepped } from './steps.ts'
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
type Call = (inputs: Readonly<Record<string, unknown>>) => Promise<Results>
interface Emitted {
  readonly run: Call
  readonly prefill: Call
  readonly step: Call
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
  await attempt('format', () => formatted(text, graph))
  await attempt('printed IR', () => readsBack(graph))
  const tensor = (name: string): Float32Array => weightOf(name, graph.params.find((p) => p.name === name)!.shape)
  const weights = bytesOf(graph, tensor)
  const params = new Map(graph.params.map((p) => [p.name, { dtype: 'f32' as const, shape: p.shape, data: Float64Array.from(tensor(p.name)) }])) // prettier-ignore
  const calls: { given: Given; want: Given; dims: ReadonlyMap<Sym, number> }[] = []
  const evaluated = await attempt('reference', () => {
    for (const [i, dims] of model.calls.entries()) {
      const given = inputsOf(graph, model, dims, i)
      const { outputs } = interpret(graph, { inputs: given, params })
      for (const [name, t] of outputs)
        if (t.data.some((x) => !Number.isFinite(x))) throw new Error(`output ${name} is not finite`)
      calls.push({ given, want: outputs, dims: bindDims(graph, given) })
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
          for (const { given, want } of calls) stepped(graph, derived, given, want, params)
        })
      }
    }
    kernels += lowered.module.kernels.length
    await attempt(what, async () => {
      const emitted = await load(target, compiled!, weights, options)
      const simulator = makeSimulator({ module: lowered.module, rules: target.floats, mode: 'rms', tensor })
      try {
        for (const { given, want, dims } of calls) {
          const got = await emitted.run(asArguments(given))
          within(target.floats.roundoff, got, want, simulator, 'run', given, dims, '')
          if (derived) await inSteps(emitted, given, want, dims)
        }
      } finally {
        emitted.dispose()
      }

      /** Prefill in pieces, then steps, each against the rows of the whole. */
      async function inSteps(
        emitted: Emitted,
        given: Given,
        want: Given,
        dims: ReadonlyMap<Sym, number>,
      ): Promise<void> {
        const { T, past } = derived!
        const length = dims.get(T)!
        const state = makeSimulator({ module: lowered.module, rules: target.floats, mode: 'rms', tensor })
        emitted.reset()
        if (derived!.prepare) state.run('prepare', { inputs: dataOf(given), dims })
        for (const [from, count] of piecesOf(length)) {
          const local = new Map(dims).set(T, count).set(past, from)
          const piece = cut(graph, given, from, count)
          const graphs = from === 0 && derived!.prepare ? [derived!.prepare, derived!.prefill] : [derived!.prefill]
          const needed = new Set(graphs.flatMap((g) => g.inputs.map((i) => i.name)))
          const passed = new Map([...piece].filter(([name]) => needed.has(name)))
          const program = count === 1 ? 'step' : 'prefill'
          const got = await emitted[program](asArguments(passed))
          const rows = rowsOf(graph, derived!.prefill, want, from, count, length)
          within(
            target.floats.roundoff,
            got,
            rows,
            state,
            program,
            piece,
            local,
            ` at ${from} to ${from + count - 1} of ${length}`,
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
function formatted(text: string, graph: Graph): void {
  const once = format(text)
  if (format(once) !== once) throw new Error(`formatted again it changes:\n${once}`)
  const shape = (t: string): string => JSON.stringify(skeleton(desugar(parse(sourceFile('a.tfm', t)).ast)))
  if (shape(once) !== shape(text)) throw new Error(`formatted it reads differently:\n${once}`)
  const again = checkModel(sourceFile('a.tfm', once)).graph
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

export function sameValues(got: Given, want: Given, tolerance: number, where: string): void {
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
const asArguments = (given: Given): Record<string, unknown> =>
  Object.fromEntries([...given].map(([n, t]) => [n, { data: t.dtype === 'f32' ? Float32Array.from(t.data) : Int32Array.from(t.data), shape: t.shape }])) // prettier-ignore

function bytesOf(graph: Graph, tensor: (name: string) => Float32Array): Uint8Array {
  const chunks = [...safetensorsChunks(graph.params.map(({ name, shape }) => ({ name, shape, data: tensor(name) })))]
  return Uint8Array.from(Buffer.concat(chunks))
}

async function load(target: Target, compiled: Compiled, weights: Uint8Array, options: CheckOptions): Promise<Emitted> {
  const script = target.emit(compiled.lowered.module, { language: 'js' }).find((a) => a.path.endsWith('.js'))!
  const url = `data:text/javascript;base64,${Buffer.from(script.text).toString('base64')}`
  const module = (await import(/* @vite-ignore */ url)) as { load: (o: object) => Promise<Emitted> }
  return module.load({ weights, ...(target.name === 'wgsl' ? { device: await options.device() } : {}) })
}

/** Rows of the results that a piece gives: all of a result without positions once the last has been seen. */
function rowsOf(graph: Graph, prefill: Graph, want: Given, from: number, count: number, length: number): Given {
  const whole = cut({ ...graph, inputs: graph.outputs }, want, from, count)
  const due = prefill.outputs.filter(({ name }) => from + count === length || whole.get(name) !== want.get(name))
  return new Map(due.map(({ name }) => [name, whole.get(name)!]))
}
