/** V8 settings of commands that work for about a second. */
import { setFlagsFromString } from 'node:v8'

/**
 * Code is optimised fifteen times later than V8 would: a compilation ends before the work of the optimiser pays, which is half of the time
 * of the process. Models that take long are still optimised.
 */
export function shortRun(): void {
  setFlagsFromString('--interrupt-budget=1000000')
}
