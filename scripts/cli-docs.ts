/**
 * Writes `docs/cli.md`: runs each command on the examples and captures what it prints. `npm run docs:cli`; `npm run docs:cli -- profile bench` writes
 * the sections of these commands only.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../src/cli/cli.ts'
import { closeDevice } from '../src/cli/device.ts'
import { commandNames } from '../src/cli/program.ts'
import { packageRoot } from '../src/package-root.ts'

interface Shown {
  readonly argv: readonly string[]
  readonly about: string
  /** Lines shown of what it prints; the middle is left out. */
  readonly most?: number
  /** Runs in the folder of its own. */
  readonly elsewhere?: boolean
  readonly json?: boolean
}

const shakespeare = 'examples/shakespeare/model.tfm'
const translate = 'examples/translate/model.tfm'
const layer = 'examples/preln-layer/model.tfm'
/** Tiny models with random weights, as `save_pretrained` wrote them. */
const hf = 'test/golden/hf-folders'
const number = 'doscientos treinta y cuatro mil quinientos seis'

const shown: Readonly<Record<string, readonly Shown[]>> = {
  check: [
    { argv: [shakespeare], about: 'A model that is right:' },
    { argv: [shakespeare, '--set', 'heads=5'], about: 'One that is not, with the facts that led there (exit code 1):', most: 18 },
    { argv: [layer, '--explain'], about: 'Where each value came from, and what is left to be checked at the call:' },
    { argv: [shakespeare, '--set', 'head=4', '--json'], about: 'For tools:' },
  ],
  compile: [
    { argv: [shakespeare, '--out', 'OUT/ts'], about: 'One file of TypeScript, which imports nothing:' },
    { argv: [shakespeare, '--target', 'wgsl', '--out', 'OUT/gpu'], about: 'WGSL and its host module:', most: 8 },
  ],
  run: [
    { argv: [shakespeare, '--input', 'ids=[[82, 79, 77]]'], about: 'Weights and configuration beside the source are found:' },
    { argv: [layer, '--random-weights', '1', '--dims', 'T=4', '--target', 'reference'], about: 'Made-up weights and inputs, on the exact reference:' },
    { argv: [shakespeare, '--input', 'ids=[[1, 1024]]'], about: 'An input that does not fit:' },
    { argv: ['--hf', `${hf}/bert-embed`, '--text', 'The weather is fine.', '--text', 'The sun shines.'], about: 'Sentences from a folder of Hugging Face ([which are read, and how](hugging-face.md)); this one has random weights:' },
    { argv: ['--hf', `${hf}/bert-fill-mask`, '--text', 'the [MASK] shines', '--top', '3'], about: 'The likeliest words:' },
  ],
  quantize: [
    { argv: [shakespeare, '--to', 'int4', '--keep', 'wte.weight=int8', '--output', 'OUT/small.safetensors'], about: 'Matrices in 4 bits, the table of tokens in 8 ([the layout, and what it costs](quantisation.md)):' },
  ],
  generate: [
    { argv: [shakespeare, '--prompt', 'ROMEO:', '--max-tokens', '48', '--temperature', '0.7', '--seed', '3'], about: 'Tokens are printed as they come:' },
    { argv: [translate, '--source', number], about: 'An encoder–decoder:' },
  ],
  diff: [
    { argv: [layer, '--random-weights', '1', '--dims', 'T=4'], about: 'Outputs, then kernels, those first that use most of their bound ([why the bounds hold](decisions/0001-error-bounds.md)):', most: 22 },
    { argv: [translate, '--no-kernels', '--no-unfused', '--dims', 'T=4,S=5'], about: 'Trained weights, outputs only:' },
  ],
  explain: [
    { argv: [shakespeare], about: 'Kernels, dispatches and bytes of each program, before and after fusion, and memory:', most: 60 },
    { argv: ['examples/gpt2/model.tfm', '--device-profile', 'phone', '--weights-as', 'int4'], about: 'What fits a device, before anything runs there ([how](targets/wgsl.md#limits)):', most: 60 },
  ],
  bench: [{ argv: [shakespeare, '--prompt', '32', '--tokens', '8', '--rounds', '3'], about: 'Each target has its turn in each round; kernels are those of the last call:', most: 40 }],
  profile: [{ argv: [shakespeare, '--prompt', '32', '--rounds', '5'], about: 'Kernels of the WGSL target, each timed by the device, against its copies and its arithmetic ([how](profile.md)):', most: 40 }],
  tune: [{ argv: [shakespeare, '--budget', '10', '--out', 'OUT/shakespeare.tune.json'], about: 'Which schedules are best on this machine ([what is tried](tuning.md)):' }],
  doctor: [{ argv: [], about: 'What is missing, what that costs, and what to do:' }],
  ir: [
    { argv: ['examples/residual-block/model.tfm', '--at', 'checked'], about: 'The checked graph; `tfmc ir --at optimised` and `--after <pass>` print later ones in the same form:', most: 14 },
    { argv: [layer, '--at', 'stages', '--kernel', 'norm1'], about: 'A fused kernel as stages:' },
    { argv: [layer, '--at', 'nest', '--target', 'typescript', '--kernel', 'norm1'], about: 'The same, scheduled for a target:', most: 24 },
  ],
  fmt: [{ argv: ['--check', shakespeare, translate], about: 'As in CI:' }],
  init: [
    { argv: ['my-model'], about: '', elsewhere: true },
    { argv: ['--hf', `${hf}/llama`, '--out', 'OUT/my-llama'], about: 'The model of a folder of Hugging Face, to read and to change:' },
  ],
  info: [
    { argv: ['--hf', `${hf}/gpt2`], about: 'Which model a folder of Hugging Face is, and what became of each field of its `config.json`:' },
    { argv: ['examples/translate/model.safetensors'], about: 'A checkpoint:', most: 8 },
    { argv: [translate, '--weights', 'examples/translate/model.safetensors'], about: 'Does it fit the model?' },
    { argv: [shakespeare, '--weights', 'examples/translate/model.safetensors'], about: 'One that does not:', most: 8 },
  ],
} // prettier-ignore

