/** What a target is: limits, weight layouts, and a function from a module to files. */
import type { Layout } from './kernel/buffer.ts'
import type { HalfRules } from './kernel/half.ts'
import type { KernelArg, StageKernel } from './kernel/stage.ts'
import type { DeviceProfile } from './program/profiles.ts'
import type { Module } from './program/types.ts'
import type { Ix } from './types/ix.ts'

/** A file. */
export interface Artifact {
  readonly path: string
  /** Empty for a binary. */
  readonly text: string
  /** Contents of a binary, which has no text. */
  readonly bytes?: Uint8Array
  /** Whether it belongs into the folder of the runtime (`EmitOptions.runtime`). */
  readonly runtime?: boolean
}
export const contentsOf = (a: Artifact): string | Uint8Array => a.bytes ?? a.text

export interface EmitOptions {
  /** `ts`: typed source. `js`: plain ES module plus `.d.ts`. */
  readonly language: 'ts' | 'js'
  /** Schedules that `tfmc tune` measured to be better than the default, for targets that have a choice. */
  readonly tuning?: Tuning | undefined
  /** Whether the module can test itself on the user's device, where the target knows how. Default true. */
  readonly selftest?: boolean
  /**
   * Methods that generate, of models that can be stepped. `basic` (default): `generate`. `full`: with all its options, and `generateText`;
   * if the module was compiled with `reorder`, `generateBatch` and `generateBeams` too.
   */
  readonly generation?: 'none' | 'basic' | 'full'
  /**
   * What the checkpoint holds its matrices as, if not floats: `int8` and `int4` modules read quantised files too (docs/quantisation.md).
   * Default `f32`.
   */
  readonly weights?: WeightFormat
  /** Whether the form with fused multiply-adds is written too, where the target has one. Default true. */
  readonly relaxed?: boolean
  /** Kernels whose pairs of vectors V8 may take as one of 256 bits (`load({ wide: true })`); slower where it does not. Default false. */
  readonly wide?: boolean
  /** What the module is to run within: WGSL splits weights that are too large for one binding. Default: what every device with WebGPU has. */
  readonly profile?: DeviceProfile
  /** The folder of the runtime, seen from the module, which then imports it instead of having it in itself: `../runtime`. */
  readonly runtime?: string
}

/** How a kernel is scheduled, where a target has a choice: in tiles of so many rows. */
export interface Choice {
  readonly form: 'tile'
  readonly rows: number
}
/** Choices by what the target calls a kernel's structure and sizes. */
export type Tuning = Readonly<Record<string, Choice>>

export const weightFormats = ['f32', 'f16', 'bf16', 'int8', 'int4'] as const
export type WeightFormat = (typeof weightFormats)[number]

/** What contractions are computed in: `f16` is for weights that are kept so, on devices that can (kernel/half.ts); sums of many are f32. */
export const arithmetics = ['f32', 'f16'] as const
export type Arithmetic = (typeof arithmetics)[number]

/** Whether files with quantised tensors are to be read. */
export const readsQuantised = (format: WeightFormat | undefined): boolean => format === 'int8' || format === 'int4'

/** Floating-point rules of a target, for derived error bounds: unit roundoff of stores and sums, ULP bounds of built-ins. */
export interface FloatRules {
  /** Unit roundoff of f32 results. */
  readonly roundoff: number
  /** Unit roundoff of accumulators of reductions. */
  readonly accumulate: number
  /** Relative error bounds of functions, in units of `roundoff`; `expSlope` is added per unit of |x|. */
  readonly ulp: Readonly<Partial<Record<string, number>>>
  readonly expSlope: number
  /** Added for flushed denormals. */
  readonly flush: number
  /** Weights kept as f16 may be taken for 0 below this magnitude. */
  readonly flushHalf?: number
  /** Of a target that can compute contractions in f16 (kernel/half.ts). */
  readonly half?: HalfRules
}

