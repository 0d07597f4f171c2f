/** Builds ONNX graphs whose weights lie in a safetensors file beside them (external data), so that every runtime reads the same bytes. */
import { basename } from 'node:path'
import { entriesOf } from '../checkpoint.ts'
import type { Entry } from '../checkpoint.ts'
import { encodeModel } from './proto.ts'

const elementTypes = { f32: 1, u8: 2, i32: 6, i64: 7, bool: 9, f16: 10 } as const
const stored: Readonly<Record<string, ElementType>> = { U8: 'u8', F16: 'f16' }
type ElementType = keyof typeof elementTypes
type Dim = number | string
type Attribute = number | string | readonly number[] | { readonly float: number }

export interface OnnxGraph {
  /** Adds a node and gives the name of its only result. An empty input name leaves an optional input out. */
  readonly op: (type: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>) => string
  /** The same with several results; an optional one that is not wanted is `false`, and gets an empty name. */
  readonly ops: (
    type: string,
    inputs: readonly string[],
    results: readonly boolean[],
    attributes?: Readonly<Record<string, Attribute>>,
  ) => string[]
  /** A tensor of the checkpoint, by its name there. */
  readonly weight: (name: string) => string
  readonly ints: (values: readonly number[], shape?: readonly number[]) => string
  readonly int32: (values: readonly number[], shape?: readonly number[]) => string
  readonly float: (value: number) => string
  readonly input: (name: string, type: ElementType, shape: readonly Dim[]) => string
  /** Names a value as a result of the graph. */
  readonly output: (name: string, value: string, type: ElementType, shape: readonly Dim[]) => void
  /** Names of the checkpoints whose tensors are used. */
  readonly files: () => string[]
  readonly encode: () => Promise<Uint8Array>
}

/** Ops of ONNX Runtime's own domain; others are of ONNX itself unless `com.microsoft.` stands before their name. */
const contributed = new Set([
  'Attention', 'MultiHeadAttention', 'GroupQueryAttention', 'SkipLayerNormalization', 'FastGelu', 'BiasGelu', 'FusedMatMul', 'MatMulNBits',
]) // prettier-ignore

/** An empty graph over the tensors of one or more safetensors files. */
export function onnxGraph(name: string, checkpoints: readonly string[]): OnnxGraph {
  const places = new Map<string, { file: string; entry: Entry }>()
  for (const path of checkpoints)
    for (const [tensor, entry] of entriesOf(path)) places.set(tensor, { file: basename(path), entry })
  const used = new Set<string>()
  const nodes: object[] = []
  const initializers = new Map<string, object>()
  const inputs: object[] = []
  const outputs: object[] = []
  let count = 0

  const attribute = (key: string, value: Attribute): object => {
    if (typeof value === 'string') return { name: key, s: Buffer.from(value), type: 3 }
    if (typeof value === 'number') return { name: key, i: value, type: 2 }
    return 'float' in value ? { name: key, f: value.float, type: 1 } : { name: key, ints: value, type: 7 }
  }
  const ops: OnnxGraph['ops'] = (full, from, results, attributes = {}) => {
    const type = full.replace('com.microsoft.', '')
    const id = `${type}_${count++}`
    const output = results.map((wanted, i) => (wanted ? `${id}_${i}` : ''))
    nodes.push({
      input: from, output, name: id, op_type: type, domain: contributed.has(type) || type !== full ? 'com.microsoft' : '',
      attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    }) // prettier-ignore
    return output
  }
  const typed = (id: string, type: ElementType, shape: readonly Dim[]): object => ({
    name: id,
    type: {
      tensor_type: {
        elem_type: elementTypes[type],
        shape: { dim: shape.map((d) => (typeof d === 'number' ? { dim_value: d } : { dim_param: d })) },
      },
    },
  })
  const constant = (type: ElementType, shape: readonly number[], raw: ArrayBufferView): string => {
    const id = `const_${count++}`
    const bytes = new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)
    initializers.set(id, { name: id, dims: shape, data_type: elementTypes[type], raw_data: bytes })
    return id
  }

  return {
    op: (type, from, attributes) => ops(type, from, [true], attributes)[0],
    ops,
    weight: (tensor) => {
      const place = places.get(tensor)
      if (place === undefined) throw new Error(`internal: no checkpoint has the tensor ${tensor}`)
      const { file, entry } = place
      used.add(file)
      const external = { location: file, offset: `${entry.offset}`, length: `${entry.length}` }
      initializers.set(tensor, {
        name: tensor, dims: entry.shape, data_type: elementTypes[stored[entry.dtype] ?? 'f32'], data_location: 1,
        external_data: Object.entries(external).map(([key, value]) => ({ key, value })),
      }) // prettier-ignore
      return tensor
    },
    ints: (values, shape = [values.length]) => constant('i64', shape, BigInt64Array.from(values, BigInt)),
    int32: (values, shape = [values.length]) => constant('i32', shape, Int32Array.from(values)),
    float: (value) => constant('f32', [], Float32Array.of(value)),
    input: (id, type, shape) => (inputs.push(typed(id, type, shape)), id),
    output: (id, value, type, shape) => {
      nodes.push({ input: [value], output: [id], name: `out_${id}`, op_type: 'Identity' })
      outputs.push(typed(id, type, shape))
    },
    files: () => [...used],
    encode: () =>
      encodeModel({
        ir_version: 9,
        producer_name: 'tfm-bench-peers',
        opset_import: [
          { domain: '', version: 20 },
          { domain: 'com.microsoft', version: 1 },
        ],
        graph: { name, node: nodes, initializer: [...initializers.values()], input: inputs, output: outputs },
      }),
  }
}
