/** Makes what a workload needs, once: the checkpoint, the peers' copy of it in their layout, their graphs, our emitted modules. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { contentsOf } from '../../src/target.ts'
import { deviceProfiles } from '../../src/program/profiles.ts'
import type { Arithmetic, Target, WeightFormat } from '../../src/target.ts'
import { randomWeights } from '../../src/weights/index.ts'
import type { TensorToWrite } from '../../src/weights/index.ts'
import { typescript } from '../../targets/typescript/index.ts'
import { entriesOf, tensorsOf, transposed, writeOnce } from './checkpoint.ts'
import { onnxGraph } from './onnx/graph.ts'
import { kernels } from './onnx/kernels.ts'
import type { Variants } from './onnx/kernels.ts'
import { bertVariants, gpt2Variants, halfVariants, quantisedVariants } from './onnx/transformers.ts'
import { cache } from './places.ts'
import { forPeers, lookup } from './quantise.ts'
import { bert, gpt2, small } from './workloads.ts'
import type { Bits, Workload } from './workloads.ts'

export const checkpointOf = (w: Workload): string => join(cache, `${w.checkpoint}.safetensors`)
/** The same weights as the peers want them: matrices as [in, out], queries, keys and values side by side. */
export const peersCheckpointOf = (w: Workload): string =>
  'gpt2,encoder,bert'.includes(w.graph) ? join(cache, `${w.checkpoint}-peers.safetensors`) : checkpointOf(w)
export const formatOf = ({ bits }: Workload): WeightFormat =>
  bits === undefined ? 'f32' : bits === 16 ? 'f16' : `int${bits}`
/** What ours loads: the checkpoint, or what `tfmc quantize` makes of it. */
export const weightsOf = (w: Workload): string =>
  w.bits === undefined ? checkpointOf(w) : join(cache, `${w.checkpoint}-${formatOf(w)}.safetensors`)
const quantisedForPeersOf = (w: Workload): string => join(cache, `${w.checkpoint}-${formatOf(w)}-peers.safetensors`)
/** Files that the graphs of a workload refer to. */
export const externalFilesOf = (w: Workload): string[] => [
  ...new Set(
    w.bits === 16
      ? [quantisedForPeersOf(w)]
      : [checkpointOf(w), peersCheckpointOf(w), ...(w.bits ? [quantisedForPeersOf(w)] : [])],
  ),
]
/** Path of a graph; beside it lies `<path>.json`, the list of the checkpoints it refers to. */
export const graphPath = (w: Workload, variant: string): string =>
  join(cache, `${w.id}${small ? '-small' : ''}.${variant.replace(/\W+/g, '-')}.onnx`)

/** The ONNX graphs that are tried for a workload; the first is the reference. */
export function variantsOf(w: Workload): Variants {
  if (w.graph === 'bert') return bertVariants
  if (w.graph !== 'gpt2') return kernels[w.graph]
  return w.bits === undefined ? gpt2Variants : w.bits === 16 ? halfVariants : quantisedVariants
}

const compiling = (w: Workload, target: Target, weights: WeightFormat = 'f32', arithmetic: Arithmetic = 'f32') => {
  const path = join(packageRoot(), w.model)
  const kept = weights === 'f32' ? {} : { weights: () => weights, arithmetic }
  return compile(sourceFile(w.model, readFileSync(path, 'utf8')), target, { set: w.set, ...kept })
}

