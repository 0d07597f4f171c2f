/** `tfmc compile`: a model as files that a person can read, commit and compare. */
import { join, relative, resolve } from 'node:path'
import { compileGraph } from '../../compile.ts'
import { formatPlace, type Diagnostic } from '../../diagnostics/index.ts'
import { writeFilesAtomically } from '../../fs-atomic.ts'
import { contentsOf, type Arithmetic, type Artifact, type WeightFormat } from '../../target.ts'
import { withoutRun } from '../../program/steps.ts'
import { UsageError, type Context, type Outcome } from '../context.ts'
import { checkArithmetic } from '../arithmetic.ts'
import { fittingProfile, type ProfileOptions } from '../device-profile.ts'
import type { ModelOptions } from '../model.ts'
import { openModel, publicSource } from '../model.ts'
import { bytes, plural, table } from '../output.ts'
import { shortRun } from '../short-run.ts'
import { targetList, targetNames, targetOf, type TargetName } from '../targets.ts'

export interface CompileCommandOptions extends ModelOptions, ProfileOptions {
  readonly target: string
  readonly out?: string
  readonly js?: boolean
  readonly format: boolean
  readonly run: boolean
  readonly selftest: boolean
  readonly generation: 'none' | 'basic' | 'full'
  readonly weightsAs: WeightFormat
  readonly arithmetic: Arithmetic
  readonly tune?: string
  readonly wide?: boolean
  readonly runtime?: string
}

export async function compile(
  ctx: Context,
  [path]: (string | undefined)[],
  options: CompileCommandOptions,
): Promise<Outcome> {
  shortRun()
  const [wanted] = targetList<TargetName | 'all'>(options.target, [...targetNames, 'all'])
  const names = wanted === 'all' ? targetNames : [wanted]
  checkArithmetic(options)
  const model = await openModel(ctx, path, options)
  const tuning =
    options.tune === undefined ? undefined : await (await import('../tune.ts')).readTuning(ctx, options.tune)
  const folder = options.out ?? (names.length > 1 ? model.graph.name : `${model.graph.name}-${names[0]}`)
  const files = new Map<string, string | Uint8Array>()
  const runtime = new Map<string, string>()
  const at = (...path: string[]): string => resolve(ctx.io.cwd, ...path)
  let unstepped: Diagnostic | undefined
  for (const name of names) {
    const target = await targetOf(name)
    const whole = compileGraph(model.graph, publicSource(model.file), target, {
      reorder: options.generation === 'full',
      ...(options.weightsAs === 'f32' ? {} : { weights: () => options.weightsAs }),
      ...(target.floats.half ? { arithmetic: options.arithmetic } : {}),
    })
    unstepped = whole.notSteppable
    if (!options.run && !whole.derived)
      throw new UsageError(`--no-run is for models with prefill and step${unstepped ? `: ${unstepped.message}` : ''}`)
    const module = options.run ? whole.lowered.module : withoutRun(whole.lowered.module)
    const profile = await fittingProfile(ctx, target, module, options)
    const emitted = await target.emit(module, {
      language: options.js ? 'js' : 'ts',
      selftest: options.selftest,
      generation: options.generation,
      weights: options.weightsAs,
      tuning,
      ...(options.wide ? { wide: true } : {}),
      ...(profile ? { profile } : {}),
      ...(options.runtime === undefined
        ? {}
        : { runtime: pathTo(at(folder, names.length > 1 ? name : ''), at(options.runtime)) }),
    })
    const artifacts = options.format ? await formatted(emitted) : emitted
    for (const a of artifacts) {
      if (a.runtime) runtime.set(a.path, a.text)
      else files.set(names.length > 1 ? `${name}/${a.path}` : a.path, contentsOf(a))
    }
  }
  ctx.io.signal.throwIfAborted()
  // First what the others import.
  if (options.runtime !== undefined) await writeFilesAtomically(at(options.runtime), runtime)
  await writeFilesAtomically(at(folder), files)
  const sizes = [[folder, files] as const, [options.runtime ?? '', runtime] as const].flatMap(([place, written]) =>
    [...written].map(([file, contents]) => ({ path: join(place, file), bytes: Buffer.byteLength(contents) })),
  )
  const total = sizes.reduce((sum, f) => sum + f.bytes, 0)
  const rows = sizes.length > 12 ? grouped(sizes) : sizes
  ctx.print(table([{ head: '' }, { head: '', right: true }], rows.map((f) => [f.path, bytes(f.bytes)]), ctx.paint)) // prettier-ignore
  ctx.print(`${ctx.paint('good', 'ok')} ${plural(sizes.length, 'file')}, ${bytes(total)}\n`)
  if (unstepped) {
    const at = unstepped.span ? ` (${formatPlace(unstepped.span)})` : ''
    const because = unstepped.reasons.map((r) => `\n  because ${r.message}`).join('')
    ctx.note(`without prefill and step: ${unstepped.message}${at}${because}\n`)
  }
  return {
    data: {
      model: model.graph.name, targets: names, folder, files: sizes, bytes: total,
      ...(unstepped ? { notSteppable: unstepped.message } : {}),
    },
  } // prettier-ignore
}

/** A folder as a module of another imports from it. */
function pathTo(from: string, to: string): string {
  const path = relative(from, to).replaceAll('\\', '/')
  return path.startsWith('.') ? path : `./${path}`
}

/** Many kernels of a folder in one line. */
function grouped(files: readonly { readonly path: string; readonly bytes: number }[]) {
  const groups = new Map<string, { count: number; bytes: number }>()
  for (const { path, bytes } of files) {
    const key = path.endsWith('.wgsl') ? join(path, '..', '*.wgsl') : path
    const group = groups.get(key) ?? { count: 0, bytes: 0 }
    groups.set(key, { count: group.count + 1, bytes: group.bytes + bytes })
  }
  return [...groups].map(([path, g]) => ({ path: g.count > 1 ? `${path} (${g.count})` : path, bytes: g.bytes }))
}

/** Where the text of the runtime begins: it is the same in every module, and formatted as its sources are. */
const runtime = '// ---- Runtime of tfm'

/** With the look of this project. Prettier's own entry point loads every language it knows. */
async function formatted(artifacts: readonly Artifact[]): Promise<Artifact[]> {
  const [prettier, estree, typescript] = await Promise.all([
    import('prettier/standalone'),
    import('prettier/plugins/estree'),
    import('prettier/plugins/typescript'),
  ])
  const look = { semi: false, singleQuote: true, printWidth: 120, plugins: [estree.default, typescript.default] }
  return Promise.all(
    artifacts.map(async (artifact) => {
      const { path, text } = artifact
      if (!/\.[jt]s$/.test(path) || artifact.runtime) return artifact
      const at = text.indexOf(runtime)
      const own = await prettier.format(at < 0 ? text : text.slice(0, at), { ...look, parser: 'typescript' })
      return { path, text: at < 0 ? own : `${own}\n${text.slice(at)}` }
    }),
  )
}
