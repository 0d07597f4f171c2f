/** A checkpoint written anew with its matrices in fewer bits, tensor by tensor: never more than one is held. */
import type { FileHandle } from 'node:fs/promises'
import { modelName, type WeightRules, type WeightSpec } from '../../targets/runtime/weights.ts'
import { blockSize } from '../../targets/runtime/quantised.ts'
import { toFloat32 } from '../../targets/runtime/safetensors.ts'
import { fail, say } from '../diagnostics/index.ts'
import { isStorageDType, storageBytes, type StorageDType } from '../types/dtype.ts'
import { formatOf, readBytes, readStored, type StoredTensor, type WeightsFile } from './open.ts'
import type { QuantisationError, QuantisedFormat } from './quantise.ts'
import { errorOf, fitsAxis, quantise, quantisedFormats } from './quantise.ts'
import { toBytes } from './values.ts'
import { safetensorsHeader } from './write.ts'

/** What matrices can be written as. */
export const reducedFormats = [...quantisedFormats, 'f16', 'bf16'] as const
export type ReducedFormat = (typeof reducedFormats)[number]

const isQuantised = (format: ReducedFormat): format is QuantisedFormat =>
  (quantisedFormats as readonly string[]).includes(format)

export interface PlannedTensor {
  readonly stored: StoredTensor
  /** Absent: its bytes are copied. */
  readonly to?: { readonly format: ReducedFormat; readonly axis: number }
}

export interface PlanOptions {
  readonly params: readonly WeightSpec[]
  readonly rules: WeightRules
  /** The axis that contractions sum over, by parameter; only those tensors change. */
  readonly axes: ReadonlyMap<string, number>
  readonly to: ReducedFormat
  /** Tensors, by the file's or the model's names (`*` stays within a segment, `**` crosses dots), that take another format, or none. */
  readonly keep: readonly { readonly glob: string; readonly as?: ReducedFormat }[]
}

/**
 * What becomes of each tensor of a file; those that the model ignores are left out.
 * @throws DiagnosticError (TFM1904, TFM1905, TFM1919)
 */
export function planQuantised(file: WeightsFile, { params, rules, axes, to, keep }: PlanOptions): PlannedTensor[] {
  const specs = new Map(params.map((p) => [p.name, p]))
  const used = new Set<string>()
  const planned: PlannedTensor[] = []
  for (const stored of file.tensors.values()) {
    const name = modelName(stored.name, rules)
    if (name === undefined) continue
    const spec = specs.get(name)
    const unfit = !spec ? 'the model has no such parameter' : String(spec.shape) === String(stored.shape) ? undefined : `[${stored.shape}], the model has [${spec.shape}]` // prettier-ignore
    if (unfit) fail(say.weightsMismatch(undefined, `${stored.name}: ${unfit}; tfmc info compares a model with a file`))
    if (stored.quantised)
      fail(say.cannotQuantise(undefined, `${stored.name} is ${formatOf(stored)} already`, 'start from the floats that it was made of')) // prettier-ignore
    if (!isStorageDType(stored.dtype)) fail(say.weightsDtype(undefined, stored.name, `has dtype ${stored.dtype}`))
    const kept = keep.find(({ glob }) => modelName(name, { ignore: [glob] }) === undefined || modelName(stored.name, { ignore: [glob] }) === undefined) // prettier-ignore
    if (kept) used.add(kept.glob)
    const axis = axes.get(name)
    const format = kept ? kept.as : to
    const float = stored.dtype === 'BF16' || stored.dtype.startsWith('F')
    const chosen = axis !== undefined && stored.shape.length > 1 && float ? fitting(format, stored.shape[axis]) : undefined // prettier-ignore
    planned.push(chosen ? { stored, to: { format: chosen, axis: axis! } } : { stored })
  }
  const idle = keep.find(({ glob }) => !used.has(glob))
  if (idle) fail(say.cannotQuantise(undefined, `no tensor of the model is called ${idle.glob}`))
  if (!planned.some((p) => p.to))
    fail(say.cannotQuantise(undefined, `no tensor can become ${to}: none of those that are summed over has ${blockSize} rows or more`)) // prettier-ignore
  return planned
}

/** `format`, or for 4 bits and an odd number of rows 8; undefined where the axis is too short. */
function fitting(format: ReducedFormat | undefined, extent: number): ReducedFormat | undefined {
  if (!format || !isQuantised(format) || fitsAxis(format, extent)) return format
  const wider = format.replace('int4', 'int8') as QuantisedFormat
  return fitsAxis(wider, extent) ? wider : undefined
}

