/** `--hf <folder>`: the model that its `config.json` asks for, with every field of it dealt with. */
import { basename, dirname, join, resolve } from 'node:path'
import { parse } from '../../grammar/parse.ts'
import { DiagnosticError, type SourceFile } from '../diagnostics/index.ts'
import type { Resolve } from '../frontend/index.ts'
import {
  checkFields,
  chooseArchitecture,
  completed,
  modelIn,
  openFolder,
  readArchitecture,
  readRegistry,
  readsOf,
  tiesOf,
  type Architecture,
  type Chosen,
  type HfFolder,
  type ModelClass,
} from '../hf/index.ts'
import { packageRoot } from '../package-root.ts'
import { UsageError, type Context } from './context.ts'
import { importsFrom, readSource } from './files.ts'
import type { HfModel, ModelOptions, ModelSource } from './model.ts'

/**
 * The source is `path` where one is given (as `tfmc init --hf` wrote it), else that of the architecture. Throws `DiagnosticError`: TFM1908
 * and TFM1910 to TFM1913.
 */
export async function openHf(
  ctx: Context,
  path: string | undefined,
  options: ModelOptions,
): Promise<ModelSource & { readonly hf: HfModel }> {
  const found = await findHf(ctx, path, options)
  if (found.hf.fields.problems.length > 0) throw new DiagnosticError(found.hf.fields.problems)
  return found
}

/** The same with the fields that are not dealt with, for `tfmc init`. */
export async function findHf(
  ctx: Context,
  path: string | undefined,
  options: ModelOptions,
): Promise<ModelSource & { readonly hf: HfModel }> {
  if (options.config !== undefined && options.config !== true)
    throw new UsageError('--hf takes the config.json of its folder; --config and --no-config do not go with it')
  const folder = await openFolder(resolve(ctx.io.cwd, options.hf!), options.hf!)
  const chosen =
    path === undefined ? await fromRegistry(folder, options.class) : await beside(ctx, path, folder, options)
  const place = path === undefined ? packaged(chosen.architecture!) : own(ctx, path)
  const model = options.model ?? chosen.class?.model
  const named = chosen.class?.name
  const values = completed(folder.config, chosen.architecture)
  const config = {
    file: folder.configFile,
    // The class that was chosen, for models that read it.
    values: named === undefined ? values : { ...values, architectures: [named] },
  }
  const ast = modelIn(parse(place.file).ast, model)
  const rules = [chosen.architecture, chosen.class].filter((r) => r !== undefined)
  // Without the model nothing is read; that it is not there is said by the front end.
  const fields = ast
    ? checkFields(config.values, readsOf(ast), rules, config.file, place.file.path)
    : { read: [], required: [], ignored: [], problems: [] }
  const hf: HfModel = { folder, fields, ties: tiesOf(rules, config.values), ...chosen }
  return {
    ...place,
    ...(model === undefined ? {} : { model }),
    config,
    ...(folder.generation
      ? { generation: { file: join(folder.shown, 'generation_config.json'), values: folder.generation } }
      : {}),
    folders: [folder.shown],
    hf,
  }
}

const fromRegistry = async (folder: HfFolder, wanted: string | undefined): Promise<Chosen> =>
  chooseArchitecture(await readRegistry(), folder.config, folder.configFile, wanted)

/** What the architecture.json beside a source says, if there is one. */
async function beside(
  ctx: Context,
  path: string,
  folder: HfFolder,
  options: ModelOptions,
): Promise<{ readonly architecture?: Architecture; readonly class?: ModelClass }> {
  const architecture = await readArchitecture(dirname(resolve(ctx.io.cwd, path)), dirname(path))
  if (architecture === undefined) return {}
  return chooseArchitecture([architecture], folder.config, folder.configFile, options.class)
}

interface Place {
  readonly file: SourceFile
  readonly imports: Resolve
}

const own = (ctx: Context, path: string): Place => ({ file: readSource(ctx.io, path), imports: importsFrom(ctx.io) })

/** A source of this package, named as if the package were the current folder. */
function packaged(architecture: Architecture): Place {
  const shown = join('examples', basename(dirname(architecture.source)), 'model.tfm').replaceAll('\\', '/')
  const io = { cwd: packageRoot() }
  return { file: readSource(io, shown), imports: importsFrom(io) }
}
