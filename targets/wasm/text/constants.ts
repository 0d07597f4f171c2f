/** Vectors of constants that loops use, in locals: newer versions of V8 build them anew at each use (measured: 1.7 times the time of tanh). */
import type { Sx } from './sexp.ts'
import { flat, get, set } from './sexp.ts'

/** A vector of constants that is not 0. */
export function isConstantVector(x: Sx): boolean {
  if (typeof x === 'string') return false
  if (x[0] === 'v128.const') return x.slice(2).some((n) => n !== '0')
  return /^\w+\.splat$/.test(String(x[0])) && /^\w+\.const$/.test(String(x[1][0]))
}

/** Statements of a function with their constants set first, each in a local of its name. One that is 0 costs nothing and stays. */
export function namedConstants(body: readonly Sx[], local: (text: string) => string): readonly Sx[] {
  const known = new Map<string, string>()
  const first: Sx[] = []
  const go = (x: Sx, inLoop: boolean): Sx => {
    if (typeof x === 'string') return x
    if (inLoop && isConstantVector(x)) {
      const key = flat(x)
      let name = known.get(key)
      if (name === undefined) {
        known.set(key, (name = local(x[0] === 'v128.const' ? x.slice(2).join('_') : String(x[1][1]))))
        first.push(set(name, x))
      }
      return get(name)
    }
    const inside = inLoop || x[0] === 'loop'
    const made = x.map((y) => go(y, inside))
    return made.some((y, i) => y !== x[i]) ? made : x
  }
  const rest = body.map((x) => go(x, false))
  return [...first, ...rest]
}
