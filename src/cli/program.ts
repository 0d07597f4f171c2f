/** The commands as the user sees them: arguments, options, help. What they do lies in `commands/`, loaded when called. */
import { Command, Option } from 'commander'
import type { Context, Outcome } from './context.ts'
import { arithmetics, weightFormats } from '../target.ts'
import { decimal, setting, sizes, wholeNumber } from './flags.ts'

export type Action = (ctx: Context) => Promise<Outcome>

interface Shape {
  readonly summary: string
  readonly args: readonly (readonly [name: string, about: string])[]
  readonly options: readonly Option[]
  readonly examples: readonly (readonly [command: string, about: string])[]
  readonly load: () => Promise<(ctx: Context, args: string[], options: never) => Promise<Outcome>>
}

const option = (flags: string, about: string): Option => new Option(flags, about)
const append = (text: string, before: readonly string[] = []): string[] => [...before, text]

const set = option('--set <name=value>', 'set a hyperparameter; may be repeated').argParser(setting)
const config = option(
  '--config <file>',
  'config.json for hyperparameters (default: the one beside the weights or the source)',
)
const noConfig = option('--no-config', 'take no config.json')
const model = option('--model <name>', 'the model, where the file declares several')
const weights = option(
  '-w, --weights <path>',
  'checkpoint: safetensors file, index of shards, or folder (default: model.safetensors beside the source)',
)
const random = option('--random-weights <seed>', 'made-up weights instead of a checkpoint').argParser(wholeNumber)
const input = option(
  '-i, --input <name=value>',
  'an input: JSON, @file.json or @file.safetensors[:tensor]; may be repeated',
).argParser(append)
const dims = option('--dims <sizes>', 'sizes of dims, such as T=16,B=2').argParser(sizes)
const hf = option(
  '--hf <folder>',
  'a folder of Hugging Face: its config.json chooses the model, where no source is named',
)
const hfClass = option('--class <name>', 'with --hf: the class, instead of the one that config.json names')
const source = [set, config, noConfig, model, hf, hfClass]
/** Left out with `--hf`. */
const file = [['[file]', 'a .tfm source']] as const
const target = (about: string, initial: string): Option => option('-t, --target <name>', about).default(initial)

const tuned = option('--tune <file>', 'wasm: schedules that `tfmc tune` found')
const wide = (about: string): Option => option('--wide', `wasm: ${about}`)
const weightsAs = option(
  '--weights-as <format>',
  'what wasm and wgsl keep matrices as in memory; with int8 and int4 load() reads quantised files too',
)
  .choices([...weightFormats])
  .default('f32')
const arithmetic = option(
  '--arithmetic <type>',
  'wgsl: what products of many rows with f16 matrices are computed in; f16 rounds more (docs/quantisation.md)',
)
  .choices([...arithmetics])
  .default('f32')
const deviceProfile = (about: string): Option =>
  option('--device-profile <name>', `${about}: webgpu, phone, desktop, or a JSON file`)
const threads = [
  option('--threads <n>', 'wasm: so many threads (default: as many as there are cores, at most 8)').argParser(
    wholeNumber,
  ),
  wide('vectors of 256 bits, which V8 can make of pairs (Node 24 and later)'),
  deviceProfile('wgsl: the device to compile for'),
]

