/** The methods that generate, of both targets: types, the pieces of the runtime they need, and their text. */
import type { Module, Port, Program, ProgramName } from '../../src/program/types.ts'
import { of, symbolsOf } from '../../src/types/ix.ts'
import type { Printer } from './printer.ts'
import { access, docComment, property, quote } from './text.ts'

/** What `generate` needs: one i32 input on the sequence axis that goes in, and floating-point results per position. */
export interface Generation {
  readonly ids: string
  readonly logits: string
  /** Inputs that the first call takes besides the tokens. */
  readonly others: readonly Port[]
  /** The input that says how much padding each row begins with, if there is one; `once`: only the first call takes it. */
  readonly start?: Port & { readonly once: boolean }
}

/**
 * `basic`: `generate`. `full`: with all its options, and `generateText`; where state can be reordered, `generateBatch` and
 * `generateBeams` too.
 */
export type GenerationLevel = 'none' | 'basic' | 'full'

/** Names of options: an input of the same name could not be given beside them. */
const optionNames = [
  ...['maxTokens', 'temperature', 'topK', 'topP', 'minP', 'seed', 'stop', 'signal', 'echo', 'onToken'],
  ...['repetitionPenalty', 'noRepeatNgramSize', 'minTokens', 'suppressTokens', 'processLogits', 'decode', 'stopStrings'],
  ...['numReturnSequences', 'numBeams', 'lengthPenalty', 'earlyStopping'],
] // prettier-ignore

export const programOf = (module: Module, name: ProgramName): Program | undefined =>
  module.programs.find((p) => p.name === name)

export function generationOf(module: Module): Generation | undefined {
  const prefill = programOf(module, 'prefill')
  const { T } = module.sequence ?? {}
  if (prefill === undefined || T === undefined || programOf(module, 'step') === undefined) return undefined
  const first = programOf(module, 'prepare')?.inputs ?? []
  const isStart = (i: Port): boolean =>
    i.name === 'start' && i.dtype === 'i32' && i.shape.length === 1 && i.shape[0] !== of(T)
  const start = [...prefill.inputs, ...first].find(isStart)
  const inputs = prefill.inputs.filter((i) => !isStart(i))
  const tokens = inputs.filter((i) => i.dtype === 'i32' && i.shape.some((d) => symbolsOf(d).has(T)))
  const logits = prefill.outputs.filter((o) => o.dtype === 'f32')
  const rest = [...inputs.filter((i) => i !== tokens[0]), ...first.filter((i) => !isStart(i))]
  const others = rest.filter((p, i) => p.name !== tokens[0]?.name && rest.findIndex((q) => q.name === p.name) === i)
  const perCall = inputs.filter((i) => i !== tokens[0] && !i.optional)
  if (
    tokens.length !== 1 ||
    logits.length !== 1 ||
    perCall.length > 0 ||
    others.some((o) => optionNames.includes(o.name))
  )
    return undefined
  return {
    ids: tokens[0].name,
    logits: logits[0].name,
    others,
    ...(start ? { start: { ...start, once: !prefill.inputs.includes(start) } } : {}),
  }
}

const withRows = (module: Module): boolean => module.sequence?.batch !== undefined

/** Pieces of the runtime; `target` is the folder of that which differs. */
export function generationPieces(module: Module, level: GenerationLevel, target: string, draws = false): string[] {
  if (level === 'none' || !generationOf(module)) return []
  const full = level === 'full' ? ['processors', 'stream', 'text'] : []
  const rows = full.length > 0 && withRows(module)
  const pieces = ['sampling', 'generate', ...full, ...(rows ? ['batch', 'beams'] : [])]
  return [
    ...pieces.map((n) => `runtime/${n}.ts`),
    ...(draws ? [`${target}/runtime/draw.ts`] : []),
    ...(rows ? [`${target}/runtime/reorder.ts`] : []),
  ]
}

/** Members of the interface `Model`. */
export function generationTypes(module: Module, level: GenerationLevel): string[] {
  const generation = generationOf(module)
  if (!generation || level === 'none') return []
  const { others } = generation
  const pick = (list: readonly Port[], around: (pick: string) => string): string =>
    list.length === 0 ? '' : ` & ${around(`Pick<SequenceInputs, ${list.map((o) => quote(o.name)).join(' | ')}>`)}`
  // What only the first call takes is optional there.
  const also =
    pick(others.filter((o) => !o.optional), (pick) => `Required<${pick}>`) + pick(others.filter((o) => o.optional), (pick) => pick) // prettier-ignore
  const options = (type: string, required = others.some((o) => !o.optional)): string =>
    `options${required ? '' : '?'}: ${type}${also}`
  const all = 'GenerateOptions & LogitsOptions & StreamOptions'
  const lines = [
    ...docComment(['Tokens after the given ones, as they are drawn. Starts anew.']),
    `generate(ids: ArrayLike<number>, ${options(level === 'basic' ? 'GenerateOptions' : all)}): AsyncGenerator<number, void>`,
  ]
  if (level === 'basic') return lines
  lines.push(
    ...docComment(['The text of those tokens, in pieces, up to a stop string.']),
    `generateText(ids: ArrayLike<number>, ${options(`${all} & TextOptions`, true)}): AsyncGenerator<string, void>`,
  )
  if (!withRows(module)) return lines
  return [
    ...lines,
    ...docComment(['Several prompts side by side: the next token of each row, none for rows that have ended.']),
    `generateBatch(prompts: readonly ArrayLike<number>[], ${options('BatchOptions')}): AsyncGenerator<(number | undefined)[], void>`,
    ...docComment(['Beam search: the likeliest sequences it finds, best first.']),
    `generateBeams(ids: ArrayLike<number>, ${options('BeamOptions')}): Promise<Beam[]>`,
  ]
}

