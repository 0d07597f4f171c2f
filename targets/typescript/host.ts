/** The whole module: types, kernels, programs, tables and `load`, with the runtime inlined. It imports nothing. */
import type { StageKernel } from '../../src/kernel/stage.ts'
import { kernelsOf, stepsKey } from '../../src/program/steps.ts'
import type { Module, Port, Program } from '../../src/program/types.ts'
import type { WeightFormat } from '../../src/target.ts'
import { readsQuantised } from '../../src/target.ts'
import { runtimePieces } from '../runtime.generated.ts'
import { apiLines } from '../shared/api.ts'
import { floats } from './floats.ts'
import type { GenerationLevel } from '../shared/generation.ts'
import { generationMethods, generationPieces, programOf } from '../shared/generation.ts'
import { printKernel } from '../shared/javascript/kernel.ts'
import { packKernels } from '../shared/javascript/packs.ts'
import type { Language, Printer } from '../shared/printer.ts'
import { printer } from '../shared/printer.ts'
import { checkLines, listLines, portText, rulesLines, stateLines } from '../shared/tables.ts'
import { printProgram } from './programs.ts'
import type { ScheduleOptions } from './recipes.ts'
import { schedule } from './recipes.ts'
import { selftestLines } from '../shared/selftest.ts'
import { share } from '../shared/share.ts'
import type { PrintedModule } from '../shared/module-text.ts'
import { declarationsOf, moduleText, publicTypes, title } from '../shared/module-text.ts'
import { docComment, indent, quote } from '../shared/text.ts'
import { extraSlots, slotLines, specLines } from '../shared/weights.ts'

export interface HostOptions {
  readonly language: Language
  /** Emit `selftest()`. Default true. */
  readonly selftest?: boolean
  /** Which methods that generate. Default `basic`. */
  readonly generation?: GenerationLevel
  readonly weights?: WeightFormat
  readonly runtime?: string
}

const always = [
  'runtime/errors.ts',
  'runtime/safetensors.ts',
  'runtime/source.ts',
  'runtime/weights.ts',
  'runtime/inputs.ts',
  'runtime/session.ts',
  'typescript/runtime/session.ts',
  'typescript/runtime/load.ts',
]
const forQuantised = ['runtime/quantised.ts']
const forSelftest = ['typescript/runtime/selftest.ts']
const loadOptions = 'LoadOptions & { readonly weights: WeightSource }'
const fixedNames = [
  'tests',
  'Inputs',
  'Outputs',
  'SequenceInputs',
  'SequenceOutputs',
  'Model',
  'load',
  'specs',
  'slots',
  'rules',
  'model',
  'past',
]

function piecesOf(module: Module, selftest: boolean, generation: GenerationLevel, quantised: boolean): string[] {
  const reading = quantised ? forQuantised : []
  const wanted = [
    ...always,
    ...reading,
    ...generationPieces(module, generation, 'typescript'),
    ...(selftest ? forSelftest : []),
  ]
  const out: string[] = []
  const add = (name: string): void => {
    if (out.includes(name)) return
    for (const need of runtimePieces[name].needs) add(need)
    out.push(name)
  }
  wanted.forEach(add)
  return out
}

export function printModule(given: Module, options: HostOptions): PrintedModule {
  const { module, runByPrefill } = share(given, true)
  const selftest = options.selftest ?? true
  const generation = options.generation ?? 'basic'
  const quantised = readsQuantised(options.weights)
  const pieces = piecesOf(module, selftest, generation, quantised)
  const p = printer(options.language, [...fixedNames, ...pieces.flatMap((n) => runtimePieces[n].names)])
  const kernels = module.kernels.map((k, i) => printKernel(schedule(k, { short: onlyInSteps(module, i) }), p))
  const packs = packKernels(module, p, schedule)
  // A step that does what a prefill of one position does is that function.
  const shownAs = module.programs.map(
    (a) => module.programs.find((b) => stepsKey(a.steps) === stepsKey(b.steps) && b.name !== 'run') ?? a,
  )
  const nameOf = new Map([...new Set(shownAs)].map((program) => [program, p.names.name(program.name)]))
  const programNames = shownAs.map((program) => nameOf.get(program)!)
  const kernelNames = kernels.map((k) => k.name)
  const programs = [...nameOf].flatMap(([program, name]) => [
    ...programDoc(program),
    ...printProgram(program, name, module, kernelNames, p),
    '',
  ])
  const slots = extraSlots(module)
  const tests = selftest ? selftestLines(module, kernelNames, floats, p) : []
  const api = apiLines(given, { selftest, generation })
  const { T, past, max } = { T: module.sequence?.T.name, past: module.sequence?.past.name, max: module.sequence?.max }
  const sections = [
    ...docComment([`${module.name}, compiled by tfm from ${module.source}. Do not edit.`, ...(module.doc === undefined ? [] : ['', module.doc])]),
    '',
    ...(p.language === 'ts' ? [...api, ''] : []),
    ...title('Kernels'),
    ...kernels.flatMap((k) => [...k.lines, '']),
    ...packs.printed.flatMap((k) => [...k.lines, '']),
    ...p.support(),
    '',
    ...title('Programs'),
    ...programs,
    ...title('Weights'),
    `const specs${p.type('PackedSpec[]')} = [`, ...indent(specLines(module, packs.of)), ']', '',
    ...(slots.length > 0 ? [`const slots${p.type('WeightSlot[]')} = [`, ...indent(slotLines(module, packs.of, slots)), ']', ''] : []),
    ...rulesLines(module, p), '',
    `const model${p.type('ModelSpec<Runnable>')} = {`,
    ...indent([
      'programs: {', ...indent(module.programs.flatMap((program, i) => tableLines(program, programNames[i], module, p))), '},',
      ...(module.state.length > 0 ? ['state: [', ...indent(stateLines(module, p)), '],'] : ['state: [],']),
      ...(module.sequence ? [`sequence: { T: ${quote(T!)}, past: ${quote(past!)}, max: ${max} },`] : []),
    ]),
    '}', '',
    ...tests,
    ...loadLines(module, p, { selftest, generation, runByPrefill, slots: slots.length > 0, quantised }), '',
  ] // prettier-ignore
  return {
    ...moduleText(sections, pieces, p.language, publicTypes, options.runtime),
    declarations:
      p.language === 'js' ? declarationsOf(module, api, `options: ${loadOptions}`, pieces, publicTypes) : '',
  }
}

