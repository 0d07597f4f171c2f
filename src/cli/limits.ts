/** Proofs of limits for people: what fits a device profile, what it takes, and what a token costs. */
import { say, type Diagnostic } from '../diagnostics/index.ts'
import { runningAt } from '../explain/sizes.ts'
import { countsOf, movedBytes, totalOf, type KernelCount } from '../explain/counts.ts'
import {
  refusalOf,
  type GeneratingProof,
  type Largest,
  type Memory,
  type Proof,
  type ProgramProof,
  type Stop,
} from '../explain/limits.ts'
import type { DeviceProfile } from '../program/profiles.ts'
import type { Needs } from '../target.ts'
import type { Sym } from '../types/ix.ts'
import type { Context } from './context.ts'
import { bytes, count, plural, table, type Cell } from './output.ts'

const right = (head: string) => ({ head, right: true })
const sizes = (dims: Readonly<Record<string, number>>): string => Object.entries(dims).map(([k, n]) => `${k} = ${count(n)}`).join(', ') // prettier-ignore

export function proofText({ paint }: Context, proof: Proof): string {
  const { profile, weights, programs } = proof
  const memory = profile.memory === undefined ? 'no memory said' : `${bytes(profile.memory)} in all`
  const { limits } = profile
  const perGroup = `${bytes(limits.maxComputeWorkgroupStorageSize)} and ${limits.maxComputeInvocationsPerWorkgroup} threads a workgroup`
  const grid = `${count(limits.maxComputeWorkgroupsPerDimension)} workgroups a dimension`
  const head = [
    `${paint('head', 'limits')}  ${profile.name}: ${profile.about}`,
    `  ${bytes(limits.maxStorageBufferBindingSize)} a binding, ${bytes(limits.maxBufferSize)} a buffer, ${limits.maxStorageBuffersPerShaderStage} bindings a kernel, ${grid}, ${perGroup}; ${memory}`,
  ] // prettier-ignore
  const fits = programs.flatMap((p) => p.largest.map((l) => [p.name, mostOf(l), sizes(l.fixed), l.stop ? stopText(l.stop) : ''])) // prettier-ignore
  const ways = proof.generating.map((g): Cell[] => [g.name, generatedMost(g), sizes(Object.fromEntries(Object.entries(g.dims).filter(([name]) => name !== 'T'))), g.stop ? stopText(g.stop) : '']) // prettier-ignore
  const memoryOf = (name: string, dims: string, m: Memory, largest: string) => [name, dims, bytes(m.weights), bytes(m.state), bytes(m.activations), bytes(m.ports), bytes(m.total), largest] // prettier-ignore
  const rows = [
    ...programs.map((p) => memoryOf(p.name, sizes(p.dims), p.memory, `${p.binding.what}, ${bytes(p.binding.bytes)}`)),
    ...proof.generating.map((g) => memoryOf(g.name, sizes(g.dims), g.memory, '')),
  ]
  const about = [
    ['weights', bytes(weights.bytes), `${plural(weights.tensors, 'tensor')}${splitText(weights.split)}`],
    ...(proof.statePerPosition > 0 ? [['caches', bytes(proof.statePerPosition), 'for each position']] : []),
    ...(proof.stateKept > 0 ? [['kept by prepare', bytes(proof.stateKept), '']] : []),
  ] // prettier-ignore
  return [
    ...head, '',
    table([{ head: 'program' }, { head: 'at most' }, { head: 'with' }, { head: 'what stops one more' }], [...fits, ...(profile.memory === undefined ? [] : ways)], paint, '  '),
    table([{ head: '' }, right(''), { head: '' }], about, paint, '  '),
    table([{ head: 'bytes of' }, { head: 'at' }, right('weights'), right('state'), right('activations'), right('others'), right('in all'), { head: 'largest binding' }], rows, paint, '  '),
    ...programs.map((p) => kernelsText(p, profile, paint)),
    ...proof.generating.filter((g) => g.kernels.length > 0).map((g) => kernelsText(g, profile, paint)),
  ].join('\n') // prettier-ignore
}

/** Weights in parts; of those alike the first, and how many more there are. */
function splitText(split: Proof['weights']['split']): string {
  const alike = new Map<string, string[]>()
  for (const w of split) {
    const what = `${bytes(w.bytes)}, in ${w.parts} parts`
    alike.set(what, [...(alike.get(what) ?? []), w.name])
  }
  const more = (n: number): string => (n > 1 ? ` and ${n - 1} more like it` : '')
  return [...alike].map(([what, names]) => `; ${names[0]}${more(names.length)}, ${what}`).join('')
}

/** The longest prompt for which a way of generating is within the memory. */
const generatedMost = ({ most, stop }: GeneratingProof): Cell =>
  most === undefined ? (stop ? ['bad', 'nothing'] : '') : stop ? `T = ${count(most)}` : 'any T'

/** Nothing, any, or the largest. */
function mostOf({ dim, most, stop }: Largest): Cell {
  if (most === undefined) return ['bad', 'nothing']
  return dim === '' ? 'fits' : stop === undefined ? `any ${dim}` : `${dim} = ${count(most)}`
}

