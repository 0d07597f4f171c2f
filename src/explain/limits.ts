/**
 * Proofs of limits: what a program of an emitted module takes from a device, against the limits and the memory of a profile, from the same
 * polynomials that the host module computes sizes by. Counted for a model that was just loaded and makes its first call.
 */
import type { DeviceProfile } from '../program/profiles.ts'
import type { Program, ProgramName } from '../program/types.ts'
import type { Needs, WeightNeeds } from '../target.ts'
import type { Sym } from '../types/ix.ts'
import { isConst, symbolsOf } from '../types/ix.ts'
import { generatingProofs, type GeneratingProof } from './generating.ts'
import { largest, onlyGrow } from './largest.ts'
import type { Memory } from './session.ts'
import type { KernelProof, Stop } from './sizes.ts'
import { conditions, POSITIONS, sizesOf } from './sizes.ts'
import { buffer, bytesAt, statesOf, type Env } from './values.ts'

export type { GeneratingProof } from './generating.ts'
export type { Memory } from './session.ts'
export type { KernelProof, Stop } from './sizes.ts'

/** The largest value of one dim, the others as they are. */
export interface Largest {
  /** Empty for a program without dims. */
  readonly dim: string
  readonly fixed: Readonly<Record<string, number>>
  /** Undefined where nothing fits; without a dim, 1 where the program does. */
  readonly most?: number
  /** Why not one more; undefined where positions themselves end. */
  readonly stop?: Stop
}
export interface ProgramProof {
  readonly name: ProgramName
  readonly largest: readonly Largest[]
  /** Whether the sizes that were asked for fit. */
  readonly asked?: { readonly dims: Readonly<Record<string, number>>; readonly stop?: Stop }
  /** What follows is at these: what was asked for, else the largest of the first dim, or its least value where nothing fits. */
  readonly dims: Readonly<Record<string, number>>
  readonly memory: Memory
  readonly kernels: readonly KernelProof[]
  /** The largest of all bindings. */
  readonly binding: { readonly what: string; readonly bytes: number }
}
export interface Proof {
  readonly profile: DeviceProfile
  readonly weights: {
    readonly bytes: number
    readonly tensors: number
    readonly split: readonly WeightNeeds[]
  }
  /** Bytes of caches for each position, B and other dims as asked for. */
  readonly statePerPosition: number
  /** Bytes of what `prepare` keeps. */
  readonly stateKept: number
  readonly programs: readonly ProgramProof[]
  /** Of models that generate. */
  readonly generating: readonly GeneratingProof[]
}

/** Sizes of dims that nothing is said about: one row, and 64 of what an encoder reads. */
const usual: Readonly<Record<string, number>> = { B: 1, S: 64 }

/** Every program of a module against a profile; `given` are sizes of dims by name. */
export function prove(needs: Needs, profile: DeviceProfile, given: Readonly<Record<string, number>> = {}): Proof {
  const { module } = needs
  const env = (s: Sym): number => given[s.name] ?? usual[s.name] ?? 1
  const state = (grows: boolean): number =>
    statesOf(module, false)
      .filter((s) => s.grows === grows)
      .reduce((n, s) => n + buffer(bytesAt(s.size, env)), 0)
  const programs = module.programs
    .filter((p) => p.name !== 'reorder')
    .map((p) => proveProgram(needs, profile, p, given))
  const prefill = programs.find((p) => p.name === 'prefill')
  return {
    profile,
    weights: {
      bytes: needs.weights.reduce((n, w) => n + buffer(w.bytes), 0),
      tensors: needs.weights.length,
      split: needs.weights.filter((w) => w.parts > 1),
    },
    statePerPosition: state(true),
    stateKept: state(false),
    programs,
    generating: prefill ? generatingProofs(needs, profile, prefill.dims, given) : [],
  }
}

/** The first program and size that keeps a model from running at all, or from running at the sizes that were asked for. */
export function refusalOf(proof: Proof): { readonly program: ProgramProof; readonly stop: Stop } | undefined {
  for (const program of proof.programs) {
    const stop = program.largest.find((l) => l.most === undefined)?.stop ?? program.asked?.stop
    if (stop !== undefined) return { program, stop }
  }
  return undefined
}

