/** `tfmc ir`: a model at any level of the compiler. */
import { parse } from '../../../grammar/parse.ts'
import { compileGraph, type Compiled } from '../../compile.ts'
import { DiagnosticError, didYouMean, hasErrors, startOf, type Span } from '../../diagnostics/index.ts'
import { elaborate, type Json } from '../../frontend/index.ts'
import { printGraph } from '../../ir/print.ts'
import type { Graph } from '../../ir/types.ts'
import { naiveNest } from '../../kernel/build.ts'
import { printNest, printStages } from '../../kernel/print.ts'
import type { StageKernel } from '../../kernel/stage.ts'
import { pipeline } from '../../passes/pipeline.ts'
import { UsageError, type Context, type Outcome } from '../context.ts'
import { openModel, openSource, type ModelOptions } from '../model.ts'
import { isTargetName, targetNames, targetOf, type TargetName } from '../targets.ts'

type Level = 'ast' | 'graph' | 'checked' | 'optimised' | 'run' | 'prepare' | 'prefill' | 'step' | 'stages' | 'nest'

export interface IrOptions extends ModelOptions {
  readonly at: Level
  readonly after?: string
  readonly target?: string
  readonly kernel?: string
  readonly unfused?: boolean
}

export async function ir(ctx: Context, [path]: (string | undefined)[], options: IrOptions): Promise<Outcome> {
  if (options.target !== undefined && !isTargetName(options.target))
    throw new UsageError(`there is no target '${options.target}'; choose among ${targetNames.join(', ')}`)
  const passes = pipeline.map((p) => p.name)
  if (options.after !== undefined && !passes.includes(options.after))
    throw new UsageError(`there is no pass '${options.after}'; the passes are ${passes.join(', ')}`)
  const text = await textOf(ctx, path, options)
  ctx.print(text)
  return { data: { level: options.after === undefined ? options.at : `after ${options.after}`, text } }
}

async function textOf(ctx: Context, path: string | undefined, options: IrOptions): Promise<string> {
  if (options.after === undefined && options.at === 'ast') {
    const { ast, diagnostics } = parse((await openSource(ctx, path, options)).file)
    if (hasErrors(diagnostics)) throw new DiagnosticError(diagnostics)
    return tree(ast)
  }
  if (options.after === undefined && options.at === 'graph') return printGraph(await elaborated(ctx, path, options))
  const model = await openModel(ctx, path, options)
  if (options.after === undefined && options.at === 'checked') return printGraph(model.graph)
  const target = await targetOf((options.target ?? 'typescript') as TargetName)
  let after: Graph | undefined
  const compiled = compileGraph(model.graph, model.file, target, {
    fuse: options.unfused !== true,
    onPass: (pass, graph) => {
      if (pass.name === options.after) after = graph
    },
  })
  if (options.after !== undefined) return printGraph(after!)
  switch (options.at) {
    case 'optimised':
      return printGraph(compiled.optimised)
    case 'stages':
      return kernelsOf(compiled, options).map(printStages).join('\n')
    case 'nest':
      return (await nests(kernelsOf(compiled, options), options.target)).join('\n')
    default:
      return printGraph(programOf(compiled, options.at))
  }
}

async function elaborated(ctx: Context, path: string | undefined, options: IrOptions): Promise<Graph> {
  const { file, imports, model, config } = await openSource(ctx, path, options)
  const { ast, diagnostics } = parse(file)
  const made = elaborate(ast, {
    syntax: diagnostics,
    resolve: imports,
    ...(options.set ? { set: options.set } : {}),
    ...(config ? { config: config.values as { readonly [key: string]: Json } } : {}),
    ...(model === undefined ? {} : { model }),
  })
  const all = [...diagnostics, ...made.diagnostics]
  if (made.graph === undefined || hasErrors(all)) throw new DiagnosticError(all)
  return made.graph
}

function programOf(compiled: Compiled, name: string): Graph {
  const found = compiled.programs.find((p) => p.name === name)
  if (found) return found.graph
  if (compiled.notSteppable) throw new DiagnosticError([compiled.notSteppable])
  throw new UsageError(`the model has no ${name}; it has ${compiled.programs.map((p) => p.name).join(', ')}`)
}

function kernelsOf(compiled: Compiled, options: IrOptions): readonly StageKernel[] {
  const { kernels } = compiled.lowered.module
  if (options.kernel === undefined) return kernels
  const found = kernels.filter((k) => k.name === options.kernel)
  const names = kernels.map((k) => k.name)
  if (found.length > 0) return found
  throw new UsageError(
    `there is no kernel '${options.kernel}'; ${didYouMean(options.kernel, names) ?? `they are ${names.join(', ')}`}`,
  )
}

/** As built, or as a target schedules them. */
async function nests(kernels: readonly StageKernel[], target: string | undefined): Promise<string[]> {
  if (target === 'typescript') {
    const { schedule } = await import('../../../targets/typescript/recipes.ts')
    return kernels.map((k) => printNest(schedule(k)))
  }
  if (target === 'wasm') {
    const { schedule } = await import('../../../targets/wasm/recipes.ts')
    return kernels.map((k) => printNest(schedule(k)))
  }
  if (target === 'wgsl') {
    const { schedule } = await import('../../../targets/wgsl/recipes.ts')
    const nestsOf = (name: string, s: ReturnType<typeof schedule>): readonly string[] => [
      ...[...(s.passes?.list ?? []), ...(s.spread?.list ?? [])].flatMap((x) => nestsOf(x.kernel.name, x.scheduled)),
      ...s.variants.map((v) => printNest({ ...v.nest, name: `${name}${v.suffix}` })),
    ]
    return kernels.flatMap((k) => nestsOf(k.name, schedule(k)))
  }
  return kernels.map((k) => printNest(naiveNest(k)))
}

/** A tree as indented lines: `kind field = value @line:column`. */
function tree(node: unknown, label = '', depth = 0): string {
  const indent = '  '.repeat(depth)
  const name = label === '' ? '' : `${label} = `
  if (Array.isArray(node)) {
    if (node.length === 0) return ''
    return `${indent}${label}\n${node.map((x: unknown) => tree(x, '', depth + 1)).join('')}`
  }
  if (typeof node !== 'object' || node === null) return `${indent}${name}${JSON.stringify(node)}\n`
  const { k, span, ...fields } = node as { k?: string; span?: Span }
  const entries = Object.entries(fields).filter(([, v]) => v !== undefined)
  const flat = entries.filter(([, v]) => typeof v !== 'object' || v === null)
  const deep = entries.filter(([, v]) => typeof v === 'object' && v !== null)
  const place = span ? ` @${startOf(span).line}:${startOf(span).column}` : ''
  const words = flat.map(([f, v]) => ` ${f}=${JSON.stringify(v)}`).join('')
  return `${indent}${name}${k ?? ''}${words}${place}\n${deep.map(([f, v]) => tree(v, f, depth + 1)).join('')}`
}
