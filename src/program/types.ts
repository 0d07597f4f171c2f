/**
 * Host programs: what runs, in which order, over which storage. One program per way of calling the model; each target prints
 * them. Kernels are shared between programs; equal kernels exist once.
 */
import type { Layout } from '../kernel/buffer.ts'
import type { StageKernel } from '../kernel/stage.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix, Sym } from '../types/ix.ts'
import type { Constraint, EntrySpec, ParamSpec, WeightRules } from '../types/model.ts'

/** Storage of one kernel argument. `weight` and `state` names may be templates over the layer variable of an enclosing `layers`. */
export type Slot =
  | { readonly k: 'weight'; readonly name: string }
  | { readonly k: 'state'; readonly name: string }
  | { readonly k: 'input'; readonly name: string }
  | { readonly k: 'output'; readonly name: string }
  /** Planned memory: `index` into the program's `slots`. */
  | { readonly k: 'activation'; readonly index: number }
  /** Names that differ from layer to layer: `names[i]` in iteration i. */
  | { readonly k: 'perLayer'; readonly of: 'weight' | 'state'; readonly names: readonly string[] }

export type HostStep =
  | { readonly k: 'dispatch'; readonly kernel: number; readonly args: readonly Slot[]; readonly label: string }
  | { readonly k: 'layers'; readonly count: number; readonly body: readonly HostStep[] }
  /** Runs its body for each t < count, from the end if `reverse`. Kernels of the body may take t as one more scalar. */
  | {
      readonly k: 'scan'
      readonly t: Sym
      readonly count: Ix
      readonly reverse: boolean
      readonly body: readonly HostStep[]
    }

export interface Port {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly Ix[]
  /** Whether it may be left out: every element is `fill` then. */
  readonly optional: boolean
  readonly fill?: number
  /** Elements of an i32 input that index a table must be >= 0 and below this. */
  readonly below?: Ix
  readonly doc?: string
}

/**
 * `run`: the whole model, without state. `prepare`: what the sequence axis does not touch, kept in state. `prefill`: T new positions
 * after P past ones, appended to the caches. `step`: the same at T = 1. `reorder`: rows of the state, gathered; what it writes lies
 * beside the state, under names that begin with `~`.
 */
export type ProgramName = 'run' | 'prepare' | 'prefill' | 'step' | 'reorder'

export interface Program {
  readonly name: ProgramName
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  readonly steps: readonly HostStep[]
  /** Planned activation storage: element counts (4 bytes each) in the dims. */
  readonly slots: readonly Ix[]
  readonly constraints: readonly Constraint[]
}

/** State kept between calls. A cache grows along its first stored axis (`positions`), hoisted values do not. */
export interface StateSpec {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly Ix[]
  /** Axis whose extent is P + T; storage puts it first, so growing keeps the prefix. Absent for hoisted values. */
  readonly axis?: number
  readonly layout: Layout
  /** Whether `reorder` gathers its rows. */
  readonly rows?: boolean
}

/** What `load` must produce from the checkpoint for the kernels: a checkpoint tensor or an expression of several, in a layout. */
export interface WeightSlot {
  readonly name: string
  readonly dtype: 'f32' | 'i32'
  readonly shape: readonly number[]
  readonly layout: Layout
  /** Checkpoint tensors it is made of. */
  readonly from: readonly string[]
  /** Computes the slot from the raw tensors (args: `from` in order, then the slot). Absent: a plain row-major copy of `from[0]`. */
  readonly pack?: StageKernel
}

/** A whole compiled model before a target schedules and prints it. */
export interface Module {
  readonly name: string
  readonly doc?: string
  readonly source: string
  readonly hyper: Readonly<Record<string, number | string | boolean>>
  readonly params: readonly ParamSpec[]
  readonly rules: WeightRules
  readonly entries: readonly EntrySpec[]
  readonly dims: readonly Sym[]
  /** The sequence dim T and the past length P, where the model can be stepped; the dim of rows, where `reorder` gathers them. */
  readonly sequence?: { readonly T: Sym; readonly past: Sym; readonly max: number; readonly batch?: Sym }
  readonly weights: readonly WeightSlot[]
  readonly state: readonly StateSpec[]
  readonly kernels: readonly StageKernel[]
  readonly programs: readonly Program[]
  /** Why the model cannot be stepped, if it cannot. */
  readonly notSteppable?: string
}
