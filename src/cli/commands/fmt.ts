/** `tfmc fmt`: the one look of `.tfm`. */
import { basename, dirname, resolve } from 'node:path'
import { formatFile } from '../../../grammar/format.ts'
import { DiagnosticError, renderAll, say, type Diagnostic } from '../../diagnostics/index.ts'
import { writeFilesAtomically } from '../../fs-atomic.ts'
import type { Context, Outcome } from '../context.ts'
import { jsonOf } from '../errors.ts'
import { readSource } from '../files.ts'
import { plural, wantsColor } from '../output.ts'

export interface FmtOptions {
  readonly check?: boolean
  readonly stdout?: boolean
}

/** All files are read and formatted before one is written: where one has a syntax error, none is. */
export async function fmt(ctx: Context, paths: string[], options: FmtOptions): Promise<Outcome> {
  const errors: Diagnostic[] = []
  const files: { path: string; text: string; changed: boolean }[] = []
  for (const path of paths) {
    const file = readSource(ctx.io, path)
    const { text, diagnostics } = formatFile(file)
    if (text === undefined) errors.push(...diagnostics)
    else files.push({ path, text, changed: text !== file.text })
  }
  if (errors.length > 0) throw new DiagnosticError(errors)
  const changed = files.filter((f) => f.changed)
  const data = {
    files: files.map(({ path, text, changed }) => ({ path, changed, ...(options.stdout ? { text } : {}) })),
  }
  if (options.stdout) {
    for (const { text } of files) ctx.print(text)
    return { data }
  }
  if (options.check) {
    const found = changed.map(({ path }) => say.notFormatted(undefined, path))
    if (found.length > 0) ctx.note(renderAll(found, { color: wantsColor(ctx.io, ctx.io.err) }))
    else ctx.print(`${plural(files.length, 'file')} formatted\n`)
    return { data: { ...data, diagnostics: jsonOf(found) }, ok: found.length === 0 }
  }
  for (const { path, text } of changed) {
    const full = resolve(ctx.io.cwd, path)
    await writeFilesAtomically(dirname(full), new Map([[basename(full), text]]))
    ctx.print(`formatted ${path}\n`)
  }
  if (changed.length === 0) ctx.print(`${plural(files.length, 'file')} unchanged\n`)
  return { data }
}
