/** The typed surface of an emitted module: inputs, outputs and the model. */
import type { Module, Port, Program, ProgramName } from '../../src/program/types.ts'
import { print } from '../../src/types/ix.ts'
import { docComment, indent, property, quote } from './text.ts'

/** What `generate` needs: one i32 input on the sequence axis that goes in, and floating-point results per position. */
export interface Generation {
  readonly ids: string
  readonly logits: string
  /** Inputs that the first call takes besides the tokens. */
  readonly others: readonly Port[]
}
const optionNames = ['maxTokens', 'temperature', 'topK', 'topP', 'seed', 'stop', 'signal']

export const programOf = (module: Module, name: ProgramName): Program | undefined =>
  module.programs.find((p) => p.name === name)

export function generationOf(module: Module): Generation | undefined {
  const prefill = programOf(module, 'prefill')
  if (prefill === undefined || programOf(module, 'step') === undefined) return undefined
  const tokens = prefill.inputs.filter((i) => i.dtype === 'i32')
  const logits = prefill.outputs.filter((o) => o.dtype === 'f32')
  const rest = [...prefill.inputs.filter((i) => i !== tokens[0]), ...(programOf(module, 'prepare')?.inputs ?? [])]
  const others = rest.filter((p, i) => p.name !== tokens[0]?.name && rest.findIndex((q) => q.name === p.name) === i)
  const perCall = prefill.inputs.filter((i) => i !== tokens[0] && !i.optional)
  if (
    tokens.length !== 1 ||
    logits.length !== 1 ||
    perCall.length > 0 ||
    others.some((o) => optionNames.includes(o.name))
  )
    return undefined
  return { ids: tokens[0].name, logits: logits[0].name, others }
}

const shapeOf = (port: Port): string => `${port.dtype}[${port.shape.map((x) => print(x)).join(', ')}]`

function portLines(ports: readonly Port[], type: (p: Port) => string, optional: (p: Port) => boolean): string[] {
  return ports.flatMap((port) => [
    ...docComment([shapeOf(port), ...(port.doc === undefined ? [] : [port.doc])]),
    `readonly ${property(port.name)}${optional(port) ? '?' : ''}: ${type(port)}`,
  ])
}
const record = (name: string, lines: readonly string[]): string[] => [
  `export interface ${name} {`,
  ...indent(lines),
  '}',
]
const given = (): string => 'TensorLike'
const result = (p: Port): string => (p.dtype === 'f32' ? 'Tensor' : 'Tensor<Int32Array>')

/** Interfaces, as they stand in the `.ts` and in the `.d.ts`. */
export function apiLines(module: Module, options: { readonly selftest: boolean }): string[] {
  const run = programOf(module, 'run')
  const prefill = programOf(module, 'prefill')
  const prepare = programOf(module, 'prepare')
  const lines: string[] = []
  const methods: string[] = []
  if (run) {
    lines.push(
      ...record(
        'Inputs',
        portLines(run.inputs, given, (p) => p.optional),
      ),
      ...record(
        'Outputs',
        portLines(run.outputs, result, () => false),
      ),
    )
    methods.push('/** The whole model, without state. */', 'run(inputs: Inputs): Promise<Outputs>')
  }
  if (prefill) {
    const first = (prepare?.inputs ?? []).filter((p) => !prefill.inputs.some((q) => q.name === p.name))
    const optional = new Set(first)
    const alias = (name: string, ofRun: string, ports: readonly string[]): string[] => {
      const made = record(name, ports)
      // What `run` takes or gives already is called by a second name.
      return lines.join('\n').includes(record(ofRun, ports).join('\n')) ? [`export type ${name} = ${ofRun}`] : made
    }
    lines.push(
      ...alias(
        'SequenceInputs',
        'Inputs',
        portLines([...prefill.inputs, ...first], given, (p) => p.optional || optional.has(p)),
      ),
      ...alias(
        'SequenceOutputs',
        'Outputs',
        portLines(prefill.outputs, result, () => false),
      ),
    )
    const once = first.length > 0 ? ` The first call also takes ${first.map((p) => p.name).join(', ')}.` : ''
    methods.push(
      '/** Positions kept by `prefill` and `step` so far. */', 'readonly past: number',
      ...docComment([`Any number of positions after the past ones.${once}`]), 'prefill(inputs: SequenceInputs): Promise<SequenceOutputs>',
    ) // prettier-ignore
    if (programOf(module, 'step'))
      methods.push('/** One position after the past ones. */', 'step(inputs: SequenceInputs): Promise<SequenceOutputs>')
    methods.push('/** Forgets all positions. */', 'reset(): void')
  }
  const generation = generationOf(module)
  if (generation) {
    const required = generation.others.some((o) => !o.optional)
    const options =
      generation.others.length === 0
        ? 'GenerateOptions'
        : `GenerateOptions & Pick<SequenceInputs, ${generation.others.map((o) => quote(o.name)).join(' | ')}>`
    methods.push(
      ...docComment(['Tokens after the given ones, as they are drawn. Starts anew.']),
      `generate(ids: ArrayLike<number>, options${required ? '' : '?'}: ${options}): AsyncGenerator<number, void>`,
    )
  }
  if (options.selftest)
    methods.push(
      '/** Runs each kernel on small made-up inputs and compares with stored results; throws where one is off. */',
      'selftest(): Promise<SelftestReport>',
    )
  methods.push('/** Frees the weights and all state. */', 'dispose(): void')
  lines.push(...record('Model', methods))
  return lines
}
