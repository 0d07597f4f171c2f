/** The host module: types, tables of programs and weights, and `load`, with the runtime inlined. The kernels are in the binary beside it. */
import type { Module, Port, Program } from '../../src/program/types.ts'
import type { Tuning, WeightFormat } from '../../src/target.ts'
import { readsQuantised } from '../../src/target.ts'
import { runtimePieces } from '../runtime.generated.ts'
import { apiLines } from '../shared/api.ts'
import type { GenerationLevel } from '../shared/generation.ts'
import { generationMethods, generationPieces, programOf } from '../shared/generation.ts'
import type { PrintedModule } from '../shared/module-text.ts'
import { declarationsOf, moduleText, publicTypes, title } from '../shared/module-text.ts'
import type { Language, Printer } from '../shared/printer.ts'
import { printer } from '../shared/printer.ts'
import { selftestLines } from '../shared/selftest.ts'
import { share } from '../shared/share.ts'
import { checkLines, formula, listLines, portText, rulesLines, stateLines, stateOrder } from '../shared/tables.ts'
import { docComment, indent, property, quote } from '../shared/text.ts'
import { extraSlots, listSlots, listSpecs } from '../shared/weights.ts'
import { floats } from './floats.ts'
import type { TableLayout } from './layout.ts'
import { mostDims, tableLayout } from './layout.ts'
import type { Packs } from './packs.ts'
import { packsOf } from './packs.ts'
import { dimsOf } from './programs.ts'
import { printWat } from './wat.ts'

export interface HostOptions {
  readonly language: Language
  /** Emit `selftest()`. Default true. */
  readonly selftest?: boolean
  /** Which methods that generate. Default `basic`. */
  readonly generation?: GenerationLevel
  readonly weights?: WeightFormat
  readonly tuning?: Tuning | undefined
  /** Kernels for vectors of 256 bits. */
  readonly wide?: boolean
  /** Print the form with fused multiply-adds too. Default true. */
  readonly relaxed?: boolean
  readonly runtime?: string
}
export interface PrintedWasm extends PrintedModule {
  /** The text that the binary is assembled from; with fused multiply-adds. */
  readonly wat: string
  readonly relaxed?: string
}

const always = ['errors', 'safetensors', 'source', 'weights', 'inputs', 'session'].map((n) => `runtime/${n}.ts`)
const ours = ['pool', 'machine', 'session', 'load'].map((n) => `wasm/runtime/${n}.ts`)
const types = [...publicTypes, 'WasmOptions']
const fixedNames = [
  ...['Inputs', 'Outputs', 'SequenceInputs', 'SequenceOutputs', 'Model', 'load', 'specs', 'slots', 'rules', 'model'],
  ...['layout', 'files', 'tests', 'past', 'machine', 'end', 'session', 'd', 'i', 'Worker', 'WebAssembly', 'Atomics'],
  ...['SharedArrayBuffer', 'Kind'],
]