/**
 * Statements before the methods of the model, and those methods. `reorder` is a call of the target's runtime, `rows` being the rows; `draws`:
 * whether that runtime can draw ids itself.
 */
export function generationMethods(
  module: Module,
  level: GenerationLevel,
  p: Printer,
  reorder: (batch: string) => string,
  draws = false,
): { readonly before: readonly string[]; readonly methods: readonly string[] } {
  const generation = generationOf(module)
  if (!generation || level === 'none') return { before: [], methods: [] }
  const { ids, logits, others, start } = generation
  const { max, batch } = module.sequence!
  const flat = programOf(module, 'prefill')!.inputs.some((i) => i.name === ids && i.shape.length === 1)
  const optional = others.length > 0 && others.every((o) => o.optional)
  const once = others.map((o) => `${property(o.name)}: ${access('options', o.name)}`).join(', ')
  /** The inputs of a call with `tokens`. */
  const inputs = (rows: string, starts: string | undefined): string => {
    const shape = rows === '1' ? '[1, tokens.length]' : `[${rows}, tokens.length / ${rows}]`
    const given = start && starts !== undefined ? `${property(start.name)}: ${starts}` : undefined
    const early = [...(given !== undefined && start!.once ? [given] : []), ...(once === '' ? [] : [once])].join(', ')
    const fields = [
      `${property(ids)}: ${flat ? 'tokens' : `{ data: tokens, shape: ${shape} }`}`,
      ...(given !== undefined && !start!.once ? [given] : []),
      ...(early === '' ? [] : [`...(session.past === 0 && { ${early} })`]),
    ]
    return `{ ${fields.join(', ')} }`
  }
  const results = (given: string): string =>
    access(`(await session.advance(session.past > 0 ? 'step' : 'prefill', ${given}))`, logits)
  const inputsAlone = inputs('1', start?.optional === false ? '[0]' : undefined)
  const tokensType = p.type('ArrayLike<number>')
  const given = draws ? [`  const given = (tokens${tokensType}) => (${inputsAlone})`] : []
  const alone = [
    '  session.reset()',
    ...given,
    `  const next = async (tokens${tokensType}) => {`,
    `    const { data, shape } = ${results(draws ? 'given(tokens)' : inputsAlone)}`,
    `    return data.slice(-shape[shape.length - 1])${p.language === 'ts' ? ' as Float32Array' : ''}`,
    '  }',
  ]
  /** An expression for the tokens, drawn on the device where it can. */
  const drawn = (options: string): string => {
    const tokens = `generateTokens(next, ids, ${options}, ${max})`
    return draws
      ? `drawsOnDevice(session, ${options}) ? drawTokens(session, given, ids, ${options}, ${max}) : ${tokens}`
      : tokens
  }
  if (level === 'basic')
    return {
      before: [],
      methods: [`generate(ids, options${optional ? ' = {}' : ''}) {`, ...alone, `  return ${drawn('options')}`, '},'],
    }

  const parameter = `options${others.length === 0 || optional ? ' = {}' : ''}`
  const rows = batch !== undefined && withRows(module)
  const side = [
    `const rowsOf = (options${p.type(others.length === 0 ? 'object' : 'Partial<SequenceInputs>')})${p.type('Rows')} => {`,
    '  session.reset()',
    '  return {',
    `    next: async (tokens, rows, start) => lastLogits(${results(inputs('rows', 'start'))}, rows),`,
    `    reorder: (rows) => ${reorder(quote(batch?.name ?? ''))},`,
    `    room: ${max},`,
    `    padded: ${start !== undefined},`,
    '  }',
    '}',
  ]
  const before = [
    ...(rows ? side : []),
    `const generate${p.type("Model['generate']")} = (ids, ${parameter}) => {`,
    ...(rows
      ? [
          '  const { next: all } = rowsOf(options)',
          ...given,
          `  const next = (tokens${tokensType}) => all(tokens, 1, [0])`,
        ]
      : alone),
    ...(draws ? ['  const own = constrained(options, ids.length)'] : []),
    `  const tokens = ${drawn(draws ? 'own' : 'constrained(options, ids.length)')}`,
    '  return streamed(tokens, ids, options)',
    '}',
  ]
  const methods = ['generate,', 'generateText: (ids, options) => textOf(generate(ids, options), options),']
  if (rows)
    methods.push(
      `generateBatch: (prompts, ${parameter}) => generateRows(rowsOf(options), prompts, options),`,
      `generateBeams: (ids, ${parameter}) => beamSearch(rowsOf(options), ids, options),`,
    )
  return { before, methods }
}