function kernelsText(
  p: Pick<ProgramProof, 'name' | 'dims' | 'kernels'> | GeneratingProof,
  { limits }: DeviceProfile,
  paint: Context['paint'],
): string {
  const rows = p.kernels.map((k) => [
    k.name, count(k.dispatches), String(k.bindings), bytes(k.binding), count(k.workgroups), k.threads[1] === 1 ? String(k.threads[0]) : k.threads.join(' × '),
    bytes(k.workgroupBytes),
  ]) // prettier-ignore
  const columns = [{ head: 'kernel' }, right('times'), right(`bindings of ${limits.maxStorageBuffersPerShaderStage}`), right('largest'), right('workgroups'), right('threads'), right('their memory')] // prettier-ignore
  return `${paint('head', p.name)}  ${paint('dim', sizes(p.dims))}\n${table(columns, rows, paint, '  ')}`
}

/** `memory: the model in all takes 140,000,000 bytes of 134,217,728` */
export function stopText({ what, need, unit, limit, most }: Stop): string {
  if (limit === 'model') return `the model: ${what}`
  if (limit === 'positions') return `${what}: ${count(need)} elements; kernels count to ${count(most)}`
  const shown = Number.isFinite(need) ? `${count(need)} ${unit}` : `more ${unit} than can be counted`
  return `${what}: ${shown}; ${limit === 'memory' ? 'the memory is' : `${limit} =`} ${count(most)}`
}

/** What is wrong where a model does not fit at all, or not at the sizes that were asked for: TFM2107. */
export function misfit(model: string, proof: Proof): Diagnostic | undefined {
  const found = refusalOf(proof)
  if (found === undefined) return undefined
  const { program, stop } = found
  const { name } = proof.profile
  const fitting = program.largest.filter(
    (l): l is Largest & { most: number } => l.most !== undefined && l.stop !== undefined,
  )
  const most = fitting.map(
    (l) => `${l.dim} = ${count(l.most)}${Object.keys(l.fixed).length > 0 ? ` with ${sizes(l.fixed)}` : ''}`,
  )
  const where =
    program.asked?.stop === stop
      ? ` at ${sizes(Object.fromEntries(Object.entries(program.asked.dims).filter(([, n]) => n > 0)))}`
      : ''
  const reasons = [
    `${program.name}${where}: ${stopText(stop)}`,
    ...(stop.limit === 'memory' ? [`weights ${bytes(program.memory.weights)}, state ${bytes(program.memory.state)}, activations ${bytes(program.memory.activations)}, inputs and outputs ${bytes(program.memory.ports)}`] : []),
    ...most.map((m) => `the largest that fits: ${m}`),
  ] // prettier-ignore
  const fix = most.length > 0 ? `take ${most.join(' or ')}` : remedy(stop)
  return say.tooLarge(undefined, `${model} does not fit the profile ${name}${where}`, fix, reasons)
}

function remedy({ limit, need }: Stop): string {
  if (limit === 'memory') return `a device with ${bytes(need)} at least, matrices in fewer bits (--weights-as int8), or a smaller model`
  if (limit === 'maxStorageBuffersPerShaderStage') return 'a profile with larger bindings, so that weights lie in fewer parts, or a smaller model'
  return `a device with ${limit} = ${count(need)} at least, or a smaller model`
} // prettier-ignore

/** Dispatches and bytes of one token: the program `step`, whose counts `profile` measures times against. */
export function tokenCounts(
  { module, kernels }: Needs,
  dims: Readonly<Record<string, number>>,
): { readonly dims: Readonly<Record<string, number>>; readonly kernels: readonly KernelCount[] } | undefined {
  const step = module.programs.find((p) => p.name === 'step')
  const { sequence } = module
  if (step === undefined || sequence === undefined) return undefined
  const past = dims[sequence.past.name] ?? Math.min(64, sequence.max - 1)
  const all = [...new Set<Sym>([...module.dims, sequence.T, sequence.past])]
  const at = all.map((s): [Sym, number] => [s, s === sequence.past ? past : s === sequence.T ? 1 : (dims[s.name] ?? (s.name === 'S' ? 64 : 1))]) // prettier-ignore
  const shown = Object.fromEntries(at.filter(([s]) => s !== sequence.T).map(([s, n]) => [s.name, n]))
  const env = (s: Sym): number => new Map(at).get(s) ?? 1
  const counts = countsOf(module, step, new Map(at))
  return {
    dims: shown,
    kernels: counts.map((c) => ({ ...c, dispatches: c.dispatches * runningAt(kernels[c.kernel], env).length })),
  }
}

export function tokenText({ paint }: Context, token: NonNullable<ReturnType<typeof tokenCounts>>): string {
  const row = (c: KernelCount) => [c.name, count(c.dispatches), bytes(c.weights), bytes(c.state), bytes(c.other), bytes(c.written), bytes(movedBytes(c))] // prettier-ignore
  const total = totalOf(token.kernels, 'in all')
  const columns = [
    { head: 'kernel' },
    right('times'),
    right('weights'),
    right('caches'),
    right('other'),
    right('written'),
    right('bytes'),
  ]
  return [
    `${paint('head', 'a token')}  ${paint('dim', `step at ${sizes(token.dims)}`)}`,
    `  ${plural(total.dispatches, 'dispatch', 'dispatches')}; ${bytes(total.weights + total.state)} of weights and caches read`,
    table(columns, [...token.kernels, total].map(row), paint, '  '),
  ].join('\n') // prettier-ignore
}
