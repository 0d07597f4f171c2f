/** What generating takes beside the programs: ids drawn on the device, and beams, whose state is reordered. */
import { storageOf } from '../kernel/address.ts'
import type { DeviceProfile } from '../program/profiles.ts'
import type { Needs } from '../target.ts'
import { symbolsOf } from '../types/ix.ts'
import { largest } from './largest.ts'
import { Replay, type Memory } from './session.ts'
import { kernelLimits, variantAt, type KernelProof, type Stop } from './sizes.ts'
import { bytesAt, value, type Env } from './values.ts'

/** A prompt, and up to 128 tokens after it, as far as the model has positions: by `generate` with `topK`, or by `generateBeams`. */
export interface GeneratingProof {
  readonly name: 'generate' | 'beams'
  readonly dims: Readonly<Record<string, number>>
  /** The most that is held at a time. */
  readonly memory: Memory
  /** The longest prompt for which that is within the memory of the profile; undefined where none is, or none is said. */
  readonly most?: number
  /** Why not one more, or why it cannot be done at all. */
  readonly stop?: Stop
  /** Kernels that ids are drawn with. */
  readonly kernels: readonly KernelProof[]
}

/** The sequences that beams follow where nothing is said (`targets/runtime`). */
const BEAMS = 4

/** Ways of generating that a module has, for a prompt as `shown` says. `given` are sizes of dims by name. */
export function generatingProofs(
  needs: Needs,
  profile: DeviceProfile,
  shown: Readonly<Record<string, number>>,
  given: Readonly<Record<string, number>>,
): GeneratingProof[] {
  const { module, drawing } = needs
  const { sequence } = module
  if (!sequence || !module.programs.some((p) => p.name === 'step')) return []
  const T = sequence.T.name
  const reorder = module.programs.find((p) => p.name === 'reorder')
  const [rows] = reorder?.inputs.flatMap((p) => p.shape.flatMap((x) => [...symbolsOf(x)])) ?? []
  const proof = (
    name: GeneratingProof['name'],
    own: Record<string, number>,
    call: (r: Replay, env: Env) => void,
  ): GeneratingProof => {
    const { [sequence.past.name]: _, ...prompt } = shown
    const dims: Readonly<Record<string, number>> = { ...prompt, ...own }
    const envOf =
      (t: number): Env =>
      (s) =>
        s.name === T ? t : (dims[s.name] ?? (s === sequence.past ? 0 : 1))
    const memoryAt = (t: number): Memory => {
      const replay = new Replay(needs, profile)
      call(replay, envOf(t))
      return replay.memory
    }
    const kernels = name === 'generate' ? drawing!.kernels : []
    const env = envOf(dims[T])
    const stops = kernels
      .flatMap((k) => kernelLimits(k.needs, profile.limits))
      .flatMap(({ at, ...n }): Stop[] => (at(env) <= n.most ? [] : [{ ...n, need: at(env) }]))
    const { memory } = profile
    const over = (t: number): Stop | undefined => {
      const { total } = memoryAt(t)
      return memory !== undefined && total > memory
        ? { what: `${name} in all`, need: total, unit: 'bytes', limit: 'memory', most: memory }
        : undefined
    }
    const most =
      memory === undefined || stops.length > 0 ? undefined : largest((t) => over(t) === undefined, 1, sequence.max)
    const stop =
      stops[0] ??
      (memory === undefined
        ? undefined
        : most === undefined
          ? over(1)
          : most < sequence.max
            ? over(most + 1)
            : undefined)
    return {
      name,
      dims,
      memory: memoryAt(dims[T]),
      ...(most === undefined ? {} : { most }),
      ...(stop ? { stop } : {}),
      kernels: kernels.map(({ needs: k, kernel }) => ({
        name: k.name,
        dispatches: 1,
        bindings: k.bindings,
        workgroups: value(variantAt(k, env).groups, env),
        threads: variantAt(k, env).threads,
        workgroupBytes: Math.max(...k.variants.map((v) => v.workgroupBytes)),
        binding: Math.max(...kernel.args.map((a) => bytesAt(storageOf(a.buffer), env))),
      })),
    }
  }
  const one = Object.fromEntries((drawing?.rows ?? []).map((name) => [name, 1]))
  return [
    ...(drawing ? [proof('generate', one, (r, env) => r.generate(env))] : []),
    ...(rows && sequence.batch
      ? [
          proof('beams', { [sequence.batch.name]: 1, [rows.name]: given[rows.name] ?? BEAMS }, (r, env) =>
            r.beams(env, env(rows)),
          ),
        ]
      : []),
  ]
}
