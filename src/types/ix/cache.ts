// Results of binary operations: a fixed number of recent ones, so that it cannot grow with the number of compiles.
import type { Ix } from './records.ts'

const SIZE = 1 << 14
const left: (Ix | undefined)[] = new Array<Ix | undefined>(SIZE).fill(undefined)
const right: (Ix | undefined)[] = new Array<Ix | undefined>(SIZE).fill(undefined)
const results: (Ix | undefined)[] = new Array<Ix | undefined>(SIZE).fill(undefined)
const ops = new Uint8Array(SIZE)

const OP = { add: 0, mul: 1, div: 2, mod: 3, min: 4, max: 5, sub: 6 } as const

/** `make(a, b)`, or what it gave before. */
export function cached(op: keyof typeof OP, a: Ix, b: Ix, make: (a: Ix, b: Ix) => Ix): Ix {
  const code = OP[op]
  const at =
    ((Math.imul(a.id, 0x9e3779b1) ^ Math.imul(b.id, 0x85ebca6b) ^ Math.imul(code + 1, 0x27d4eb2f)) >>> 7) & (SIZE - 1)
  if (left[at] === a && right[at] === b && ops[at] === code) return results[at]!
  const result = make(a, b)
  left[at] = a
  right[at] = b
  ops[at] = code
  results[at] = result
  return result
}
