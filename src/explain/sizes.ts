/** What a program of an emitted module takes at given dims: tensors, memory, kernels, and the model's own conditions. */
import { storageOf } from '../kernel/address.ts'
import type { KernelArg } from '../kernel/stage.ts'
import type { DeviceProfile, LimitName } from '../program/profiles.ts'
import { kernelsOf } from '../program/steps.ts'
import type { HostStep, Module, Port, Program } from '../program/types.ts'
import type { KernelNeeds, KernelVariant, Needs, PassNeeds, WeightNeeds } from '../target.ts'
import type { Constraint } from '../types/model.ts'
import type { Ix } from '../types/ix.ts'
import { elements } from '../types/shape.ts'
import { Replay, type Memory } from './session.ts'
import { buffer, bytesAt, statesOf, value, type Env } from './values.ts'

/** What is too much, and of what. */
export interface Stop {
  /** The tensor or kernel; the condition of the model. */
  readonly what: string
  readonly need: number
  readonly unit: 'bytes' | 'workgroups' | 'storage buffers' | 'threads' | ''
  /** Of the profile's limits; its memory; positions, which kernels count as i32; or the model's own conditions. */
  readonly limit: LimitName | 'memory' | 'positions' | 'model'
  readonly most: number
}
export interface KernelProof {
  readonly name: string
  readonly dispatches: number
  /** Storage buffers. */
  readonly bindings: number
  /** Of a dispatch, of the variant that runs at these dims. */
  readonly workgroups: number
  readonly threads: readonly [number, number]
  /** Of all its variants. */
  readonly workgroupBytes: number
  /** Bytes of the largest buffer that it binds. */
  readonly binding: number
}
/** Positions in kernels are i32. */
export const POSITIONS = 2 ** 31 - 1

/** Something that may be too much. */
export interface Need extends Omit<Stop, 'need'> {
  readonly at: (env: Env) => number
  /** Whether more may do where less does not: multiples, dims that must be equal. */
  readonly exact?: boolean
}

/** Dims that the model itself refuses. */
export function conditions(module: Module, program: Program): Need[] {
  const { sequence } = module
  const own = program.constraints.map(
    (c): Need => ({
      what: c.text, unit: '', limit: 'model', most: 0, exact: c.k !== 'le',
      at: (env) => (holds(c, env) ? 0 : 1),
    }),
  ) // prettier-ignore
  if (!sequence || program.name === 'prepare' || program.name === 'run') return own
  const { T, past, max } = sequence
  const total: Need = { what: `${max} positions`, unit: '', limit: 'model', most: max, at: (env) => env(T) + env(past) }
  return [total, ...own]
}
function holds({ k, a, b }: Constraint, env: Env): boolean {
  const [x, y] = [value(a, env), value(b, env)]
  return k === 'le' ? x <= y : k === 'eq' ? x === y : x % y === 0
}

// ---- sizes ----

export interface Sizes {
  readonly needs: readonly Need[]
  /** All polynomials that the needs are computed from. */
  readonly polynomials: readonly Ix[]
  readonly memory: (env: Env) => Memory
  readonly kernels: (env: Env) => KernelProof[]
  readonly binding: (env: Env) => { readonly what: string; readonly bytes: number }
}

