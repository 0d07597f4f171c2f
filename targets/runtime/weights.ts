import { TfmError } from './errors.ts'
import { toFloat32, type TensorInfo } from './safetensors.ts'
import { readTensors, type ReadInto, type ReadOptions, type WeightSource } from './source.ts'

/** A tensor of the model; `fallback` names the one to use where the checkpoint lacks it. */
export interface WeightSpec {
  name: string
  shape: readonly number[]
  fallback?: string
}

/** How names of a checkpoint become those of the model. */
export interface WeightRules {
  prefixes?: readonly { prefix: string; optional: boolean }[]
  /** `*` stays within a segment, `**` crosses dots. */
  ignore?: readonly string[]
  /** Whole segments. */
  rename?: readonly { from: string; to: string }[]
}

export interface LoadOptions extends ReadOptions {
  /** Weights that hold NaN or infinities; by default console.warn. */
  onWarning?: (warning: { code: string; message: string; tensor: string; count: number }) => void
}

/** The model's name for a stored tensor: undefined if ignored, '' if it lacks a required prefix. */
export function modelName(stored: string, rules: WeightRules): string | undefined {
  const literal = (text: string) => text.replace(/\W/g, '\\$&')
  let name = stored
  for (const { prefix, optional } of rules.prefixes ?? [])
    name = name.startsWith(prefix) ? name.slice(prefix.length) : optional ? name : ''
  for (const { from, to } of rules.rename ?? [])
    name = name.replace(new RegExp(`(?<=^|\\.)${literal(from)}(?=$|\\.)`, 'g'), () => to)
  const ignored = (glob: string) => {
    const pattern = literal(glob).replaceAll('\\*\\*', '.*').replaceAll('\\*', '[^.]*')
    return [stored, name].some((each) => new RegExp(`^${pattern}$`).test(each))
  }
  return rules.ignore?.some(ignored) ? undefined : name
}

/** The candidate that shares most of its start and end with `name`. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let most = 0.4
  for (const other of candidates) {
    const short = Math.min(name.length, other.length)
    let [start, end] = [0, 0]
    while (start < short && name[start] === other[start]) start++
    while (start + end < short && name.at(~end) === other.at(~end)) end++
    const alike = (start + end) / Math.max(name.length, other.length)
    if (alike > most) [best, most] = [other, alike]
  }
  return best
}

/**
 * Reads all of a tensor to where it belongs, as F32, and tells `strange` how many of its numbers are NaN or infinite; undefined for one that is
 * to be stored. Another tensor may be the same one if it is `shared`.
 */
export type ReadDirect = (
  spec: WeightSpec,
  read: ReadInto,
  strange: (count: number) => void,
  shared: boolean,
) => Promise<void> | undefined

/** Gives each spec's tensor to `store`, in file order; returns the specs that fell back, and to which. Reports all misfits at once. `read` knows the files. */
export async function loadWeights(
  source: WeightSource,
  specs: readonly WeightSpec[],
  rules: WeightRules,
  store: (spec: WeightSpec, data: Float32Array) => unknown,
  options: LoadOptions = {},
  read = readTensors,
  direct?: ReadDirect,
): Promise<Map<string, string>> {
  const byName = new Map(specs.map((spec) => [spec.name, spec]))
  const found = new Map<string, string>()
  const chosen = new Map<TensorInfo, WeightSpec>()
  const fallbacks = new Map<string, string>()
  const unused: string[] = []
  const problems: string[] = []
  let complete = false

  const report = (name: string, what: string, names: string[]) => {
    const near = problems.length < 20 && nearestName(name, names)
    problems.push(`${name}: ${what}${near ? `; did you mean ${near}?` : ''}`)
  }
  const finish = (file: string) => {
    const lacking = specs.filter(({ name }) => !found.has(name))
    for (const { name, shape, fallback } of lacking) {
      let use = fallback
      while (use && !found.has(use)) use = byName.get(use)?.fallback
      if (use) fallbacks.set(name, use)
      else report(name, `missing, expected [${shape}]`, unused)
    }
    const names = lacking.map(({ name }) => name)
    for (const name of unused) report(name, 'unused', names)
    if (!problems.length) return
    const more = problems.length - 20
    if (more > 0) problems.splice(20, more, `and ${more} more`)
    const list = [`${file} does not fit the model:`, ...problems].join('\n  ')
    throw new TfmError('TFM1905', `${list}\nThe model can ignore or rename tensors: weights { … }`)
  }
  const pick = (tensors: TensorInfo[], file: string, last: boolean) => {
    for (const info of tensors) {
      const name = modelName(info.name, rules)
      const spec = byName.get(name ?? '')
      if (!spec && name !== undefined) unused.push(info.name)
      if (!spec) continue
      const [want, have, turned] = [spec.shape, info.shape, spec.shape.toReversed()].map(String)
      const twice = found.get(spec.name)
      const problem = twice
        ? `stored twice, also as ${twice}`
        : want !== have
          ? `expected [${want}], found [${have}]${have === turned ? '; is it transposed?' : ''}`
          : !toFloat32(info.dtype, new Uint8Array()) && `${info.dtype} is not supported`
      if (problem) problems.push(`${info.name}: ${problem}`)
      found.set(spec.name, info.name)
      chosen.set(info, spec)
    }
    if (last) finish(file)
    complete = last
    return problems.length ? [] : tensors.filter((info) => chosen.has(info))
  }
  const warn = (tensor: string, length: number, count: number) => {
    const message = `${tensor}: ${count} of ${length} weights are NaN or infinite`
    if (count) (options.onWarning ?? console.warn)({ code: 'TFM1906', message, tensor, count })
  }
  const keep = async (info: TensorInfo, bytes: Uint8Array) => {
    const data = toFloat32(info.dtype, bytes)!
    let count = 0
    for (let i = 0; i < data.length; i++) if (data[i] - data[i] !== 0) count++
    warn(info.name, data.length, count)
    await store(chosen.get(info)!, data)
  }
  const straight = (info: TensorInfo, into: ReadInto) => {
    const spec = chosen.get(info)!
    // Before the last file it is not known which tensors are lacking.
    const shared =
      specs.some((s) => s.fallback === spec.name) && (!complete || [...fallbacks.values()].includes(spec.name))
    const length = spec.shape.reduce((a, b) => a * b, 1)
    const width = (info.end - info.begin) / length / 4
    const widen = async (room: Uint8Array) => {
      const bytes = new Uint8Array(room.length * width)
      await into(bytes)
      new Float32Array(room.buffer, room.byteOffset, room.length / 4).set(toFloat32(info.dtype, bytes)!)
    }
    return direct!(spec, width === 1 || into.parts ? into : widen, (count) => warn(info.name, length, count), shared)
  }
  await read(source, pick, keep, options, direct && straight)
  return fallbacks
}
