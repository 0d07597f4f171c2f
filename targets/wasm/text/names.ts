/** Identifiers of the text format, made from names that a source file chose: `$` and letters, digits, underscores. */

export type WasmType = 'i32' | 'f32' | 'v128'

/** Each wish becomes a name that is not taken. */
export interface Names {
  readonly name: (wish: string) => string
  /** The name of a number: `$0.5`. */
  readonly number: (text: string) => string
}
export function names(taken: Iterable<string> = []): Names {
  const used = new Set(taken)
  const take = (base: string): string => {
    const made = free(base, (n) => used.has(n))
    used.add(made)
    return made
  }
  return { name: (wish) => take(`$${cleaned(wish)}`), number: (text) => take(`$${text}`) }
}

function free(base: string, taken: (name: string) => boolean): string {
  let made = base
  for (let i = 2; taken(made); i++) made = `${base}${/\d$/.test(base) ? '_' : ''}${i}`
  return made
}
const cleaned = (wish: string): string => {
  const text = wish
    .slice(0, 60)
    .replace(/[^A-Za-z0-9_]+/g, '_')
    .replace(/^_+(?=.)|_+$/g, '')
  return text === '' ? 'v' : text
}

/** The locals of a function. Those of a block that has ended are used again by later ones that wish for the same name and type. */
export interface Locals {
  readonly local: (wish: string, type: WasmType) => string
  /** A name that stands for the whole function (a parameter). */
  readonly param: (wish: string) => string
  /** A vector of constants that stands for the whole function. */
  readonly constant: (text: string) => string
  readonly open: () => void
  readonly close: () => void
  /** All that were made, in order. */
  readonly declared: () => readonly (readonly [name: string, type: WasmType])[]
}
export function locals(): Locals {
  const own = names()
  const declared: (readonly [string, WasmType])[] = []
  const idle = new Map<string, string[]>()
  const open: (readonly [key: string, name: string])[][] = [[]]
  return {
    param: own.name,
    constant: (text) => {
      const made = own.number(text)
      declared.push([made, 'v128'])
      return made
    },
    local: (wish, type) => {
      const key = `${cleaned(wish)}:${type}`
      let made = idle.get(key)?.pop()
      if (made === undefined) {
        made = own.name(wish)
        declared.push([made, type])
      }
      open[open.length - 1].push([key, made])
      return made
    },
    open: () => void open.push([]),
    close: () => {
      // The first name goes back last, so that it is taken first again.
      for (const [key, name] of open.pop()!.reverse()) idle.set(key, [...(idle.get(key) ?? []), name])
    },
    declared: () => declared,
  }
}