/** Everything that a program takes, as functions of its dims. */
export function sizesOf(needs: Needs, profile: DeviceProfile, program: Program): Sizes {
  const { limits } = profile
  const { module } = needs
  const { sequence } = module
  const bounds = [
    ['maxStorageBufferBindingSize', limits.maxStorageBufferBindingSize],
    ['maxBufferSize', limits.maxBufferSize],
  ] as const
  const port = (kind: string, { name, shape }: Port) => ({ what: `${kind} ${name}`, size: elements(shape) })
  const inputs = program.inputs.map((p) => port('input', p))
  const outputs = program.outputs.map((p) => port('output', p))
  const slots = program.slots.map((size, i) => ({ what: slotName(module, program, i), size }))
  const states = program.name === 'run' ? [] : statesOf(module, program.name === 'prepare')
  const positions = (env: Env): number => (sequence ? env(sequence.T) + env(sequence.past) : 0)
  const readback = (env: Env): number => outputs.reduce((n, x) => n + bytesAt(x.size, env), 0)
  const memory = (env: Env): Memory => {
    const replay = new Replay(needs, profile)
    if (program.name === 'step') replay.steps(env)
    else if (program.name !== 'reorder') replay[program.name](env)
    return replay.memory
  }

  const used = [...new Set(kernelsOf(program.steps))]
  const tensors = [...inputs, ...outputs, ...slots].map((x) => ({ what: x.what, at: (env: Env) => buffer(bytesAt(x.size, env)) })) // prettier-ignore
  const stored = states.map((s) => ({
    what: `state ${s.name}`,
    at: (env: Env) => buffer(bytesAt(s.size, env) * (s.grows ? positions(env) : 1)),
  }))
  const list: Need[] = [
    ...needs.weights.flatMap((w) => [
      { what: w.name, unit: '', limit: 'positions', most: POSITIONS, at: () => w.bytes / 4 } as const,
      ...bounds.map(([limit, most]): Need => ({ what: wholeText(w), unit: 'bytes', limit, most, at: () => w.largest })),
    ]),
    { what: 'the block of dims', unit: 'bytes', limit: 'maxUniformBufferBindingSize', most: limits.maxUniformBufferBindingSize, at: () => needs.uniform.binding },
    ...[...tensors, ...stored].flatMap((x) => bounds.map(([limit, most]): Need => ({ ...x, unit: 'bytes', limit, most }))),
    { what: 'the results together', unit: 'bytes', limit: 'maxBufferSize', most: limits.maxBufferSize, at: readback },
    ...used.flatMap((k) => kernelLimits(needs.kernels[k], limits)),
    ...room(profile, memory),
  ] // prettier-ignore
  return {
    needs: list,
    polynomials: [
      ...[...inputs, ...outputs, ...slots, ...states].map((x) => x.size),
      ...used.flatMap((k) => groupsOf(needs.kernels[k])),
    ],
    memory,
    kernels: (env) => kernelProofs(needs, program, env),
    binding: (env) =>
      [
        ...needs.weights.map((w) => ({ what: w.name, bytes: w.largest })),
        ...[...tensors, ...stored].map(({ what, at }) => ({ what, bytes: at(env) })),
      ].reduce((a, b) => (b.bytes > a.bytes ? b : a), { what: '', bytes: 0 }),
  }
}

/** What a model may take in all. */
const room = ({ memory: most }: DeviceProfile, memory: Sizes['memory']): Need[] =>
  most === undefined ? [] : [{ what: 'the model in all', unit: 'bytes', limit: 'memory', most, at: (env) => memory(env).total }] // prettier-ignore

/** `wte.weight (in 6 parts kernel embed would bind 13 buffers)` */
const wholeText = ({ name, whole }: WeightNeeds): string =>
  whole ? `${name} (in parts, kernel ${whole.kernel} would bind ${whole.bindings} buffers)` : name

/** `activation 2 (scores)`: by what is first stored there. */
function slotName(module: Module, { steps }: Program, index: number): string {
  const stored = (list: readonly HostStep[]): string[] =>
    list.flatMap((s) => {
      if (s.k !== 'dispatch') return stored(s.body)
      const { args } = module.kernels[s.kernel]
      return s.args.flatMap((a, i) =>
        a.k === 'activation' && a.index === index && args[i].access !== 'read' ? [args[i].buffer.name] : [],
      )
    })
  const [first] = stored(steps)
  return `activation ${index}${first === undefined ? '' : ` (${first})`}`
}

// ---- kernels ----

/** Rows of a folded grid: their workgroups are counted as i32. */
const gridRows = (perDimension: number): number => Math.min(perDimension, Math.floor(POSITIONS / perDimension))

const groupsOf = (k: KernelNeeds): readonly Ix[] => [
  ...k.variants.map((v) => v.groups),
  ...[...(k.passes?.list ?? []), ...(k.spread?.list ?? [])].flatMap(groupsOf),
]

/** The kernels that a dispatch runs at these dims: itself, or its passes. */
export function runningAt(k: KernelNeeds, env: Env): readonly (KernelNeeds | PassNeeds)[] {
  const { list, where = [], when }: NonNullable<KernelNeeds['passes']> = k.spread ?? k.passes ?? { list: [] }
  return list.length > 0 && !when && where.every(([a, b]) => value(a, env) <= value(b, env)) ? list : [k]
}