export interface TensorReport extends Partial<QuantisationError> {
  readonly name: string
  readonly shape: readonly number[]
  /** As it was and as it is. */
  readonly from: string
  readonly to: string
  readonly bytes: number
  /** Sums of squares, for errors of several tensors together. */
  readonly power: number
  readonly noise: number
}

interface Part {
  readonly name: string
  readonly dtype: StorageDType
  readonly shape: readonly number[]
}

/** The stored tensors of one tensor. */
function partsOf({ stored, to }: PlannedTensor): readonly Part[] {
  const { name, shape } = stored
  if (!to) return [{ name, dtype: stored.dtype as StorageDType, shape }]
  if (!isQuantised(to.format)) return [{ name, dtype: to.format === 'f16' ? 'F16' : 'BF16', shape }]
  const four = to.format.startsWith('int4')
  const asymmetric = to.format.endsWith('asym')
  const blocks = shape.with(to.axis, Math.ceil(shape[to.axis] / blockSize))
  return [
    { name: `${name}:scale`, dtype: 'F16', shape: blocks },
    ...(asymmetric ? [{ name: `${name}:zero`, dtype: 'U8', shape: blocks } as const] : []),
    four
      ? { name: `${name}:q4`, dtype: 'U8', shape: shape.with(to.axis, shape[to.axis] / 2) }
      : { name: `${name}:q8`, dtype: asymmetric ? 'U8' : 'I8', shape },
  ]
}

/**
 * Writes the file; wide dtypes come first, so that every tensor is aligned. `report` hears of each tensor before it is worked on.
 * @throws DiagnosticError (TFM1904, TFM1919)
 */
export async function writeQuantised(
  file: FileHandle,
  planned: readonly PlannedTensor[],
  metadata: Readonly<Record<string, string>>,
  report: (done: number, total: number, tensor: string) => void,
  signal?: AbortSignal,
): Promise<TensorReport[]> {
  const parts = planned.flatMap(partsOf)
  const ordered = [...parts].sort((a, b) => storageBytes(b.dtype) - storageBytes(a.dtype))
  const { header, places } = safetensorsHeader(ordered, metadata)
  await file.write(header, 0, header.length, 0)
  const put = async (name: string, bytes: Uint8Array): Promise<void> => {
    const start = header.length + places.get(name)!
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, at, Math.min(bytes.length - at, 1 << 28), start + at)
      at += bytesWritten
    }
  }
  const total = planned.reduce((sum, p) => sum + p.stored.size, 0)
  const reports: TensorReport[] = []
  let done = 0
  for (const plan of planned) {
    signal?.throwIfAborted()
    const { stored, to } = plan
    report(done, total, stored.name)
    done += stored.size
    const size = partsOf(plan).reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, storageBytes(p.dtype)), 0)
    const common = { name: stored.name, shape: stored.shape, from: formatOf(stored), bytes: size }
    if (!to) {
      await put(stored.name, await readBytes(stored))
      reports.push({ ...common, to: common.from, power: 0, noise: 0 })
      continue
    }
    const before = Float32Array.from((await readStored(stored)).data)
    const values = await writeTensor(stored, before, to, put)
    const { max, relative, snr } = errorOf(before, values)
    const power = before.reduce((sum, x) => sum + x * x, 0)
    reports.push({ ...common, to: to.format, max, relative, snr, power, noise: relative * relative * power })
    // The event loop turns: an interrupt is heard.
    await new Promise((resolve) => setImmediate(resolve))
  }
  return reports
}

/** Gives what has been stored as numbers. */
async function writeTensor(
  { name, shape }: StoredTensor,
  before: Float32Array,
  { format, axis }: NonNullable<PlannedTensor['to']>,
  put: (name: string, bytes: Uint8Array) => Promise<void>,
): Promise<Float32Array> {
  let faults = 0
  for (let i = 0; i < before.length; i++) if (before[i] - before[i] !== 0) faults++
  if (faults > 0)
    fail(say.cannotQuantise(undefined, `${name}: ${faults} of ${before.length} weights are NaN or infinite`, `--keep "${name}" leaves it as it is`)) // prettier-ignore
  if (!isQuantised(format)) {
    const bytes = toBytes(format === 'f16' ? 'F16' : 'BF16', before)
    await put(name, bytes)
    return toFloat32(format === 'f16' ? 'F16' : 'BF16', bytes)!
  }
  const made = quantise(before, shape, axis, format)
  await put(`${name}:scale`, new Uint8Array(made.scales.buffer))
  if (made.zeros) await put(`${name}:zero`, made.zeros)
  await put(`${name}:q${made.bits}`, made.levels)
  return made.values
}
