/** The host module: types, kernels embedded as WGSL, tables and `load`, with the runtime inlined. It imports nothing. */
import type { DeviceProfile } from '../../src/program/profiles.ts'
import { webgpuProfile } from '../../src/program/profiles.ts'
import { kernelsOf } from '../../src/program/steps.ts'
import type { HostStep, Module } from '../../src/program/types.ts'
import type { WeightFormat } from '../../src/target.ts'
import { readsQuantised } from '../../src/target.ts'
import type { Sym } from '../../src/types/ix.ts'
import { runtimePieces } from '../runtime.generated.ts'
import { apiLines } from '../shared/api.ts'
import type { GenerationLevel } from '../shared/generation.ts'
import { generationMethods, generationPieces, programOf } from '../shared/generation.ts'
import { plainSchedule } from '../shared/javascript/finish.ts'
import { packKernels } from '../shared/javascript/packs.ts'
import type { PrintedModule } from '../shared/module-text.ts'
import { declarationsOf, moduleText, publicTypes, title } from '../shared/module-text.ts'
import type { Language, Printer } from '../shared/printer.ts'
import { printer } from '../shared/printer.ts'
import { rulesLines, stateLines } from '../shared/tables.ts'
import { share } from '../shared/share.ts'
import { docComment, indent, property, quote } from '../shared/text.ts'
import { selftestLines } from '../shared/selftest.ts'
import { slotLines, specLines } from '../shared/weights.ts'
import { floats } from './floats.ts'
import { keptSamples } from './kept-sample.ts'
import type { PrintedKernel } from './kernel.ts'
import { dimsOf, printKernel } from './kernel.ts'
import type { Split } from './parts.ts'
import { splitOf } from './parts.ts'
import type { Passes, PrintedPasses } from './passes.ts'
import { dispatched, passesOf, passTest, printPasses, withScratch } from './passes.ts'
import type { Scheduled, ScheduleOptions } from './recipes.ts'
import { schedule } from './recipes.ts'
import type { Draws, Sampling } from './sampling.ts'
import { samplingOf } from './sampling.ts'
import {
  kernelLines,
  listedSlots,
  programLines,
  sharedParts,
  slotFields,
  stepsOf,
  withoutIdentityPacks,
} from './tables.ts'

const always = ['errors', 'safetensors', 'source', 'weights', 'inputs', 'sample'].map((n) => `runtime/${n}.ts`)
const ours = ['limits', 'device', 'buffers', 'selftest', 'slices', 'session', 'tune', 'load'].map(
  (n) => `wgsl/runtime/${n}.ts`,
)
const forLoops = ['wgsl/runtime/loops.ts']
const forPasses = ['wgsl/runtime/passes.ts']
const types = [...publicTypes, 'GpuOptions', 'OpenOptions']
const fixedNames = [
  'Inputs',
  'Outputs',
  'SequenceInputs',
  'SequenceOutputs',
  'Model',
  'load',
  'specs',
  'slots',
  'keeper',
  'rules',
  'model',
  'kernels',
  'steps',
  'tests',
  'past',
  'd',
  'i',
]

export interface EmittedModule extends PrintedModule {
  readonly kernels: readonly PrintedKernel[]
}

/** How all kernels of a module are scheduled, where there is a choice. */
export type KernelOptions = Omit<ScheduleOptions, 'used'>

