/** The processes of contenders on the processor: one busy at a time. */
import { fileURLToPath } from 'node:url'
import type { Running as RunningOf } from '../shared/process.ts'
import { startProcess } from '../shared/process.ts'
import type { Reply, Request } from './child.ts'

/** A contender at so many threads. */
export interface Contender {
  readonly name: string
  /** Which code runs: see child.ts. */
  readonly kind: string
  readonly threads: number
  /** Another Node. */
  readonly node?: string
  /** Flags of V8. */
  readonly flags?: readonly string[]
  /** Of ours: kernels for wide vectors, which `load` is asked for. */
  readonly wide?: boolean
}

export type Running = RunningOf<Request, Reply>

export const start = ({ node, flags = [] }: Contender): Running =>
  startProcess(fileURLToPath(import.meta.resolve('./child.js')), { heap: 8192, node, flags })
