/** The processes of contenders on the graphics card. */
import { fileURLToPath } from 'node:url'
import type { Running as RunningOf } from '../shared/process.ts'
import { startProcess } from '../shared/process.ts'
import type { Reply, Request } from './child.ts'

export type Running = RunningOf<Request, Reply>

/** `patience`: seconds that an answer may take. */
export const start = (patience: number): Running =>
  startProcess(fileURLToPath(import.meta.resolve('./child.js')), { heap: 16384, flags: ['--no-warnings'], patience })