/** Kernels of the module as they are emitted, shared between programs. */
export function printKernels(
  module: Module,
  profile: DeviceProfile = webgpuProfile,
  options: KernelOptions = {},
): {
  readonly kernels: readonly PrintedKernel[]
  readonly fields: readonly string[]
  readonly split: Split
} {
  const dims = dimsOf(dimsIn(module))
  const split = splitOf(module, profile)
  const used = usesOf(module)
  const scheduled = module.kernels.map((k, i): Scheduled => {
    const own = { ...options, used: used(i) }
    const byPart = split.byPart.get(i)
    if (byPart === undefined) return schedule(k, own)
    const passes = byPart.list.map((x): Passes => {
      const scheduled = schedule(x.kernel, own)
      // What is several dispatches itself.
      const { list, scratch } = (scheduled.variants.length === 0 && scheduled.passes) || { list: [{ kernel: x.kernel, scheduled }], scratch: [] } // prettier-ignore
      return { list: list.map((pass) => ({ ...pass, ...(x.part ? { part: x.part } : {}) })), scratch }
    })
    return {
      variants: [],
      passes: {
        list: passes.flatMap((x) => x.list),
        scratch: [...byPart.scratch, ...passes.flatMap((x) => x.scratch)],
      },
    }
  })
  // Operands of one name are read in one way by all kernels, so that those in parts share their text, too.
  const inParts = new Set(
    module.kernels.flatMap((k, i) =>
      scheduled[i].constants && k.args.some((_, a) => split.of(i, a)) ? [scheduled[i].turned] : [],
    ),
  )
  const readers = (s: Scheduled): boolean => inParts.has(s.turned)
  const taken = new Set(module.kernels.map((k) => k.name))
  const kernels = module.kernels.map((k, i) => {
    const parts = k.args.map((_, a) => split.of(i, a))
    const printed = printKernel(k, scheduled[i], dims, parts, readers(scheduled[i]))
    const { passes, spread } = scheduled[i]
    const print = (p: Passes): PrintedPasses => printPasses(k, p, dims, parts, readers, taken)
    return {
      ...printed,
      ...(passes ? { passes: print(passes) } : {}),
      ...(spread ? { spread: print(spread) } : {}),
    }
  })
  return { kernels, fields: dims.fields, split }
}
function dimsIn(module: Module): readonly Sym[] {
  const { sequence } = module
  return [...module.dims, ...(sequence ? [sequence.T, sequence.past] : []), ...module.kernels.flatMap((k) => k.params)]
}

/** Whether a step is a loop over t, or layers with one. */
const hasLoop = (s: HostStep): boolean => s.k === 'scan' || (s.k === 'layers' && s.body.some(hasLoop))

/** Bytes of the buffer of dims, as the session makes it: blocks at multiples of 256 bytes, and many of them where there are loops. */
export const dimsBytes = (module: Module, fields: readonly string[]): number =>
  256 * Math.ceil(fields.length / 64) * (module.programs.some((p) => p.steps.some(hasLoop)) ? 4096 : 1)

/** Whether a kernel sees one position per sequence, many, or both; of models that step, all kernels of many are made for both: they share their text. */
function usesOf({ programs }: Module): (kernel: number) => 'one' | 'many' | 'both' {
  if (programs.every((p) => p.name !== 'step')) return () => 'many'
  const many = new Set(programs.flatMap((p) => (p.name === 'step' ? [] : kernelsOf(p.steps))))
  return (kernel) => (many.has(kernel) ? 'both' : 'one')
}

function prepared(given: Module): { readonly module: Module; readonly runByPrefill: boolean } {
  const { module, runByPrefill } = share(given, true)
  return { module: withoutIdentityPacks(module), runByPrefill }
}
/** The module that is printed: its kernels are those that the emitted code dispatches, by name. */
export const moduleOf = (given: Module): Module => prepared(given).module

/** The module with kernels that draw ids, where it generates; they have names that its own have not. */
export function withSampling(
  module: Module,
  generation: GenerationLevel,
): { readonly module: Module; readonly sampling?: Sampling } {
  const sampling = generation === 'none' ? undefined : samplingOf(module)
  if (sampling === undefined) return { module }
  const taken = new Set(module.kernels.map((k) => k.name))
  const renamed = (draws: Draws): Draws =>
    draws.map(({ kernel, args }) => {
      let { name } = kernel
      while (taken.has(name)) name += '_'
      taken.add(name)
      return { kernel: { ...kernel, name }, args }
    })
  const [greedy, top] = [renamed(sampling.greedy), renamed(sampling.top)]
  const kernels = [...module.kernels, ...[...greedy, ...top].map((d) => d.kernel)]
  return { module: { ...module, kernels }, sampling: { ...sampling, greedy, top } }
}

