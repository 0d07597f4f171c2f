/** What every contender offers to the process that it runs in. */
import type { Workload } from '../workloads.ts'

export interface Task {
  readonly workload: Workload
  readonly threads: number
  /** Of ours: the emitted module. */
  readonly module?: string
  readonly wide?: boolean
  /** Of ONNX Runtime: the graphs to try; the fastest stays. */
  readonly variants: readonly string[]
}

export interface Opened {
  /** One call, from inputs in JavaScript arrays to the result in one. */
  readonly run: () => Promise<Float32Array>
  /** Done before each turn and not timed, such as filling a cache. */
  readonly before?: () => Promise<void>
  /** Calls in a turn, at most. */
  readonly limit?: number
  /** Of several ways, the one that is timed. */
  readonly note?: string
}

/** Loads library, model and weights. */
export type Open = (task: Task) => Promise<Opened>