export function kernelLimits(k: KernelNeeds, limits: DeviceProfile['limits'], of = k): Need[] {
  if (k === of && (k.passes ?? k.spread)) {
    const { passes, spread, ...own } = k
    return [...(k.variants.length > 0 ? [own] : []), ...(passes?.list ?? []), ...(spread?.list ?? [])].flatMap((x) =>
      kernelLimits(x, limits, k),
    )
  }
  const what = `kernel ${k.name}`
  const runs = (env: Env): boolean => of.passes?.when !== undefined || runningAt(of, env).some((x) => x.name === k.name)
  const need = (limit: LimitName, unit: Stop['unit'], at: (env: Env) => number, most = limits[limit]): Need => ({ what, unit, limit, most, at }) // prettier-ignore
  const [most, rows] = [limits.maxComputeWorkgroupsPerDimension, gridRows(limits.maxComputeWorkgroupsPerDimension)]
  return [
    need('maxStorageBuffersPerShaderStage', 'storage buffers', () => k.bindings),
    ...k.variants.flatMap(({ workgroupBytes, threads: [x, y] }) => [
      need('maxComputeWorkgroupStorageSize', 'bytes', () => workgroupBytes),
      need('maxComputeInvocationsPerWorkgroup', 'threads', () => x * y),
      need('maxComputeWorkgroupSizeX', 'threads', () => x),
      need('maxComputeWorkgroupSizeY', 'threads', () => y),
    ]),
    ...[false, true].map((alternative) =>
      need(
        'maxComputeWorkgroupsPerDimension',
        'workgroups',
        (env) => (runs(env) ? value(variantAt(k, env, alternative).groups, env) : 0),
        most * rows,
      ),
    ),
  ]
}

/** The variant that a host takes, or the alternative to it, if there is one. */
export function variantAt(k: KernelNeeds, env: Env, alternative = false): KernelVariant {
  const rows = k.rows === undefined ? 0 : value(k.rows, env)
  const fits = (v: KernelVariant): boolean => v.upTo === undefined || rows <= v.upTo
  return k.variants.find((v) => fits(v) && (alternative || !v.when)) ?? k.variants[k.variants.length - 1]
}

function kernelProofs({ module, kernels }: Needs, program: Program, env: Env): KernelProof[] {
  const found = new Map<string, KernelProof>()
  const visit = (steps: readonly HostStep[], times: number, inside: readonly Env[]): void => {
    for (const s of steps) {
      if (s.k === 'layers') visit(s.body, times * s.count, inside)
      else if (s.k === 'scan') {
        // The first turn and the last: sizes only grow or only fall with t.
        const count = Math.max(...inside.map((e) => value(s.count, e)))
        const turns = [0, Math.max(0, count - 1)]
        visit(s.body, times * count, inside.flatMap((e) => turns.map((t): Env => (x) => (x === s.t ? t : e(x))))) // prettier-ignore
      } else {
        const k = kernels[s.kernel]
        for (const one of new Set(inside.flatMap((e) => runningAt(k, e))))
          add(one, 'args' in one ? one.args : module.kernels[s.kernel].args, times, inside)
      }
    }
  }
  const add = (k: KernelNeeds, args: readonly KernelArg[], times: number, inside: readonly Env[]): void => {
    const known = found.get(k.name)
    const greatest = (of: (e: Env) => number): number => Math.max(...inside.map(of))
    found.set(k.name, {
      name: k.name,
      dispatches: (known?.dispatches ?? 0) + times,
      bindings: k.bindings,
      workgroups: Math.max(
        known?.workgroups ?? 0,
        greatest((e) => value(variantAt(k, e).groups, e)),
      ),
      threads: variantAt(k, inside[0]).threads,
      workgroupBytes: Math.max(...k.variants.map((v) => v.workgroupBytes)),
      binding: Math.max(
        0,
        ...args.map(
          ({ buffer: b }, i) => k.split[i] ?? b.layout?.kept?.bytes ?? greatest((e) => bytesAt(storageOf(b), e)),
        ),
      ),
    })
  }
  visit(program.steps, 1, [env])
  return [...found.values()]
}