function samplingLines({ ids, ahead, vocabulary, lists, greedy, top }: Sampling): string[] {
  const steps = (draws: Draws): string =>
    `{ steps: [${draws.map(({ kernel, args }) => `[${[kernel.name, ...args].map(quote).join(', ')}]`).join(', ')}] }`
  const fields = [`ids: ${quote(ids)}`, `ahead: ${ahead}`, `vocabulary: ${vocabulary}`, `lists: [${lists.join(', ')}]`]
  return ['sampling: {', ...indent([`${fields.join(', ')},`, `greedy: ${steps(greedy)},`, `top: ${steps(top)},`]), '},']
}

export function printModule(
  given: Module,
  options: {
    readonly language: Language
    readonly generation?: GenerationLevel
    readonly weights?: WeightFormat
    readonly profile?: DeviceProfile
    readonly kernels?: KernelOptions
    readonly runtime?: string
  },
): EmittedModule {
  const { module: own, runByPrefill } = prepared(given)
  const generation = options.generation ?? 'basic'
  const { module, sampling } = withSampling(own, generation)
  const loops = module.programs.some((program) => program.steps.some(hasLoop))
  const quantised = readsQuantised(options.weights)
  const keeps = module.weights.some((w) => w.layout.kept)
  const reading = [
    ...(quantised ? ['runtime/quantised.ts'] : []),
    ...(keeps ? ['runtime/half-value.ts', 'runtime/halves.ts', 'wgsl/runtime/keep.ts'] : []),
    ...(quantised && keeps ? ['wgsl/runtime/levels.ts'] : []),
  ]
  const { kernels, fields, split } = printKernels(module, options.profile, options.kernels)
  const passes = kernels.some((k) => passesOf(k).length > 0)
  const pieces = [
    ...always,
    ...reading,
    ...ours,
    ...(loops ? forLoops : []),
    ...(passes ? forPasses : []),
    ...generationPieces(module, generation, 'wgsl', sampling !== undefined),
  ]
  const p = printer(options.language, [...fixedNames, ...pieces.flatMap((n) => runtimePieces[n].names)])
  const listed = listedSlots(module, split)
  const packs = packKernels(listed, p, plainSchedule)
  const shared = sharedParts(kernels, p)
  const kernelsText = kernelText(kernelLines(kernels, shared, p))
  const dispatches = module.programs.map((program) => stepsOf(program, kernels, p))
  const texts = dispatches.map((d) => d.join('\n'))
  const common = texts.find((d, i) => texts.indexOf(d) !== i)
  const { programs } = withScratch(module, kernels)
  const api = apiLines(given, { selftest: true, generation })
  const { sequence } = module
  const sections = [
    ...docComment([`${module.name}, compiled by tfm from ${module.source}. Do not edit.`, ...(module.doc === undefined ? [] : ['', module.doc])]),
    '',
    ...(p.language === 'ts' ? [...api, ''] : []),
    ...title('Kernels'),
    ...shared.lines(),
    `const kernels${p.type('Record<string, KernelSpec>')} = {`, ...kernelsText, '}', '',
    ...title('Programs'),
    ...(common === undefined ? [] : [`const steps${p.type('Step[]')} = [`, ...indent(common.split('\n')), ']', '']),
    `const model${p.type('ModelSpec')} = {`,
    ...indent([
      ...(loops ? ['record: recordLoops,'] : []),
      `dims: [${fields.map(quote).join(', ')}],`,
      'programs: {', ...indent(programs.flatMap((program, i) => programLines(program, module, texts[i] === common ? 'steps' : dispatches[i], p))), '},',
      ...(module.state.length > 0 ? ['state: [', ...indent(stateLines(module, p)), '],'] : ['state: [],']),
      ...(sequence ? [`sequence: { T: ${quote(sequence.T.name)}, past: ${quote(sequence.past.name)}, max: ${sequence.max} },`] : []),
      ...(sampling ? samplingLines(sampling) : []),
    ]),
    '}', '',
    ...title('Weights'),
    ...packs.printed.flatMap((k) => [...k.lines, '']),
    ...p.support(),
    `const specs${p.type('WeightSpec[]')} = [`, ...indent(specLines(module)), ']', '',
    `const slots${p.type('WeightSlot[]')} = [`, ...indent(slotLines(listed, packs.of, undefined, (slot) => slotFields(listed.weights[slot], split))), ']', '',
    ...rulesLines(module, p), '',
    ...title('Self-test'),
    ...selftestLines(module, kernels.map((k) => quote(k.name)), floats, p, {
      parts: (k, a) => kernels[k].split[a],
      passes: (k) => passesOf(kernels[k]).map((x) => passTest(x, kernels[k].split)),
      dims: (params) => `{ ${[...params].map(([s, n]) => `${property(s.name)}: ${n}`).join(', ')} }`,
      kept: keptSamples(),
    }),
    ...loadLines(module, p, { runByPrefill, generation, quantised, keeps, draws: sampling !== undefined, passes }), '',
  ] // prettier-ignore
  return {
    ...moduleText(sections, pieces, p.language, types, options.runtime),
    declarations: p.language === 'js' ? declarationsOf(module, api, 'options: OpenOptions', pieces, types) : '',
    kernels: dispatched(kernels),
  }
}