/** `file` is the name of the files, without their endings. */
export function printModule(given: Module, file: string, options: HostOptions): PrintedWasm {
  const { module, runByPrefill } = share(given, false)
  const selftest = options.selftest ?? true
  const generation = options.generation ?? 'basic'
  const quantised = readsQuantised(options.weights)
  const keeps = module.weights.some((w) => w.layout.kept)
  const pieces = [
    ...always,
    ...(quantised ? ['runtime/quantised.ts'] : []),
    ...ours,
    ...(keeps ? ['runtime/halves.ts', 'wasm/runtime/keep.ts'] : []),
    ...generationPieces(module, generation, 'wasm'),
    ...(selftest ? ['runtime/sample.ts', 'wasm/runtime/selftest.ts'] : []),
  ]
  const p = printer(options.language, [...fixedNames, ...pieces.flatMap((n) => runtimePieces[n].names)])
  const packs = packsOf(module)
  const extra = extraSlots(module)
  const packText = packField(module, packs)
  const specs = listSpecs(module, packText, (i) => (ownSlot(module, i, extra) === undefined ? ', other: true' : ''))
  const slots = listSlots(module, packText, extra)
  const table = tableOf(module, specs.order, extra, slots.order, packs, p)
  const dims = dimsOf(module, packs.kernels)
  if (dims.length > mostDims) throw new Error(`internal: ${dims.length} dims`)
  const form = (relaxed: boolean) =>
    printWat(module, table, packs, dims, {
      relaxed,
      alone: selftest,
      tuning: options.tuning,
      wide: options.wide ?? false,
    })
  const wat = form(false)
  const relaxed = options.relaxed === false ? undefined : form(true)
  const { numbers } = wat
  const { sequence } = module
  const api = apiLines(given, { selftest, generation }).flatMap((l) =>
    /^ {2}dispose\(\)/.test(l) ? [l, ...threadsLine] : [l],
  )
  const tests = selftest
    ? selftestLines(
        module,
        module.kernels.map((_, i) => String(numbers.kernels + i)),
        floats,
        p,
        { dims: (params) => `{ ${[...params].map(([s, n]) => `${property(s.name)}: ${n}`).join(', ')} }` },
      )
    : []
  const sections = [
    ...docComment([`${module.name}, compiled by tfm from ${module.source}. Do not edit.`, ...(module.doc === undefined ? [] : ['', module.doc])]),
    '',
    ...(p.language === 'ts' ? [...api, ''] : []),
    ...title('Files'),
    ...docComment(['The kernels, their form with fused multiply-adds, and what a thread starts with.']),
    `const files${p.type('Files')} = {`,
    ...indent([
      `wasm: () => new URL(${quote(`./${file}.wasm`)}, import.meta.url),`,
      ...(relaxed ? [`relaxed: () => new URL(${quote(`./${file}.relaxed.wasm`)}, import.meta.url),`] : []),
      `worker: (Worker) => new Worker(new URL(${quote(`./${file}.worker.js`)}, import.meta.url), { type: 'module', execArgv: [] }),`,
    ]),
    '}', '',
    ...title('Programs'),
    `const layout${p.type('Layout')} = {`,
    ...indent([
      `dims: [${dims.map(quote).join(', ')}],`,
      `weights: ${specs.order.filter((i) => ownSlot(module, i, extra) !== undefined).length + slots.order.length},`,
      `ports: ${table.ports},`, `entries: ${table.size},`,
      `repeats: [${table.repeats.flatMap((r) => [r.entry, r.of]).join(', ')}],`,
      `scratch: ${wat.scratch},`,
    ]),
    '}', '',
    `const model${p.type('WasmSpec')} = {`,
    ...indent([
      'programs: {', ...indent(module.programs.flatMap((program, i) => programTable(program, i, module, p))), '},',
      ...(module.state.length > 0 ? ['state: [', ...indent(stateLines(module, p)), '],'] : ['state: [],']),
      ...(sequence ? [`sequence: { T: ${quote(sequence.T.name)}, past: ${quote(sequence.past.name)}, max: ${sequence.max} },`] : []),
    ]),
    '}', '',
    ...title('Weights'),
    `const specs${p.type('PackedSpec[]')} = [`, ...indent(specs.lines), ']', '',
    `const slots${p.type('WeightSlot[]')} = [`, ...indent(slots.lines), ']', '',
    ...rulesLines(module, p), '',
    ...p.support(),
    ...tests,
    ...loadLines(module, p, { selftest, generation, runByPrefill, quantised, keeps }), '',
  ] // prettier-ignore
  return {
    ...moduleText(sections, needed(pieces), p.language, types, options.runtime),
    declarations: p.language === 'js' ? declarationsOf(module, api, 'options: WasmOptions', needed(pieces), types) : '',
    wat: wat.text,
    ...(relaxed ? { relaxed: relaxed.text } : {}),
  }
}
const threadsLine = ['  /** How many threads compute. */', '  readonly threads: number']

/** Pieces with those that they need before them. */
function needed(pieces: readonly string[]): string[] {
  const out: string[] = []
  const add = (name: string): void => {
    if (out.includes(name)) return
    for (const need of runtimePieces[name].needs) add(need)
    if (!out.includes(name)) out.push(name)
  }
  pieces.forEach(add)
  return out
}

/** The weight slot that a tensor is by itself. */
function ownSlot(module: Module, param: number, extra: readonly number[]): string | undefined {
  const { name } = module.params[param]
  const at = module.weights.findIndex((w) => w.name === name && w.from.length === 1 && w.from[0] === name)
  return at < 0 || extra.includes(at) ? undefined : name
}

