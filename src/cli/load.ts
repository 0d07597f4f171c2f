/** A compiled model brought to life in this process: emitted as JavaScript, imported from memory, given weights and, for WGSL, a device. */
import type { LoadProgress } from '../../targets/runtime/source.ts'
import type { Compiled } from '../compile.ts'
import type { DeviceProfile } from '../program/profiles.ts'
import type { Artifact, EmitOptions, Target } from '../target.ts'
import type { Context } from './context.ts'
import { device } from './device.ts'
import type { ProfileOptions } from './device-profile.ts'
import { fittingProfile } from './device-profile.ts'
import { importArtifacts } from './emitted.ts'
import { tuningStore } from './tuning-store.ts'
import type { Weights } from './weights.ts'

export interface Result {
  readonly data: Float32Array | Int32Array
  readonly shape: readonly number[]
}
export type Results = Readonly<Record<string, Result>>
export type Inputs = Readonly<Record<string, unknown>>

/** The API of every emitted module, as far as the command line uses it. */
export interface LoadedModel {
  readonly run: (inputs: Inputs) => Promise<Results>
  readonly generate?: (
    ids: ArrayLike<number>,
    options: Readonly<Record<string, unknown>>,
  ) => AsyncGenerator<number, void>
  /** Of modules emitted with `generation: 'full'`. */
  readonly generateText?: (
    ids: ArrayLike<number>,
    options: Readonly<Record<string, unknown>>,
  ) => AsyncGenerator<string, void>
  /** With the program `reorder` too. */
  readonly generateBatch?: (
    prompts: readonly ArrayLike<number>[],
    options: Readonly<Record<string, unknown>>,
  ) => AsyncGenerator<(number | undefined)[], void>
  readonly generateBeams?: (
    ids: ArrayLike<number>,
    options: Readonly<Record<string, unknown>>,
  ) => Promise<readonly { readonly ids: number[]; readonly score: number }[]>
  readonly dispose: () => void
  /** Of WebAssembly. */
  readonly threads?: number
}
const threadsOf = ({ threads }: LoadedModel): string =>
  threads === undefined ? '' : threads === 1 ? ', one thread' : `, ${threads} threads`
interface EmittedModule {
  readonly load: (options: Readonly<Record<string, unknown>>) => Promise<LoadedModel>
}

/** How a model runs: threads of WebAssembly, the device that WGSL is compiled for. */
export interface ThreadOptions extends ProfileOptions {
  readonly threads?: number
  readonly wide?: boolean
}

export interface LoadedTarget {
  readonly model: LoadedModel
  /** What the module exports. */
  readonly module: unknown
  /** What it runs on, for people. */
  readonly device: string
  /** What it was compiled for, if that was said. */
  readonly profile?: DeviceProfile
  readonly close: () => void
}

export async function loadModel(
  ctx: Context,
  target: Target,
  compiled: Compiled,
  weights: Weights,
  options: Partial<EmitOptions> = {},
  { threads, wide, deviceProfile }: ThreadOptions = {},
  /** Changes what was emitted before it is imported. */
  change?: (artifacts: readonly Artifact[]) => readonly Artifact[] | Promise<readonly Artifact[]>,
): Promise<LoadedTarget> {
  const read = { ...(weights.quantised ? { weights: 'int8' as const } : {}), ...(wide ? { wide } : {}) }
  const profile = await fittingProfile(ctx, target, compiled.lowered.module, { deviceProfile })
  const emitted = { language: 'js', ...read, ...(profile ? { profile } : {}), ...options } as const
  const made = await target.emit(compiled.lowered.module, emitted)
  const artifacts = change ? await change(made) : made
  const { module, close } = await importArtifacts(artifacts)
  const gpu = target.name === 'wgsl' ? await device() : undefined
  const model = await ctx.progress.task(`loading ${weights.label} for ${target.name}`, (report) =>
    (module as EmittedModule).load({
      weights: weights.source(),
      // What is listened to is not tuned: its kernels run as they do by default.
      ...(gpu ? { device: gpu.device, ...(change ? {} : { tuning: tuningStore(ctx.io.env) }) } : {}),
      ...(target.name === 'wasm' ? { threads, wide } : {}),
      signal: ctx.io.signal,
      onProgress: ({ phase, loaded, total, tensor }: LoadProgress) =>
        phase !== 'packing' && report(loaded, total, phase === 'pipelines' ? phase : tensor),
      onWarning: weights.onWarning,
    }),
  )
  return {
    model,
    module,
    ...(profile ? { profile } : {}),
    device: gpu?.description ?? `Node ${process.versions.node}${threadsOf(model)}`,
    close: () => {
      model.dispose()
      close()
    },
  }
}