interface LoadParts {
  readonly runByPrefill: boolean
  readonly generation: GenerationLevel
  readonly quantised: boolean
  readonly keeps: boolean
  readonly draws: boolean
  readonly passes: boolean
}

/** Indented, except for the code inside template literals. */
const kernelText = (lines: readonly string[]): string[] => lines.map((l) => `  ${l}`)

function loadLines(
  module: Module,
  p: Printer,
  { runByPrefill, generation, quantised, keeps, draws, passes }: LoadParts,
): string[] {
  const as = (type: string): string => (p.language === 'ts' ? ` as unknown as ${type}` : '')
  const method = (name: string, input: string, output: string, call: string): string =>
    `${name}: async (inputs${p.type(input)}) => (await session.${call})${as(output)},`
  const methods: string[] = []
  if (runByPrefill) methods.push(method('run', 'Inputs', 'Outputs', 'alone({ ...inputs })'))
  else if (programOf(module, 'run')) methods.push(method('run', 'Inputs', 'Outputs', 'run({ ...inputs })'))
  if (programOf(module, 'prefill')) {
    methods.push('get past() {', '  return session.past', '},')
    for (const name of ['prefill', 'step'] as const) {
      if (programOf(module, name))
        methods.push(method(name, 'SequenceInputs', 'SequenceOutputs', `advance('${name}', { ...inputs })`))
    }
    methods.push('reset: () => session.reset(),')
  }
  const generating = generationMethods(module, generation, p, (batch) => `reorderState(session, ${batch}, rows)`, draws)
  methods.push(...generating.methods)
  methods.push(
    `selftest: () => session.selftest(tests${keeps ? ', keeper' : passes ? ', undefined' : ''}${passes ? ', withPasses' : ''}),`,
    'dispose: () => session.dispose(),',
  )
  const fields = ['model', 'kernels', 'specs', 'rules', 'slots', ...(quantised ? ['read: readQuantised'] : []), ...(keeps ? ['keeper'] : [])] // prettier-ignore
  return [
    ...(keeps ? [`const keeper = keeperOf(${quantised ? 'keepLevels' : ''})`] : []),
    ...docComment(['Opens a device, compiles the kernels and reads the weights (safetensors: URL, path, bytes, File or stream), one tensor at a time.']),
    `export async function load(options${p.type('OpenOptions')})${p.type('Promise<Model>')} {`,
    ...indent([`const session = await openSession({ ${fields.join(', ')} }, options)`, ...generating.before, 'return {', ...indent(methods), '}']),
    '}',
  ] // prettier-ignore
}
