/**
 * `npm run demo`: two compiled models at work on the fastest target here, how fast each target is, then the proof that all agree. Exits with 1
 * where anything fails.
 */
import { join, relative } from 'node:path'
import { packageRoot } from '../package-root.ts'
import { run } from './cli.ts'
import { closeDevice } from './device.ts'
import type { Io } from './io.ts'
import { processIo } from './io.ts'
import { painter, seconds, wantsColor } from './output.ts'
import { catchSignals } from './signals.ts'

const signals = catchSignals()
const io: Io = processIo(signals.signal)
const paint = painter(wantsColor(io, io.out))
const examples = relative(io.cwd, join(packageRoot(), 'examples'))
const shakespeare = join(examples, 'shakespeare', 'model.tfm')
const translate = join(examples, 'translate', 'model.tfm')
const failures: string[] = []

/** One command, as a user would type it; `expected` must be what it prints. */
async function section(title: string, argv: readonly string[], expected?: RegExp): Promise<void> {
  if (signals.signal.aborted) return
  const start = performance.now()
  io.out.write(`${paint('head', `== ${title}`)}\n${paint('dim', `$ tfmc ${argv.map(shown).join(' ')}`)}\n`)
  let text = ''
  const write = (piece: string): boolean => {
    text += piece
    return process.stdout.write(piece)
  }
  const code = await run(
    argv,
    { ...io, out: { write, isTTY: io.out.isTTY, columns: io.out.columns } },
    signals.uninterrupted,
  )
  if (code !== 0) failures.push(`${title}: exit code ${code}`)
  else if (expected && !expected.test(text)) failures.push(`${title}: the text is not what it should be`)
  io.out.write(`${paint('dim', `(${seconds(performance.now() - start)})`)}\n\n`)
}
const shown = (argument: string): string => (/[\s"]/.test(argument) ? `"${argument}"` : argument)

const started = performance.now()
await section(
  'A GPT-2 of 3 million parameters writes Shakespeare (WebAssembly)',
  [
    'generate',
    shakespeare,
    '--target',
    'wasm',
    '--prompt',
    'ROMEO:',
    '--max-tokens',
    '96',
    '--temperature',
    '0.7',
    '--seed',
    '3',
    '--no-stop',
  ],
  /^ROMEO:\n[\s\S]{150}/,
)
await section(
  'An encoder–decoder translates numbers (WebAssembly)',
  ['generate', translate, '--target', 'wasm', '--source', 'doscientos treinta y cuatro mil quinientos seis'],
  /^two hundred and thirty four thousand five hundred and six$/m,
)
await section(
  'Tokens per second of Shakespeare on each target',
  ['bench', shakespeare, '--target', 'all', '--prompt', '8', '--tokens', '8', '--rounds', '1', '--no-kernels'],
  /^typescript .*\n.*^wgsl .*\n.*^wasm |^typescript .*\n.*^wasm .*\n.*^wgsl /ms,
)
const quick = ['--dims', 'T=8,S=8', '--no-kernels', '--no-unfused']
await section(
  'Shakespeare: the reference and every target',
  ['diff', shakespeare, ...quick],
  /typescript[\s\S]*wgsl[\s\S]*ok all/,
)
await section(
  'Translation: the reference and every target',
  ['diff', translate, ...quick],
  /typescript[\s\S]*wgsl[\s\S]*ok all/,
)
await closeDevice()
signals.stop()
if (signals.signal.aborted) process.exitCode = 130
else if (failures.length > 0) {
  process.stderr.write(`The demo failed:\n${failures.map((f) => `  ${f}\n`).join('')}`)
  process.exitCode = 1
} else process.stdout.write(`All in ${seconds(performance.now() - started)}.\n`)