function tableOf(
  module: Module,
  specs: readonly number[],
  extra: readonly number[],
  slots: readonly number[],
  packs: Packs,
  p: Printer,
): TableLayout {
  const weights = [
    ...specs.flatMap((i) => ownSlot(module, i, extra) ?? []),
    ...slots.map((i) => module.weights[i].name),
  ]
  const states = stateOrder(module, p)
  const rows = new Set(module.state.filter((s) => s.rows).map((s) => s.name))
  const gathered = states.filter((name) => rows.has(name)).map((name) => `~${name}`)
  const most = Math.max(packs.most, ...module.kernels.map((k) => k.args.length))
  return tableLayout(module, weights, [...states, ...gathered], most)
}

/** How a slot is packed: the number of the program. */
function packField(module: Module, packs: Packs): (slot: number) => string | undefined {
  const first = module.programs.length
  return (slot) => {
    const pack = packs.of[slot]
    if (pack === undefined) return undefined
    const { kept } = module.weights[slot].layout
    return `${first + pack}${packs.sliced(pack) ? ', sliced: true' : ''}${kept ? `, keep: ${quote(kept.as)}` : ''}`
  }
}

function programTable(program: Program, number: number, module: Module, p: Printer): string[] {
  const ports = (list: readonly Port[]): string[] => list.map((port) => portText(port, module, p))
  return [
    `${program.name}: {`,
    ...indent([
      ...listLines('inputs', ports(program.inputs)),
      ...listLines('outputs', ports(program.outputs)),
      ...listLines('checks', checkLines(program, p).map((l) => l.replace(/,$/, ''))),
      ...listLines('slots', program.slots.map((x) => formula(x, p))),
      `program: ${number},`,
    ]),
    '},',
  ] // prettier-ignore
}

interface LoadParts {
  readonly selftest: boolean
  readonly generation: GenerationLevel
  readonly runByPrefill: boolean
  readonly quantised: boolean
  readonly keeps: boolean
}
function loadLines(module: Module, p: Printer, parts: LoadParts): string[] {
  const { selftest, generation, runByPrefill, quantised, keeps } = parts
  const as = (type: string): string => (p.language === 'ts' ? ` as unknown as ${type}` : '')
  const method = (name: string, input: string, output: string, call: string): string =>
    `${name}: async (inputs${p.type(input)}) => session.${call}${as(output)},`
  const methods: string[] = ['get threads() {', '  return machine.threads', '},']
  if (runByPrefill) methods.push(method('run', 'Inputs', 'Outputs', `fresh().advance('prefill', { ...inputs })`))
  else if (programOf(module, 'run')) methods.push(method('run', 'Inputs', 'Outputs', 'run({ ...inputs })'))
  if (programOf(module, 'prefill')) {
    methods.push('get past() {', '  return session.past', '},')
    for (const name of ['prefill', 'step'] as const) {
      if (programOf(module, name))
        methods.push(method(name, 'SequenceInputs', 'SequenceOutputs', `advance('${name}', { ...inputs })`))
    }
    methods.push('reset: () => session.reset(),')
  }
  const reorder = (batch: string): string => `reorderState(model, machine, session, ${batch}, rows)`
  const generating = generationMethods(module, generation, p, reorder)
  methods.push(...generating.methods)
  if (selftest) methods.push('selftest: async () => selftest(machine, session.engine.end, tests),')
  methods.push('dispose: () => session.dispose(),')
  const fields = [
    'layout',
    'specs',
    'rules',
    'slots',
    'files',
    ...(quantised ? ['read: readQuantised'] : []),
    ...(keeps ? ['keep: keepWeights'] : []),
  ]
  return [
    ...docComment(['Starts the threads, compiles the binary and reads the weights (safetensors: URL, path, bytes, File or stream), all at once.']),
    `export async function load(options${p.type('WasmOptions')})${p.type('Promise<Model>')} {`,
    ...indent([
      `const { machine, end } = await openMachine({ ${fields.join(', ')} }, options)`,
      'const session = openLinear(model, machine, end)',
      ...generating.before, 'return {', ...indent(methods), '}',
    ]),
    '}',
  ] // prettier-ignore
}
