/** Weights of a command: a checkpoint, or made-up ones. */
import { resolve } from 'node:path'
import { halfValue } from '../../targets/runtime/half-value.ts'
import { halfBits } from '../../targets/runtime/halves.ts'
import { modelName } from '../../targets/runtime/weights.ts'
import { DiagnosticError, say, type Diagnostic } from '../diagnostics/index.ts'
import { compileGraph, type Compiled, type CompileOptions } from '../compile.ts'
import type { Arithmetic, Target, WeightFormat } from '../target.ts'
import type { Tensor } from '../types/tensor.ts'
import type { WeightsFile } from '../weights/index.ts'
import { UsageError, type Context } from './context.ts'
import { findBeside } from './files.ts'
import type { OpenedModel } from './model.ts'

export interface WeightOptions {
  readonly weights?: string
  readonly randomWeights?: number
  /** `f16`: matrices that the checkpoint holds as F16 are kept so, and computed with in it where target and device can. */
  readonly arithmetic?: Arithmetic
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
  /** What contractions with matrices kept as f16 are computed in. */
  readonly arithmetic?: Arithmetic
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
  if (options.randomWeights !== undefined) return random(model, options.randomWeights, onWarning, options.arithmetic)
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
  const { arithmetic } = options
  const kept = keptOf(model, file, arithmetic)
  return {
    label: path,
    file,
    ...(kept ? { kept } : {}),
    ...(arithmetic ? { arithmetic } : {}),
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
  { kept, arithmetic }: Weights,
  target: Target,
  compiled: Compiled,
  options: CompileOptions = {},
): Compiled =>
  kept && target.keeps
    ? compileGraph(graph, file, target, {
        ...options,
        weights: kept,
        ...(arithmetic && target.floats.half ? { arithmetic } : {}),
      })
    : compiled

/**
 * How the matrices of a quantised checkpoint are kept by targets that compute with them as they are: exactly, so that levels with a zero point
 * take a wider form; with arithmetic in f16, those of F16 as that. Undefined where nothing is to be kept.
 */
function keptOf(
  { graph: { rules } }: OpenedModel,
  file: WeightsFile,
  arithmetic: Arithmetic = 'f32',
): CompileOptions['weights'] {
  // prettier-ignore
  const formats = new Map<string, WeightFormat>()
  for (const { name, dtype, quantised } of file.tensors.values()) {
    const known = modelName(name, rules)
    if (known !== undefined && dtype === 'F16' && arithmetic === 'f16') formats.set(known, 'f16')
    if (known === undefined || !quantised) continue
    const wider = quantised.parts.has('zero') ? { 4: 'int8', 8: 'f32' } as const : { 4: 'int4', 8: 'int8' } as const // prettier-ignore
    // Other files may have finer scales than are kept.
    formats.set(known, quantised.parts.get('scale')!.dtype === 'F16' ? wider[quantised.bits] : 'f32')
  }
  if (arithmetic === 'f16' && ![...formats.values()].includes('f16'))
    throw new UsageError(
      '--arithmetic f16 computes with matrices that are F16; the checkpoint has none (tfmc quantize --to f16)',
    )
  if (formats.size === 0) return undefined
  return (from) => {
    const all = from.map((name) => formats.get(name) ?? 'f32')
    if (all.includes('f16') && all.some((f) => f !== 'f16')) return 'f32'
    return all.find((f) => f === 'f32') ?? all.find((f) => f === 'int8') ?? all[0] ?? 'f32'
  }
}

/** What a configuration says of tied tensors must hold in the file. */
export async function warnOfTies(ctx: Context, { graph, hf, config }: OpenedModel, file: WeightsFile): Promise<void> {
  if (!hf || !config) return
  const { checkTies } = await import('../hf/index.ts')
  ctx.warn(...(await checkTies(file, graph.params, graph.rules, hf.ties, config.file)))
}

async function random(
  model: OpenedModel,
  seed: number,
  onWarning: Weights['onWarning'],
  arithmetic: Arithmetic = 'f32',
): Promise<Weights> {
  const { randomTensor, randomWeights, safetensorsStream } = await import('../weights/index.ts')
  // Numbers that f16 has, where they are to be computed with in it.
  const rounded = (data: ArrayLike<number>): ArrayLike<number> =>
    arithmetic === 'f16' ? Float32Array.from(data, (x) => halfValue(halfBits(x, 'f16'))) : data
  const { params, rules } = model.graph
  const prefix = rules.prefixes.map((p) => (p.optional ? '' : p.prefix)).join('')
  return {
    label: `random weights (seed ${seed})`,
    quantised: false,
    ...(arithmetic === 'f16' ? { arithmetic, kept: () => 'f16' as const } : {}),
    // The numbers depend on the model's own names, whatever a checkpoint must call them.
    source: () =>
      safetensorsStream(
        randomWeights(params, seed).map(({ data, ...t }) => ({
          ...t,
          name: prefix + t.name,
          data: () => rounded(typeof data === 'function' ? data() : data),
        })),
      ),
    tensors: () => {
      const made = new Map<string, Tensor>()
      for (const p of params)
        if (p.fallback === undefined)
          made.set(p.name, {
            dtype: 'f32',
            shape: p.shape,
            data: Float64Array.from(rounded(randomTensor(p.name, p.shape, seed))),
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
