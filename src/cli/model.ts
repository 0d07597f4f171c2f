/** A model from its file, or from a folder of Hugging Face: source, configuration, `--set`, checked. */
import { dirname, resolve } from 'node:path'
import { checkModel, type CheckedModel } from '../compile.ts'
import { sourceFile, type SourceFile } from '../diagnostics/index.ts'
import type { Json, Resolve } from '../frontend/index.ts'
import type { Chosen, FieldReport, HfFolder, JsonObject, Ties } from '../hf/index.ts'
import { UsageError, type Context } from './context.ts'
import { findBeside, foldersOf, importsFrom, readSource } from './files.ts'

export interface ModelOptions {
  readonly set?: Readonly<Record<string, number | boolean | string>>
  /** A path; false for none; by default a `config.json` beside the weights or the source is taken. */
  readonly config?: string | boolean
  readonly model?: string
  readonly weights?: string
  /** A folder of Hugging Face: its architecture is the model where no source is named. */
  readonly hf?: string
  /** Instead of the class that its config.json names. */
  readonly class?: string
}

/** Settings from a file. */
export interface Settings {
  readonly file: string
  readonly values: Readonly<Record<string, unknown>>
}

/** A source with what surrounds it. */
export interface ModelSource {
  readonly file: SourceFile
  readonly imports: Resolve
  /** The `model` to take, where the source declares several. */
  readonly model?: string
  /** Where hyperparameters come from, and the token ids that mark start and end. */
  readonly config?: Settings
  /** `generation_config.json`. */
  readonly generation?: Settings
  /** Folders in which weights, configs and tokenizers may lie. */
  readonly folders: readonly string[]
  readonly hf?: HfModel
}

export interface HfModel extends Partial<Chosen> {
  readonly folder: HfFolder
  readonly fields: FieldReport
  readonly ties: Ties
}

export interface OpenedModel extends CheckedModel, Omit<ModelSource, 'imports' | 'model'> {}

/** Throws `DiagnosticError` with everything that is wrong; warnings are shown. */
export async function openModel(ctx: Context, path: string | undefined, options: ModelOptions): Promise<OpenedModel> {
  const { imports, model, ...source } = await openSource(ctx, path, options)
  const checked = checkModel(source.file, {
    ...(options.set ? { set: options.set } : {}),
    ...(source.config ? { config: source.config.values as { readonly [key: string]: Json } } : {}),
    ...(model === undefined ? {} : { model }),
    resolve: imports,
  })
  ctx.warn(...checked.diagnostics)
  if (!source.hf) return { ...checked, ...source }
  const { untied } = await import('../hf/index.ts')
  const graph = { ...checked.graph, params: untied(checked.graph.params, source.hf.ties) }
  return { ...checked, graph, ...source }
}

/** The source that a command works on: the file that was named, or that of the architecture of a Hugging Face folder. */
export async function openSource(ctx: Context, path: string | undefined, options: ModelOptions): Promise<ModelSource> {
  if (options.hf !== undefined) return (await import('./hf.ts')).openHf(ctx, path, options)
  if (path === undefined) throw new UsageError("missing required argument 'file' (or --hf <folder>)")
  if (options.class !== undefined) throw new UsageError('--class goes with --hf')
  const file = readSource(ctx.io, path)
  const folders = await foldersOf(ctx.io, path, options.weights)
  const config = await configOf(ctx, folders, options.config, path)
  const generation = config && (await settingsIn(ctx, await findBeside(ctx.io, folders, ['generation_config.json'])))
  const { model } = options
  return { file, imports: importsFrom(ctx.io), folders, ...(model === undefined ? {} : { model }), ...(config ? { config } : {}), ...(generation ? { generation } : {}) } // prettier-ignore
}

async function configOf(
  ctx: Context,
  folders: readonly string[],
  wanted: string | boolean | undefined,
  source: string,
): Promise<Settings | undefined> {
  if (wanted === false) return undefined
  const path = typeof wanted === 'string' ? wanted : await findBeside(ctx.io, folders, ['config.json'])
  const found = await settingsIn(ctx, path)
  if (found === undefined) return undefined
  const { completed, readArchitecture } = await import('../hf/index.ts')
  const beside = await readArchitecture(resolve(ctx.io.cwd, dirname(source)), dirname(source))
  return { ...found, values: completed(found.values as JsonObject, beside) }
}

async function settingsIn(ctx: Context, path: string | undefined): Promise<Settings | undefined> {
  if (path === undefined) return undefined
  const { readConfig } = await import('../weights/hf-config.ts')
  return { ...(await readConfig(resolve(ctx.io.cwd, path))), file: path }
}

/** The source as emitted files name it: not by a path of this machine. */
export const publicSource = (file: SourceFile): SourceFile =>
  /^(\/|[a-z]:|\.\.)/i.test(file.path) ? sourceFile(file.path.replace(/^.*[/\\]/, ''), file.text) : file
