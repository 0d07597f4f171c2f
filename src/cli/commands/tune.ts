/** `tfmc tune`: which schedules are best for a model's kernels on this machine, as a file for `--tune`. */
import { basename, dirname, resolve } from 'node:path'
import { share } from '../../../targets/shared/share.ts'
import { compileGraph } from '../../compile.ts'
import { writeFilesAtomically } from '../../fs-atomic.ts'
import { machine } from '../bench.ts'
import type { Context, Outcome } from '../context.ts'
import { openModel, type ModelOptions } from '../model.ts'
import { plural, table } from '../output.ts'
import { targetOf } from '../targets.ts'
import { heavyKernels, tuneKernel, tuningText, type Tried } from '../tune.ts'

export interface TuneOptions extends ModelOptions {
  readonly out?: string
  readonly budget: number
  readonly dims?: Readonly<Record<string, number>>
}

export async function tune(ctx: Context, [path]: (string | undefined)[], options: TuneOptions): Promise<Outcome> {
  const model = await openModel(ctx, path, options)
  const { lowered } = compileGraph(model.graph, model.file, await targetOf('wasm'))
  const heavy = heavyKernels(share(lowered.module, false).module, { T: 64, S: 64, P: 64, ...options.dims })
  const found: Tried[] = []
  await ctx.progress.task('trying schedules', async (report) => {
    const stop = performance.now() + 1000 * options.budget
    for (const [i, one] of heavy.entries()) {
      await new Promise((resolve) => setImmediate(resolve))
      // Ctrl-C keeps what there is.
      if (ctx.io.signal.aborted || performance.now() > stop) break
      const tried = await tuneKernel(one, Math.max(0, stop - performance.now()) / (heavy.length - i))
      if (tried) found.push(tried)
      report(i + 1, heavy.length, one.key)
    }
  })
  const file = options.out ?? `${model.graph.name}.tune.json`
  const full = resolve(ctx.io.cwd, file)
  await writeFilesAtomically(dirname(full), new Map([[basename(full), tuningText(found, machine())]]))
  const rows = found.map((t) => [t.key, `${t.choice.form}, ${plural(t.choice.rows, 'row')}`, `${t.gain.toFixed(2)}×`])
  ctx.print(table([{ head: 'kernel' }, { head: 'best as' }, { head: 'gain', right: true }], rows, ctx.paint))
  ctx.print(`${ctx.paint('good', 'ok')} ${file}: ${found.length} of ${plural(heavy.length, 'kind')} of kernels are faster than by default\n`) // prettier-ignore
  return { data: { model: model.graph.name, file, kinds: heavy.length, kernels: found } }
}