function proveProgram(
  needs: Needs,
  profile: DeviceProfile,
  program: Program,
  given: Readonly<Record<string, number>>,
): ProgramProof {
  const { module } = needs
  const { sequence } = module
  const step = program.name === 'step'
  const dims = [...new Set(program.inputs.flatMap((p) => p.shape.flatMap((x) => [...symbolsOf(x)])))]
  const open = step && sequence ? [sequence.past] : dims.filter((s) => s.name !== 'B')
  const base = new Map<string, number>(dims.map((s) => [s.name, given[s.name] ?? usual[s.name] ?? 1]))
  if (sequence) {
    if (step || program.name === 'prefill') base.set(sequence.past.name, step ? (given[sequence.past.name] ?? 0) : 0)
    if (step) base.set(sequence.T.name, 1)
  }
  const envOf =
    (values: ReadonlyMap<string, number>): Env =>
    (s) =>
      values.get(s.name) ?? given[s.name] ?? usual[s.name] ?? 1
  const least = (dim: string): number => (dim === sequence?.past.name ? 0 : 1)
  const sizes = sizesOf(needs, profile, program)
  const all = [...conditions(module, program), ...sizes.needs]
  const stopAt = (values: ReadonlyMap<string, number>, among = all): Stop | undefined => {
    for (const { at, ...n } of among) {
      const need = at(envOf(values))
      if (!(need <= n.most)) return { ...n, need }
    }
    return undefined
  }
  const solved = (open.length > 0 ? open : dims).map((s): Largest => {
    const fixed = Object.fromEntries([...base].filter(([name]) => name !== s.name && name !== sequence?.past.name))
    const at = (n: number): Map<string, number> => new Map([...base, [s.name, n]])
    const hi = Math.min(isConst(s.hi) ?? POSITIONS, POSITIONS)
    const [growing, exact] = [all.filter((n) => !n.exact), all.filter((n) => n.exact)]
    const monotone = onlyGrow(sizes.polynomials, s)
    const lo = least(s.name)
    let most = largest((n) => stopAt(at(n), growing) === undefined, lo, hi, monotone)
    // Multiples, and dims that must be equal, may leave out what would fit.
    for (let tries = 0; most !== undefined && tries < 4096 && most >= lo && stopAt(at(most)); tries++) most--
    if (most !== undefined && (most < lo || stopAt(at(most)))) most = undefined
    let next = (most ?? lo) + 1
    for (let tries = 0; most !== undefined && tries < 4096 && stopAt(at(next), exact); tries++) next++
    const stop =
      most === undefined
        ? stopAt(at(lo))
        : most < hi
          ? stopAt(at(next))
          : isConst(s.hi) === undefined
            ? undefined
            : ({ what: `${s.name} <= ${hi}`, need: hi + 1, unit: '', limit: 'model', most: hi } as const)
    return { dim: s.name, fixed, ...(most === undefined ? {} : { most }), ...(stop ? { stop } : {}) }
  })
  if (solved.length === 0) {
    const stop = stopAt(base)
    solved.push({ dim: '', fixed: {}, ...(stop ? { stop } : { most: 1 }) })
  }
  const asking = [...open, ...dims].filter((s) => given[s.name] !== undefined && (!step || s === sequence?.past))
  const asked = new Map([...base, ...asking.map((s): [string, number] => [s.name, given[s.name]])])
  const stop = asking.length > 0 ? stopAt(asked) : undefined
  const [{ dim, most, stop: end }] = solved
  // What nothing stops is shown at a size like others.
  const size = end || most === undefined ? (most ?? least(dim)) : 64
  const shown = asking.length > 0 ? asked : new Map(dim === '' ? base : [...base, [dim, size]])
  const env = envOf(shown)
  return {
    name: program.name,
    largest: solved,
    ...(asking.length > 0 ? { asked: { dims: Object.fromEntries(asked), ...(stop ? { stop } : {}) } } : {}),
    dims: Object.fromEntries(shown),
    memory: sizes.memory(env),
    kernels: sizes.kernels(env),
    binding: sizes.binding(env),
  }
}