/** Pairs a, b with a <= b, all of them. */
export type Condition = readonly (readonly [a: Ix, b: Ix])[]

/** What a kernel asks of a device. */
export interface KernelNeeds {
  readonly name: string
  /** Storage buffers that it binds; each part of a weight in parts is one. */
  readonly bindings: number
  /** Per argument: bytes of its largest part, where it has several. */
  readonly split: readonly (number | undefined)[]
  /** What variants are chosen by. */
  readonly rows?: Ix
  /** The first whose `upTo` the rows do not exceed runs; those with `when` on some devices only. */
  readonly variants: readonly KernelVariant[]
  /** Dispatches in sequence that do the same; they run instead where `where` holds, or always; with `when` on some devices only. */
  readonly passes?: { readonly list: readonly PassNeeds[]; readonly where?: Condition; readonly when?: string }
  /** The same where no alternative is taken. */
  readonly spread?: { readonly list: readonly PassNeeds[]; readonly where: Condition }
}
export interface PassNeeds extends KernelNeeds {
  readonly args: readonly KernelArg[]
}
export interface KernelVariant {
  readonly name: string
  /** Workgroups of a dispatch. */
  readonly groups: Ix
  readonly upTo?: number
  /** Passed over but on devices that do better with it. */
  readonly when?: string
  readonly workgroupBytes: number
  /** Threads of a workgroup along x and y. */
  readonly threads: readonly [number, number]
}
/** A weight in memory. */
export interface WeightNeeds {
  readonly name: string
  readonly bytes: number
  /** The buffers that it lies in, and the bytes of the largest. */
  readonly parts: number
  readonly largest: number
  /** Why it is in one piece although that is too large for a binding: a kernel would bind more buffers than there are. */
  readonly whole?: { readonly kernel: string; readonly bindings: number }
}
/** Kernels that draw an id from logits, and their buffers. */
export interface Drawing {
  readonly kernels: readonly { readonly needs: KernelNeeds; readonly kernel: StageKernel }[]
  /** Elements of the lists between the kernels: values and ids of each. */
  readonly lists: readonly number[]
  /** The input that a drawn id is given to, and dims of it that are 1. */
  readonly ids: string
  readonly rows: readonly string[]
  /** Steps on their way at a time: each has a buffer for its id. */
  readonly ahead: number
}
/** What an emitted module asks of a device. */
export interface Needs {
  /** As it is emitted: without programs that others do, its kernels in the order of `kernels`. */
  readonly module: Module
  readonly kernels: readonly KernelNeeds[]
  readonly weights: readonly WeightNeeds[]
  /** What ids are drawn with on the device, where the module generates. */
  readonly drawing?: Drawing
  /** Bytes of the block of dims as kernels bind it, and of the buffer with one or more of them. */
  readonly uniform: { readonly binding: number; readonly buffer: number }
}

export interface Target {
  readonly name: 'typescript' | 'wgsl' | 'wasm'
  readonly description: string
  readonly floats: FloatRules
  /**
   * The layout of a constant right operand [K, N] of a contraction, whose logical axes are `[K, N]`; `as` says how it is to be kept in memory,
   * where the target can, `order` how the model has it: with columns or with summands innermost.
   */
  readonly panelLayout: (k: number, n: number, as?: WeightFormat, order?: 'kn' | 'nk') => Layout
  /**
   * Whether it pays for each dispatch, so that kernels of few rows (a step's) begin with the norm that they read, and sums before a norm are
   * stored by the projection before them (docs/decisions/0012). Default false.
   */
  readonly prologues?: boolean
  /** Whether it computes with matrices that stay in fewer bits in memory, as `panelLayout` is told. */
  readonly keeps?: boolean
  /** What modules ask of a device with this profile, of targets whose devices have limits. */
  readonly needs?: (module: Module, profile: DeviceProfile) => Promise<Needs>
  readonly emit: (module: Module, options: EmitOptions) => Promise<readonly Artifact[]>
}