/** Whether a kernel only ever sees one position. */
function onlyInSteps(module: Module, kernel: number): boolean {
  return module.programs.every((program) => program.name === 'step' || !kernelsOf(program.steps).includes(kernel))
}

function programDoc(program: Program): readonly string[] {
  const what = {
    run: 'The whole model.', prepare: 'What does not depend on positions, kept in state.',
    prefill: 'New positions after the past ones.', step: 'One position after the past ones.', reorder: 'Rows of the state.',
  }[program.name] // prettier-ignore
  return docComment([what])
}

function tableLines(program: Program, name: string, module: Module, p: Printer): string[] {
  const ports = (list: readonly Port[]): string[] => list.map((port) => portText(port, module, p))
  return [
    `${program.name}: {`,
    ...indent([
      ...listLines('inputs', ports(program.inputs)),
      ...listLines('outputs', ports(program.outputs)),
      ...listLines('checks', checkLines(program, p).map((l) => l.replace(/,$/, ''))),
      name === 'run' ? 'run,' : `run: ${name},`,
    ]),
    '},',
  ] // prettier-ignore
}
interface LoadParts {
  readonly selftest: boolean
  readonly generation: GenerationLevel
  readonly runByPrefill: boolean
  readonly slots: boolean
  readonly quantised: boolean
}
function loadLines(module: Module, p: Printer, parts: LoadParts): string[] {
  const { selftest, generation, runByPrefill, slots, quantised } = parts
  const rest = [...(slots || quantised ? [slots ? 'slots' : '[]'] : []), ...(quantised ? ['readQuantised'] : [])]
  const as = (type: string): string => (p.language === 'ts' ? ` as unknown as ${type}` : '')
  const inputs = (type: string): string => `inputs${p.type(type)}`
  const methods: string[] = []
  if (runByPrefill)
    methods.push(
      `run: async (${inputs('Inputs')}) => session.fresh().advance('prefill', { ...inputs })${as('Outputs')},`,
    )
  if (programOf(module, 'run'))
    methods.push(`run: async (${inputs('Inputs')}) => session.run({ ...inputs })${as('Outputs')},`)
  if (programOf(module, 'prefill')) {
    methods.push('get past() {', '  return session.past', '},')
    for (const name of ['prefill', 'step'] as const) {
      if (programOf(module, name))
        methods.push(
          `${name}: async (${inputs('SequenceInputs')}) => session.advance('${name}', { ...inputs })${as('SequenceOutputs')},`,
        )
    }
    methods.push('reset: () => session.reset(),')
  }
  const generating = generationMethods(module, generation, p, (batch) => `reorderState(model, session, ${batch}, rows)`)
  methods.push(...generating.methods)
  if (selftest) methods.push('selftest: async () => selftest(tests),')
  methods.push('dispose: () => session.dispose(),')
  return [
    ...docComment(['Reads the weights (safetensors: URL, path, bytes, File or stream) and packs them for the kernels, one tensor at a time.']),
    `export async function load(options${p.type(loadOptions)})${p.type('Promise<Model>')} {`,
    ...indent([
      `const session = openArrays(model, await loadSlots(${['specs', 'rules', 'options', ...rest].join(', ')}))`,
      ...generating.before, 'return {', ...indent(methods), '}',
    ]),
    '}',
  ] // prettier-ignore
}

/** Kernels alone, exported, for tests and experiments. */
export function emitKernelsOnly(
  kernels: readonly StageKernel[],
  language: Language,
  options: ScheduleOptions = {},
): string {
  const p = printer(language)
  const printed = kernels.map((k) => printKernel(schedule(k, options), p))
  const support = p.support()
  return [
    ...printed.flatMap((k) => [...k.lines, '']),
    ...support,
    `export { ${printed.map((k) => k.name).join(', ')} }`,
    '',
  ].join('\n')
}
