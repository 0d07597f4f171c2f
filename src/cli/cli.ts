/** `tfmc` as a function: arguments in, exit code out. 0: all is well; 1: diagnostics; 2: used wrongly; 130: interrupted. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Diagnostic } from '../diagnostics/index.ts'
import { renderAll } from '../diagnostics/index.ts'
import { packageRoot } from '../package-root.ts'
import type { Context } from './context.ts'
import { failureOf, jsonOf, showFailure } from './errors.ts'
import type { Io } from './io.ts'
import { painter, wantsColor } from './output.ts'
import type { Action } from './program.ts'
import { makeProgram } from './program.ts'
import type { Uninterrupted } from './progress.ts'
import { makeProgress } from './progress.ts'

/** Runs one command. Never throws. */
export async function run(argv: readonly string[], io: Io, uninterrupted?: Uninterrupted): Promise<number> {
  let code = 0
  const warnings: Diagnostic[] = []
  const wantsJson = argv.includes('--json')
  const document = (data: object): void => void io.out.write(`${JSON.stringify(data, finite, 1)}\n`)
  const perform = async (action: Action, json: boolean): Promise<void> => {
    const ctx = contextOf(io, json, warnings, uninterrupted)
    const { data, ok = true } = await action(ctx)
    io.signal.throwIfAborted()
    code = ok ? 0 : 1
    if (json) document({ ok, ...data, diagnostics: [...jsonOf(warnings), ...listOf(data.diagnostics)] })
  }
  try {
    const program = makeProgram(version(), perform)
    const quiet = {
      writeOut: (text: string) => void io.out.write(text),
      writeErr: (text: string) => void (wantsJson || io.err.write(text)),
    }
    for (const command of [program, ...program.commands]) command.configureOutput(quiet).exitOverride()
    if (argv.length === 0) {
      program.outputHelp({ error: true })
      return 2
    }
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    const failure = failureOf(error, io)
    code = failure.code
    // Commander has written its own words by now.
    const said = error instanceof Error && error.name === 'CommanderError' && !wantsJson
    if (!said && !(wantsJson && code < 128)) showFailure(failure, io)
    if (wantsJson && code !== 0 && code < 128) {
      if (failure.text !== undefined && io.env.TFM_DEBUG) io.err.write(failure.text)
      document({ ok: false, diagnostics: jsonOf([...warnings, ...failure.diagnostics]) })
    }
  }
  return code
}

const listOf = (x: unknown): unknown[] => (Array.isArray(x) ? x : [])
/** JSON has no NaN and no infinities; their names say more than null. */
const finite = (_key: string, x: unknown): unknown => (typeof x === 'number' && !Number.isFinite(x) ? String(x) : x)

function contextOf(io: Io, json: boolean, warnings: Diagnostic[], uninterrupted?: Uninterrupted): Context {
  const write = (text: string): void => void (json || io.out.write(text))
  const note = (text: string): void => void (json || io.err.write(text))
  return {
    io,
    json,
    paint: painter(wantsColor(io, io.out)),
    progress: makeProgress(io, uninterrupted),
    print: write,
    note,
    warn(...diagnostics) {
      warnings.push(...diagnostics)
      if (diagnostics.length > 0) note(renderAll(diagnostics, { color: wantsColor(io, io.err) }))
    },
  }
}

export function version(): string {
  const json = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }
  return json.version
}