/** Checkpoints of a workload. */
export function prepareWeights(w: Workload): void {
  writeOnce(checkpointOf(w), () => randomWeights(compiling(w, typescript).lowered.module.params, 1))
  const tensor = tensorsOf(checkpointOf(w))
  const turned = (from: string, to = from): TensorToWrite => {
    const { shape } = tensor(from)
    return { name: to, shape: [shape[1], shape[0]], data: () => transposed(tensor(from).data, shape[0], shape[1]) }
  }
  const same = (name: string): TensorToWrite => ({ name, shape: tensor(name).shape, data: () => tensor(name).data })
  if (w.graph === 'gpt2') writeOnce(peersCheckpointOf(w), () => [turned('wte.weight', 'wte.transposed')])
  if (w.graph === 'encoder')
    writeOnce(peersCheckpointOf(w), () => [
      turned('self_attn.in_proj_weight', 'self_attn.in_proj.weight'),
      { ...same('self_attn.in_proj_bias'), name: 'self_attn.in_proj.bias' },
      ...['self_attn.out_proj', 'linear1', 'linear2'].flatMap((name) => [
        turned(`${name}.weight`),
        same(`${name}.bias`),
      ]),
      ...['norm1', 'norm2'].flatMap((name) => [same(`${name}.weight`), same(`${name}.bias`)]),
    ])
  if (w.graph === 'bert') writeOnce(peersCheckpointOf(w), () => bertForPeers(tensor, turned, same))
  const { bits } = w
  if (bits === undefined) return
  const path = weightsOf(w)
  if (!existsSync(path)) {
    const cli = join(packageRoot(), 'dist/src/cli/main.js')
    const args = [
      'quantize',
      join(packageRoot(), w.model),
      '--weights',
      checkpointOf(w),
      '--no-config',
      ...Object.entries(w.set).flatMap(([name, x]) => ['--set', `${name}=${x}`]),
      '--to',
      formatOf(w),
      '-o',
      path,
    ]
    execFileSync(process.execPath, [cli, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  if (bits === 16) {
    const names = [...entriesOf(checkpointOf(w)).keys()]
    const half = (t: TensorToWrite): TensorToWrite => ({ ...t, dtype: 'F16' })
    writeOnce(quantisedForPeersOf(w), () => [...names.map(same), turned('wte.weight', 'wte.transposed')].map(half))
    return
  }
  writeOnce(quantisedForPeersOf(w), () => {
    const { d, ff, layers, vocab } = gpt2
    const dense = (name: string, rows: number, columns: number) =>
      forPeers(path, `${name}.weight`, bits, { rows, columns })
    return [
      ...Array.from({ length: layers }, (_, i) => [
        ...dense(`h.${i}.attn.c_attn`, d, 3 * d),
        ...dense(`h.${i}.attn.c_proj`, d, d),
        ...dense(`h.${i}.mlp.c_fc`, d, ff),
        ...dense(`h.${i}.mlp.c_proj`, ff, d),
      ]).flat(),
      lookup(path, 'wte.weight', bits, vocab, d),
      ...forPeers(path, 'wte.weight', bits, { rows: d, columns: vocab, turned: true }),
    ]
  })
}

function bertForPeers(
  tensor: ReturnType<typeof tensorsOf>,
  turned: (name: string) => TensorToWrite,
  same: (name: string) => TensorToWrite,
): TensorToWrite[] {
  const { d, layers } = bert
  const dense = (name: string) => [turned(`${name}.weight`), same(`${name}.bias`)]
  const norm = (name: string) => [same(`${name}.weight`), same(`${name}.bias`)]
  const merged = (name: string): TensorToWrite[] => {
    const parts = (kind: string) => ['query', 'key', 'value'].map((part) => tensor(`${name}.${part}.${kind}`).data)
    const joined = (arrays: readonly Float32Array[]) => {
      const all = new Float32Array(arrays.reduce((sum, a) => sum + a.length, 0))
      arrays.reduce((at, a) => (all.set(a, at), at + a.length), 0)
      return all
    }
    return [
      { name: `${name}.weight`, shape: [d, 3 * d], data: () => transposed(joined(parts('weight')), 3 * d, d) },
      { name: `${name}.bias`, shape: [3 * d], data: () => joined(parts('bias')) },
    ]
  }
  return [
    ...['word', 'position', 'token_type'].map((name) => same(`embeddings.${name}_embeddings.weight`)),
    ...norm('embeddings.LayerNorm'),
    ...Array.from({ length: layers }, (_, i) => {
      const at = `encoder.layer.${i}`
      return [
        ...merged(`${at}.attention.self`),
        ...['attention.output', 'output'].flatMap((part) => [
          ...dense(`${at}.${part}.dense`),
          ...norm(`${at}.${part}.LayerNorm`),
        ]),
        ...dense(`${at}.intermediate.dense`),
      ]
    }).flat(),
    ...dense('pooler.dense'),
  ]
}

/** The keys and values that a step finds (with weights in f16 those of f32): f32, for each layer first keys, then values, [heads, past, width]. */
export const pastPath = (past: number, bits: Bits | undefined): string =>
  join(cache, `gpt2${small ? '-small' : ''}${bits === undefined || bits === 16 ? '' : `-int${bits}`}-past-${past}.bin`)

/** The ONNX graphs of a workload. */
export async function prepareGraphs(w: Workload): Promise<void> {
  for (const [variant, build] of Object.entries(variantsOf(w))) {
    const graph = onnxGraph(w.id, externalFilesOf(w))
    build(graph, w)
    writeFileSync(graphPath(w, variant), await graph.encode())
    writeFileSync(`${graphPath(w, variant)}.json`, JSON.stringify(graph.files()))
  }
}

export interface ModuleOptions {
  /** Of WebAssembly: kernels for wide vectors. */
  readonly wide?: boolean
  /** Of WGSL: what products of many rows are computed in, and whether norms are kernels of their own in a step. */
  readonly arithmetic?: Arithmetic
  readonly apart?: boolean
}
/** Emits a workload's model with a target, WGSL for large devices; gives the path of the module to import and the bytes of all that it needs at run time. */
export async function prepareModule(
  w: Workload,
  given: Target,
  { wide = false, arithmetic = 'f32', apart = false }: ModuleOptions = {},
): Promise<{ readonly path: string; readonly bytes: number }> {
  const weights = formatOf(w)
  const target = apart ? { ...given, prologues: false } : given
  const compiled = compiling(w, target, weights, arithmetic)
  const ways = [wide && 'wide', arithmetic === 'f16' && 'in-f16', apart && 'apart'].filter((x) => x !== false)
  const folder = join(cache, 'emitted', [w.checkpoint, target.name, weights, ...ways].join('-'))
  mkdirSync(folder, { recursive: true })
  const files = await target.emit(compiled.lowered.module, {
    language: 'js',
    weights,
    wide,
    profile: deviceProfiles.desktop,
  })
  for (const file of files) {
    const path = join(folder, file.path)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(`${path}.new`, contentsOf(file))
    renameSync(`${path}.new`, path)
  }
  const main = files.find((f) => f.path.endsWith('.js') && !f.path.endsWith('.worker.js'))
  if (main === undefined) throw new Error(`internal: ${target.name} emits no module`)
  const needed = files.filter((f) => /\.(js|wasm)$/.test(f.path) && !f.path.endsWith('.relaxed.wasm'))
  const bytes = needed.reduce((sum, f) => sum + Buffer.byteLength(contentsOf(f)), 0)
  return { path: join(folder, main.path), bytes }
}
