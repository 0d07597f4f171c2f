/** What the page and its worker say to each other. */

export const targets = ['wgsl', 'wasm', 'typescript'] as const
export type TargetName = (typeof targets)[number]
export type ModelName = 'shakespeare' | 'translate'

/** Which model on which target. */
export interface Which {
  readonly model: ModelName
  readonly target: TargetName
}
export interface Job extends Which {
  readonly text: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
}
export type Ask = ({ readonly k: 'generate' } & Job) | ({ readonly k: 'selftest' } & Which) | { readonly k: 'stop' }

/** How far `load` has come, as the module tells it. */
export interface Loading extends Which {
  readonly phase: 'weights' | 'packing' | 'pipelines' | 'tuning'
  readonly loaded: number
  readonly total: number
}
export interface Kernel {
  readonly name: string
  /** During the last text; only WebGPU can be watched. */
  readonly dispatches?: number
  readonly workgroups?: number
  /** The largest error, as a part of what rounding may cause. */
  readonly error?: number
}
export interface Generated {
  readonly ids: readonly number[]
  /** The text of each token, as far as it is one by itself. */
  readonly tokens: readonly string[]
  readonly text: string
  /** Milliseconds from the request to the first token, loading included where `loaded` says so, and tokens per second after it. */
  readonly first: number
  readonly loaded: boolean
  readonly rate: number
}
export type Say =
  /** What this browser has, once. `lacks` is empty where a target can be used as it is meant to be. */
  | { readonly k: 'found'; readonly usable: readonly TargetName[]; readonly lacks: readonly string[] }
  | ({ readonly k: 'loading' } & Loading)
  | ({ readonly k: 'text'; readonly text: string; readonly tokens: number; readonly rate: number } & Which)
  | ({ readonly k: 'done'; readonly stopped: boolean; readonly result: Generated } & Which)
  | ({ readonly k: 'kernels'; readonly kernels: readonly Kernel[]; readonly tested: boolean } & Which)
  | { readonly k: 'failed'; readonly message: string }

export const titles: Readonly<Record<TargetName, string>> = {
  wgsl: 'WGSL',
  wasm: 'WebAssembly',
  typescript: 'TypeScript',
}