const folder = mkdtempSync(join(tmpdir(), 'tfm-docs-'))

async function capture(argv: readonly string[], cwd: string): Promise<{ text: string; code: number }> {
  let text = ''
  const sink = { write: (piece: string) => (text += piece) }
  const io = { out: sink, err: sink, cwd, env: {}, signal: new AbortController().signal }
  const code = await run(argv, io)
  // Progress is written in lines where there is no terminal.
  const lines = text
    .split('\n')
    .filter(
      (line) =>
        !/^(comparing|loading|reading|compiling|evaluating|running)\b|^(measuring|first calls|calls|kernels)\b.* …/.test(
          line,
        ),
    )
  return { text: lines.join('\n').replaceAll(folder, 'OUT').replaceAll('OUT/', ''), code }
}

function short(text: string, most: number): string {
  const lines = text.trimEnd().split('\n').map((line) => (line.length > 150 ? `${line.slice(0, 149)}…` : line)) // prettier-ignore
  if (lines.length <= most) return lines.join('\n')
  const head = Math.ceil(most * 0.75)
  return [...lines.slice(0, head), '…', ...lines.slice(lines.length - (most - head - 1))].join('\n')
}

const quoted = (word: string): string => (/[\s"=[]/.test(word) && /[\s"[]/.test(word) ? `"${word}"` : word)

const file = join(packageRoot(), 'docs', 'cli.md')
const wanted = process.argv.slice(2)
/** The section of a command as it is. */
function sectionNow(name: string): string | undefined {
  const all = readFileSync(file, 'utf8').split(/^(?=## `tfmc )/m)
  return all.find((s) => s.startsWith(`## \`tfmc ${name}\``))?.trimEnd()
}

async function page(): Promise<string> {
  const lines = [
    '# The command line',
    '',
    'Made by `npm run docs:cli`, which runs every command below; do not edit.',
    '',
    'Exit codes: 0 all is well, 1 diagnostics, 2 used wrongly, 130 interrupted by Ctrl-C. Diagnostics and progress go to stderr, results to stdout.',
    'With `--json` a command prints one JSON document on stdout, the diagnostics in it; `ok` says how it went. Every code is explained in the',
    '[error index](errors.md). Colour is decided by the terminal, `NO_COLOR` and `FORCE_COLOR`. Files are written whole or not at all.',
    'A `config.json`, `model.safetensors` and `tokenizer.json` beside the weights or the source are found by themselves.',
    '',
  ]
  for (const name of commandNames) {
    const known = wanted.length > 0 && !wanted.includes(name) ? sectionNow(name) : undefined
    if (known !== undefined) {
      lines.push(known, '')
      continue
    }
    const help = (await capture([name, '--help'], packageRoot())).text
    const options = help.slice(help.indexOf('Usage:'), help.indexOf('\nExamples:'))
    const summary = help.split('\n')[2] ?? ''
    lines.push(`## \`tfmc ${name}\``, '', summary, '')
    for (const one of shown[name] ?? []) {
      const argv = [name, ...one.argv].map((word) => word.replace('OUT', folder))
      const { text } = await capture(argv, one.elsewhere ? folder : packageRoot())
      const command = ['tfmc', name, ...one.argv].map(quoted).join(' ').replaceAll('OUT/', '')
      if (one.about !== '') lines.push(one.about, '')
      lines.push('```console', `$ ${command}`, short(text, one.most ?? 40), '```', '')
    }
    lines.push('<details><summary>Options</summary>', '', '```', options.trim(), '```', '', '</details>', '')
  }
  return `${lines.join('\n').trimEnd()}\n`
}

try {
  writeFileSync(file, await page())
  await closeDevice()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
