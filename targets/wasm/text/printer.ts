/** What is shared by everything printed into one module: names at top level, helper functions, scratch. */
import type { Helper } from './helpers.ts'
import { helperFunction } from './helpers.ts'
import type { Names } from './names.ts'
import { names } from './names.ts'
import type { Sx } from './sexp.ts'

export interface Printer {
  /** With relaxed SIMD: products and sums in one rounding, nearest integers without checks. */
  readonly relaxed: boolean
  /** Names of functions and globals. */
  readonly names: Names
  /** Notes that a helper function is needed, and gives its name. */
  readonly helper: (h: Helper) => string
  /** Notes that a kernel works in so many bytes of scratch. */
  readonly scratch: (bytes: number) => void
  /** What a thread needs at `$scratch`: the most that any kernel asked for. */
  readonly scratchBytes: () => number
  /** The helper functions asked for so far, as functions. */
  readonly support: () => readonly (readonly Sx[])[]
}

/** Globals that emitted code reads: of the instance, so of the thread. `$scratch` is the address of this thread's working storage. */
export const globals = { thread: '$thread', threads: '$threads', scratch: '$scratch' } as const

export function printer(options: { readonly relaxed?: boolean; readonly taken?: Iterable<string> } = {}): Printer {
  const top = names([...Object.values(globals), ...(options.taken ?? [])])
  const asked = new Map<string, { readonly name: string; readonly text: readonly Sx[] }>()
  let bytes = 0
  const p: Printer = {
    relaxed: options.relaxed ?? false,
    names: top,
    helper: (h) => {
      const known = asked.get(h)
      if (known !== undefined) return known.name
      const name = top.name(h)
      const text = helperFunction(h, name, p)
      asked.set(h, { name, text })
      return name
    },
    scratch: (n) => void (bytes = Math.max(bytes, n)),
    scratchBytes: () => bytes,
    support: () => [...asked.values()].map((f) => f.text),
  }
  return p
}
