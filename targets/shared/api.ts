/** The typed surface of an emitted module: inputs, outputs and the model. */
import type { Module, Port } from '../../src/program/types.ts'
import { print } from '../../src/types/ix.ts'
import { generationTypes, programOf, type GenerationLevel } from './generation.ts'
import { docComment, indent, property } from './text.ts'

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
export function apiLines(
  module: Module,
  options: { readonly selftest: boolean; readonly generation: GenerationLevel },
): string[] {
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
  methods.push(...generationTypes(module, options.generation))
  if (options.selftest)
    methods.push(
      '/** Runs each kernel on small made-up inputs and compares with stored results; throws where one is off. */',
      'selftest(): Promise<SelftestReport>',
    )
  methods.push('/** Frees the weights and all state. */', 'dispose(): void')
  lines.push(...record('Model', methods))
  return lines
}
