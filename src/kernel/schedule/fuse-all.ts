/** Loops over the same range that may be one, are: a row is walked fewer times. */
import type { NestKernel } from '../nest.ts'
import { loopsOf } from '../walk.ts'
import { IllegalSchedule } from './edit.ts'
import { fuse } from './fuse.ts'
import { forward } from './forward.ts'

/** Fuses wherever `fuse` is legal, the first loops first; what the second then loads again is at hand. */
export function fuseAll(nest: NestKernel): NestKernel {
  let made = nest
  const refused = new Set<string>()
  for (let again = true; again;) {
    again = false
    const loops = loopsOf(made.body)
    for (const [i, a] of loops.entries()) {
      for (const b of loops.slice(i + 1)) {
        const key = `${a.v.id} ${b.v.id}`
        if (a.lo !== b.lo || a.hi !== b.hi || a.step !== b.step || a.kind !== b.kind || refused.has(key)) continue
        const fused = attempt(made, a.v, b.v)
        if (fused === undefined) {
          refused.add(key)
          continue
        }
        made = fused
        again = true
        break
      }
      if (again) break
    }
  }
  return forward(made)
}

function attempt(
  nest: NestKernel,
  a: Parameters<typeof fuse>[1],
  b: Parameters<typeof fuse>[2],
): NestKernel | undefined {
  try {
    return fuse(nest, a, b)
  } catch (e) {
    if (e instanceof IllegalSchedule) return undefined
    throw e
  }
}
