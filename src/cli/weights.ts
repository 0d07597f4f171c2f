/** Weights of a command: a checkpoint, or made-up ones. */
import { resolve } from 'node:path'
import { modelName } from '../../targets/runtime/weights.ts'
import { DiagnosticError, say, type Diagnostic } from '../diagnostics/index.ts'
import { compileGraph, type Compiled, type CompileOptions } from '../compile.ts'
import type { Target, WeightFormat } from '../target.ts'
import type { Tensor } from '../types/tensor.ts'
import type { WeightsFile } from '../weights/index.ts'
import type { Context } from './context.ts'
import { findBeside } from './files.ts'
import type { OpenedModel } from './model.ts'

export interface WeightOptions {
  readonly weights?: string
  readonly randomWeights?: number
}

export interface Warning {
  readonly code: string
  readonly message: string
}

export interface Weights {
  readonly label: string
  /** Whether some of the file's tensors are quantised. */
  readonly quantised: boolean
  /** The checkpoint, if it is one. */
  readonly file?: WeightsFile
  /** How matrices are kept, by targets that can. */
  readonly kept?: CompileOptions['weights']
  /** For `load` of an emitted module; new for each call. */
  readonly source: () => string | readonly string[] | ReadableStream<Uint8Array>
  /** All parameters by the model's names, for the reference. */
  readonly tensors: () => Promise<ReadonlyMap<string, Tensor>>
  /** Shows a warning once, however often the file is read. */
  readonly onWarning: (warning: Warning) => void
}

const names = ['model.safetensors', 'model.safetensors.index.json']

export async function openWeightsOf(ctx: Context, model: OpenedModel, options: WeightOptions): Promise<Weights> {
  const warned = new Set<string>()
  const onWarning = ({ code, message }: Warning): void => {
    if (warned.has(message)) return
    warned.add(message)
    const diagnostic: Diagnostic = { code, severity: 'warning', message, reasons: [] }
    ctx.warn(diagnostic)
  }
  const { params, rules } = model.graph
  if (options.randomWeights !== undefined) return random(model, options.randomWeights, onWarning)
  const path = options.weights ?? (params.length > 0 ? await findBeside(ctx.io, model.folders, names) : undefined)
  if (path === undefined) {
    if (params.length === 0) return random(model, 0, onWarning)
    if (model.hf) await (await import('../hf/index.ts')).requireWeights(model.hf.folder)
    throw new DiagnosticError([say.needsWeights(undefined, model.graph.name, params.length)])
  }
  const { loadParameters, openWeights } = await import('../weights/index.ts')
  const full = resolve(ctx.io.cwd, path)
  const file = await openWeights(full)
  await warnOfTies(ctx, model, file)
  const { files } = file
  const kept = keptOf(model, file)
  return {
    label: path,
    file,
    ...(kept ? { kept } : {}),
    quantised: [...file.tensors.values()].some((t) => t.quantised),
    source: () => files,
    tensors: () =>
      ctx.progress.task(`reading ${path}`, (report) =>
        loadParameters(full, params, rules, {
          signal: ctx.io.signal,
          onWarning,
          onProgress: ({ loaded, total, tensor }) => report(loaded, total, tensor),
        }),
      ),
    onWarning,
  }
}

/** The model for these weights: `compiled` as it is, unless matrices are to be kept in fewer bits. */
export const compiledFor = (
  { graph, file }: OpenedModel,
  { kept }: Weights,
  target: Target,
  compiled: Compiled,
  options: CompileOptions = {},
): Compiled => (kept && target.keeps ? compileGraph(graph, file, target, { ...options, weights: kept }) : compiled)

/**
 * How the matrices of a quantised checkpoint are kept by targets that compute with them as they are: exactly, so that levels with a zero point
 * take a wider form. Undefined where nothing is quantised.
 */
function keptOf({ graph: { rules } }: OpenedModel, file: WeightsFile): CompileOptions['weights'] {
  // prettier-ignore
  const formats = new Map<string, WeightFormat>()
  for (const { name, quantised } of file.tensors.values()) {
    const known = modelName(name, rules)
    if (known === undefined || !quantised) continue
    const wider = quantised.parts.has('zero') ? { 4: 'int8', 8: 'f32' } as const : { 4: 'int4', 8: 'int8' } as const // prettier-ignore
    // Other files may have finer scales than are kept.
    formats.set(known, quantised.parts.get('scale')!.dtype === 'F16' ? wider[quantised.bits] : 'f32')
  }
  if (formats.size === 0) return undefined
  return (from) => {
    const all = from.map((name) => formats.get(name) ?? 'f32')
    return all.find((f) => f === 'f32') ?? all.find((f) => f === 'int8') ?? all[0] ?? 'f32'
  }
}

/** What a configuration says of tied tensors must hold in the file. */
export async function warnOfTies(ctx: Context, { graph, hf, config }: OpenedModel, file: WeightsFile): Promise<void> {
  if (!hf || !config) return
  const { checkTies } = await import('../hf/index.ts')
  ctx.warn(...(await checkTies(file, graph.params, graph.rules, hf.ties, config.file)))
}

async function random(model: OpenedModel, seed: number, onWarning: Weights['onWarning']): Promise<Weights> {
  const { randomTensor, randomWeights, safetensorsStream } = await import('../weights/index.ts')
  const { params, rules } = model.graph
  const prefix = rules.prefixes.map((p) => (p.optional ? '' : p.prefix)).join('')
  return {
    label: `random weights (seed ${seed})`,
    quantised: false,
    // The numbers depend on the model's own names, whatever a checkpoint must call them.
    source: () => safetensorsStream(randomWeights(params, seed).map((t) => ({ ...t, name: prefix + t.name }))),
    tensors: () => {
      const made = new Map<string, Tensor>()
      for (const p of params)
        if (p.fallback === undefined)
          made.set(p.name, {
            dtype: 'f32',
            shape: p.shape,
            data: Float64Array.from(randomTensor(p.name, p.shape, seed)),
          })
      for (const p of params) {
        let at = p
        while (at.fallback !== undefined) {
          const next = params.find((q) => q.name === at.fallback)
          if (next === undefined || next === p) break
          at = next
        }
        const found = made.get(at.name)
        if (found) made.set(p.name, found)
      }
      return Promise.resolve(made)
    },
    onWarning,
  }
}