const commands: Readonly<Record<string, Shape>> = {
  check: {
    summary: 'check a model: names, shapes, dims',
    args: file,
    options: [
      ...source,
      option('--explain', 'say where each implicit value came from and what is checked at the call'),
    ],
    examples: [
      ['tfmc check model.tfm', ''],
      ['tfmc check model.tfm --set layers=6 --explain', ''],
    ],
    load: async () => (await import('./commands/check.ts')).check,
  },
  compile: {
    summary: 'write a model as TypeScript, WGSL or WebAssembly',
    args: file,
    options: [
      ...source,
      target('typescript, wgsl, wasm or all', 'typescript'),
      option('-o, --out <dir>', 'folder to write to (default: <model>-<target>)'),
      option('--js', 'JavaScript and .d.ts instead of TypeScript'),
      option('--no-format', 'leave out prettier'),
      option(
        '--no-run',
        'leave out run(), for what only generates or steps: fewer kernels where a prefill is another program',
      ),
      option('--no-selftest', 'leave out selftest()'),
      wide('kernels for `load({ wide: true })`; slower without'),
      deviceProfile('wgsl: the device to compile for'),
      tuned,
      option('--runtime <dir>', 'the runtime as files in this folder, which modules of several models can share'),
      option('--generation <level>', 'basic: generate(); full: with all its options, texts, batches and beam search')
        .choices(['none', 'basic', 'full'])
        .default('basic'),
      weightsAs,
      arithmetic,
    ],
    examples: [
      ['tfmc compile model.tfm', 'TypeScript, in ./<model>-typescript'],
      ['tfmc compile model.tfm --target wgsl -o gpu', ''],
      [
        'tfmc compile model.tfm --target wasm --js -o out',
        'a module, its binaries, their text, and the script of a thread',
      ],
      ['tfmc compile model.tfm --target all --js -o out', ''],
    ],
    load: async () => (await import('./commands/compile.ts')).compile,
  },
  run: {
    summary: 'run a model once',
    args: file,
    options: [
      ...source, weights, random, input, dims,
      target('typescript, wgsl, wasm or reference', 'typescript'),
      ...threads,
      arithmetic,
      option('-o, --output <file>', 'write the outputs to a .safetensors or .json file'),
      option('--task <name>', 'what to do with --text (default: what the class in --hf is made for)').choices(['embed', 'classify', 'fill-mask']),
      option('--text <text>', 'a text; may be repeated').argParser(append),
      option('--pair <text>', 'a second text to go with the one'),
      option('--tokenizer <file>', 'tokenizer.json of --text (default: the one beside the weights or the source)'),
      option('--pooling <name>', 'embed: one vector of all tokens (default: of 1_Pooling/config.json, else mean)').choices(['mean', 'cls', 'last', 'max']),
      option('--normalize', 'embed: at length 1 (default: where modules.json says so)'),
      option('--no-normalize', 'embed: as it comes'),
      option('--top <n>', 'labels or tokens that are shown').argParser(wholeNumber).default(5),
      option('--seed <n>', 'seed of inputs that are made up because none were given').argParser(wholeNumber).default(1),
    ], // prettier-ignore
    examples: [
      ['tfmc run model.tfm --weights model.safetensors --input "ids=[[1, 2, 3]]"', ''],
      ['tfmc run model.tfm --random-weights 1 --dims T=16', 'made-up weights and inputs'],
      ['tfmc run model.tfm --input x=@io.safetensors:in.x --output out.safetensors', ''],
      ['tfmc run --hf folder --task embed --text "One text." --text "Another."', 'and how alike they are'],
      ['tfmc run --hf folder --task fill-mask --text "Paris is in [MASK]."', ''],
    ],
    load: async () => (await import('./commands/run.ts')).run,
  },
  quantize: {
    summary: 'write a checkpoint anew with its matrices in fewer bits',
    args: file,
    options: [
      ...source, weights,
      option('--to <format>', 'what matrices become; see docs/quantisation.md').choices(['int8', 'int4', 'int8-asym', 'int4-asym', 'f16', 'bf16']).default('int8'),
      option('-o, --output <file>', 'the .safetensors file to write').makeOptionMandatory(),
      option('--keep <names>', 'tensors (* and ** stand for parts of names) that stay as they are, or become another format: wte.weight=int8; may be repeated').argParser(append),
      option('--text <file>', 'a text: its perplexity before and after'),
      option('--tokenizer <file>', 'tokenizer.json of --text (default: the one beside the weights or the source)'),
      target('with --text: typescript, wgsl or wasm', 'typescript'),
      option('--all', 'list every tensor, not only the layers'),
    ], // prettier-ignore
    examples: [
      ['tfmc quantize model.tfm --to int8 -o model-int8.safetensors', ''],
      ['tfmc quantize model.tfm --to int4 --keep wte.weight=int8 --text text.txt -o small.safetensors', ''],
      ['tfmc run model.tfm --weights model-int8.safetensors', 'every command reads such files'],
    ],
    load: async () => (await import('./commands/quantize.ts')).quantize,
  },
  generate: {
    summary: 'continue a text, token by token',
    args: file,
    options: [
      ...source, weights, random, input,
      target('typescript, wgsl or wasm', 'typescript'),
      ...threads,
      arithmetic,
      option('-p, --prompt <text>', 'the text to continue; several go side by side').argParser(append),
      option('--prompt-file <file>', 'the same from a file, or from - (what is piped in)'),
      option('--chat', 'the prompt is a message; what follows is the answer, by the chat template beside the tokenizer'),
      option('--system <text>', 'with --chat: what the model is told first'),
      option('--ids <ids>', 'token ids to continue, such as 12,7'),
      option('--source <text>', 'what an encoder reads'),
      option('--tokenizer <file>', 'tokenizer.json (default: the one beside the weights or the source)'),
      option('--source-tokenizer <file>', 'tokenizer.json of --source (default: tokenizer.source.json, else --tokenizer)'),
      option('-n, --max-tokens <n>', 'how many at most').argParser(wholeNumber).default(64),
      option('--temperature <x>', '0 takes the likeliest token (default: 0, or 1 with --top-k, --top-p or --min-p; generation_config.json is not asked)').argParser(decimal),
      option('--top-k <n>', 'draw among the n likeliest').argParser(wholeNumber),
      option('--top-p <x>', 'draw among the likeliest with this probability together').argParser(decimal),
      option('--min-p <x>', 'draw among those with at least this part of the largest probability').argParser(decimal),
      option('--repetition-penalty <x>', 'above 1: tokens that have occurred become less likely').argParser(decimal),
      option('--no-repeat-ngram <n>', 'no sequence of n tokens occurs twice').argParser(wholeNumber),
      option('--suppress <id>', 'a token that never comes; may be repeated').argParser(append),
      option('--min-tokens <n>', 'no end before so many').argParser(wholeNumber),
      option('--num <n>', 'so many samples of each prompt, or with --beams the best n').argParser(wholeNumber),
      option('--beams <n>', 'beam search: follow the n likeliest sequences instead of drawing').argParser(wholeNumber),
      option('--length-penalty <x>', 'with --beams: above 0 for longer sequences (default: 1)').argParser(decimal),
      option('--seed <n>', 'equal seeds give equal texts').argParser(wholeNumber),
      option('--stop-text <text>', 'end before this text; may be repeated').argParser(append),
      option('--stop <id>', 'end at this token (default: eos_token_id of the configuration); may be repeated').argParser(append),
      option('--no-stop', 'go on after the end of a text'),
    ], // prettier-ignore
    examples: [
      ['tfmc generate examples/shakespeare/model.tfm --prompt "ROMEO:"', ''],
      ['tfmc generate examples/shakespeare/model.tfm --prompt "ROMEO:" --temperature 0.8 --seed 1', ''],
      ['tfmc generate examples/translate/model.tfm --source "cuarenta y dos"', ''],
      ['tfmc generate --hf folder --chat --prompt "How are you?"', 'a folder of Hugging Face'],
    ],
    load: async () => (await import('./commands/generate.ts')).generate,
  },
  diff: {
    summary: 'compare targets with the exact reference, per output and per kernel',
    args: file,
    options: [
      ...source, weights, random, input, dims,
      option('--targets <names>', 'what to compare').default('reference,typescript,wgsl,wasm'),
      option('--no-kernels', 'outputs only'),
      ...threads,
      arithmetic,
      option('--no-unfused', 'leave out the unfused form'),
      option('--all', 'list every kernel instead of the worst ten of each target'),
      option('--seed <n>', 'seed of inputs that are made up because none were given').argParser(wholeNumber).default(1),
    ], // prettier-ignore
    examples: [
      ['tfmc diff model.tfm --random-weights 1', ''],
      ['tfmc diff model.tfm --weights model.safetensors --targets typescript --dims T=16,B=2', ''],
    ],
    load: async () => (await import('./commands/diff.ts')).diff,
  },
  explain: {
    summary: 'show kernels, fusions with their reasons, bytes and memory',
    args: file,
    options: [
      ...source,
      dims,
      option(
        '-t, --target <name>',
        'the target whose weight layout is taken (default: typescript, or wgsl with --device-profile or --arithmetic f16)',
      ),
      deviceProfile('prove what fits a device, and what a token costs'),
      weightsAs,
      arithmetic,
      option('--fusions', 'list every fusion, taken and refused'),
    ],
    examples: [
      ['tfmc explain model.tfm', ''],
      ['tfmc explain model.tfm --dims T=128 --fusions', ''],
      ['tfmc explain model.tfm --device-profile phone', 'the largest T that fits, and what stops it'],
    ],
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  bench: {
    summary: 'time a model on targets, in turns',
    args: file,
    options: [
      ...source, weights, random, dims,
      target('targets, such as typescript,wasm,wgsl, or all', 'typescript,wasm'),
      ...threads,
      arithmetic,
      option('--prompt <n>', 'length of the prompt (default: 64, or what the model takes)').argParser(wholeNumber),
      option('-n, --tokens <n>', 'tokens after the prompt, one by one').argParser(wholeNumber).default(16),
      option('--rounds <n>', 'how often each target has its turn').argParser(wholeNumber).default(5),
      option('--no-kernels', 'without the table of kernels'),
      tuned,
      option('--seed <n>', 'seed of the inputs').argParser(wholeNumber).default(1),
    ], // prettier-ignore
    examples: [
      ['tfmc bench model.tfm', 'random weights, if there are none beside it'],
      ['tfmc bench model.tfm --target wasm --threads 2 --prompt 128 --tokens 32', ''],
      ['tfmc bench --hf folder --json', ''],
    ],
    load: async () => (await import('./commands/bench.ts')).bench,
  },
  profile: {
    summary: 'time the kernels of a model, against what the machine can do',
    args: file,
    options: [
      ...source, weights, random, dims,
      target('wgsl, wasm or typescript', 'wgsl'),
      ...threads,
      arithmetic,
      option('--prompt <n>', 'length of the prompt (default: 64, or what the model takes)').argParser(wholeNumber),
      option('-n, --tokens <n>', 'tokens after the prompt; the last one is shown').argParser(wholeNumber).default(4),
      option('--rounds <n>', 'how often; of each kernel the least time counts').argParser(wholeNumber).default(10),
      tuned,
      option('--svg <file>', 'draw programs, layers and kernels as wide as they take time'),
      option('--seed <n>', 'seed of the inputs').argParser(wholeNumber).default(1),
    ], // prettier-ignore
    examples: [
      ['tfmc profile model.tfm', 'on the graphics card; random weights, if there are none beside it'],
      ['tfmc profile model.tfm --prompt 256 --svg profile.svg', ''],
      ['tfmc profile model.tfm --target wasm --threads 1 --json', ''],
    ],
    load: async () => (await import('./commands/profile.ts')).profile,
  },
  tune: {
    summary: 'try the schedules of a model on this machine, for --tune',
    args: file,
    options: [
      ...source, dims,
      option('-o, --out <file>', 'the file to write (default: <model>.tune.json)'),
      option('--budget <seconds>', 'how long to try in all').argParser(decimal).default(30),
    ], // prettier-ignore
    examples: [
      ['tfmc tune model.tfm', ''],
      ['tfmc compile model.tfm --target wasm --tune model.tune.json', 'uses what was found'],
    ],
    load: async () => (await import('./commands/tune.ts')).tune,
  },
  doctor: {
    summary: 'say what this machine offers to compiled models',
    args: [],
    options: [],
    examples: [['tfmc doctor', '']],
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  ir: {
    summary: 'print a model at a level of the compiler',
    args: file,
    options: [
      ...source,
      option('--at <level>', 'where to stop')
        .choices(['ast', 'graph', 'checked', 'optimised', 'run', 'prepare', 'prefill', 'step', 'stages', 'nest'])
        .default('checked'),
      option('--after <pass>', 'the graph after this pass'),
      option('--target <name>', 'with --at nest: as this target schedules it'),
      option('--kernel <name>', 'with --at stages or nest: only this kernel'),
      option('--unfused', 'without passes and fusion'),
    ],
    examples: [
      ['tfmc ir model.tfm', 'the checked graph'],
      ['tfmc ir model.tfm --after fold', ''],
      ['tfmc ir model.tfm --at nest --target wgsl', ''],
    ],
    load: async () => (await import('./commands/ir.ts')).ir,
  },
  fmt: {
    summary: 'format sources in place',
    args: [['<files...>', '.tfm sources']],
    options: [
      option('--check', 'change nothing; exit code 1 where something would change'),
      option('--stdout', 'print instead'),
    ],
    examples: [
      ['tfmc fmt model.tfm blocks.tfm', ''],
      ['tfmc fmt --check *.tfm', ''],
    ],
    load: async () => (await import('./commands/fmt.ts')).fmt,
  },
  init: {
    summary: 'write a small model to start from, or that of a Hugging Face folder',
    args: [['[dir]', 'folder, the current one by default']],
    options: [
      option('--hf <folder>', 'write out the model that its config.json asks for, with its values'),
      hfClass,
      option('-o, --out <dir>', 'the folder, said as an option'),
    ],
    examples: [
      ['tfmc init my-model', ''],
      ['tfmc init --hf folder -o my-model', 'to look at it, and to change it'],
    ],
    load: async () => (await import('./commands/init.ts')).init,
  },
  info: {
    summary: 'list the tensors of a checkpoint or the parameters of a model',
    args: [['[file]', 'a .safetensors file, an index of shards, a folder, or a .tfm source']],
    options: [
      ...source,
      option('-w, --weights <path>', 'with a .tfm source: compare its parameters with this checkpoint'),
    ],
    examples: [
      ['tfmc info model.safetensors', ''],
      ['tfmc info model.tfm --weights model.safetensors', 'missing, unused and misshapen tensors'],
    ],
    load: async () => (await import('./commands/info.ts')).info,
  },
}

export const commandNames = Object.keys(commands)

/** Calls `perform` with the action that was asked for. */
export function makeProgram(version: string, perform: (action: Action, json: boolean) => Promise<void>): Command {
  const program = new Command('tfmc')
    .description('Compiles Transformer models from .tfm to readable TypeScript and WGSL.')
    .version(version, '-V, --version')
    .helpOption('-h, --help', 'show this help')
    .showHelpAfterError('(tfmc --help says more)')
    .exitOverride()
  for (const [name, shape] of Object.entries(commands)) {
    const command = program
      .command(name)
      .summary(shape.summary)
      .description(`${capital(shape.summary)}.`)
    for (const [argument, about] of shape.args) command.argument(argument, about)
    for (const o of shape.options) command.addOption(o)
    command.option('--json', 'one JSON document on stdout, with the diagnostics')
    command.showHelpAfterError(`(tfmc ${name} --help says more)`)
    command.addHelpText('after', `\nExamples:\n${shape.examples.map(exampleLine).join('\n')}`)
    command.action(async () => {
      const options = command.opts<{ json?: boolean }>()
      const args = command.args
      await perform(async (ctx) => (await shape.load())(ctx, args, options as never), options.json === true)
    })
  }
  return program
}

const capital = (text: string): string => text[0].toUpperCase() + text.slice(1)
const exampleLine = ([command, about]: readonly [string, string]): string =>
  `  ${command}${about === '' ? '' : `   # ${about}`}`
