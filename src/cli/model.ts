/** A model from its file: source, configuration, `--set`, checked. */
import { resolve } from 'node:path'
import { checkModel, type CheckedModel } from '../compile.ts'
import { sourceFile, type SourceFile } from '../diagnostics/index.ts'
import type { Json } from '../frontend/index.ts'
import type { Context } from './context.ts'
import { findBeside, foldersOf, importsFrom, readSource } from './files.ts'

export interface ModelOptions {
  readonly set?: Readonly<Record<string, number | boolean | string>>
  /** A path; false for none; by default a `config.json` beside the weights or the source is taken. */
  readonly config?: string | boolean
  readonly model?: string
  readonly weights?: string
}

export interface OpenedModel extends CheckedModel {
  readonly file: SourceFile
  /** Where hyperparameters came from, and the token ids that mark start and end. */
  readonly config?: { readonly file: string; readonly values: Readonly<Record<string, unknown>> }
  /** Folders in which weights, configs and tokenizers may lie. */
  readonly folders: readonly string[]
}

/** Throws `DiagnosticError` with everything that is wrong; warnings are shown. */
export async function openModel(ctx: Context, path: string, options: ModelOptions): Promise<OpenedModel> {
  const file = readSource(ctx.io, path)
  const folders = await foldersOf(ctx.io, path, options.weights)
  const config = await configOf(ctx, folders, options.config)
  const checked = checkModel(file, {
    ...(options.set ? { set: options.set } : {}),
    ...(config ? { config: config.values as { readonly [key: string]: Json } } : {}),
    ...(options.model === undefined ? {} : { model: options.model }),
    resolve: importsFrom(ctx.io),
  })
  ctx.warn(...checked.diagnostics)
  return { ...checked, file, folders, ...(config ? { config } : {}) }
}

async function configOf(ctx: Context, folders: readonly string[], wanted: string | boolean | undefined) {
  if (wanted === false) return undefined
  const path = typeof wanted === 'string' ? wanted : await findBeside(ctx.io, folders, ['config.json'])
  if (path === undefined) return undefined
  const { readConfig } = await import('../weights/hf-config.ts')
  return { ...(await readConfig(resolve(ctx.io.cwd, path))), file: path }
}

/** The source as emitted files name it: not by a path of this machine. */
export const publicSource = (file: SourceFile): SourceFile =>
  /^(\/|[a-z]:|\.\.)/i.test(file.path) ? sourceFile(file.path.replace(/^.*[/\\]/, ''), file.text) : file
