/** What is shared by everything printed into one module: the language, names at top level, helper functions and scratch. */
import type { Scalar } from '../../src/kernel/expr.ts'
import type { MathHelper, MathTable } from './javascript/math.ts'
import { isTable, mathHelpers, mathTables } from './javascript/math.ts'
import type { Names } from './text.ts'
import { docComment, indent, names } from './text.ts'

export type Language = 'ts' | 'js'

export interface Printer {
  readonly language: Language
  /** Names at the top level of the module. */
  readonly names: Names
  /** `: type`, in TypeScript. */
  readonly type: (type: string) => string
  readonly helper: (h: MathHelper) => string
  /** Storage that a kernel works in; gives its name. */
  readonly scratch: (wish: string, array: string, length: number) => string
  /** A part of storage, as an array of its own; gives its name. */
  readonly view: (wish: string, of: string, from: number, length: number) => string
  /** A function that several kernels call: printed once for each text (`lines` with its name left open); gives its name. */
  readonly shared: (wish: string, lines: (name: string) => readonly string[]) => string
  /** The helper functions and scratch asked for so far, as lines. */
  readonly support: () => string[]
}

export function printer(language: Language, taken: Iterable<string> = []): Printer {
  const top = names(taken)
  const helpers = new Map<MathHelper, string>()
  const tables = new Map<MathTable, string>()
  const functions = new Map<string, { readonly name: string; readonly lines: readonly string[] }>()
  const scratches = new Map<string, string>()
  const views = new Map<string, string>()
  const type = (t: string): string => (language === 'ts' ? `: ${t}` : '')
  const helper = (h: MathHelper): string => {
    const known = helpers.get(h)
    if (known !== undefined) return known
    const name = top.late(h)
    helpers.set(h, name)
    for (const used of mathHelpers[h].uses ?? []) {
      if (!isTable(used)) helper(used)
      else if (!tables.has(used)) tables.set(used, top.late(used))
    }
    return name
  }
  /** Names in the body of a helper as they are in this module. */
  const renamed = (line: string, uses: readonly (MathHelper | MathTable)[]): string =>
    uses.reduce(
      (text, used) =>
        text.replace(new RegExp(`(?<![.\\w])${used}\\b`, 'g'), isTable(used) ? tables.get(used)! : helpers.get(used)!),
      line,
    )
  return {
    language,
    names: top,
    type,
    helper,
    scratch: (wish, array, length) => {
      // Kernels do not run inside one another, so scratch of one name, kind and size is shared.
      const key = `${wish}:${array}:${length}`
      const known = scratches.get(key)
      if (known !== undefined) return known
      const name = top.late(wish)
      scratches.set(key, name)
      return name
    },
    view: (wish, of, from, length) => {
      const made = `${of}.subarray(${from}, ${from + length})`
      const known = views.get(made)
      if (known !== undefined) return known
      const name = top.late(wish)
      views.set(made, name)
      return name
    },
    shared: (wish, lines) => {
      const key = lines('?').join('\n')
      const known = functions.get(key)
      if (known !== undefined) return known.name
      const name = top.late(wish)
      functions.set(key, { name, lines: lines(name) })
      return name
    },
    support: () => {
      const lines: string[] = []
      for (const [h, name] of helpers) {
        const { doc, params, body, uses = [] } = mathHelpers[h]
        const head = `function ${name}(${params.map((p) => `${p}${type('number')}`).join(', ')})${type('number')} {`
        lines.push(...docComment([doc]), head, ...indent(body.map((l) => renamed(l, uses))), '}')
      }
      for (const [table, name] of tables) lines.push(`const ${name} = ${mathTables[table]}`)
      for (const f of functions.values()) lines.push(...f.lines)
      if (scratches.size > 0) lines.push('// Scratch of the kernels, so that no call allocates.')
      for (const [key, name] of scratches) {
        const [, array, length] = key.split(':')
        lines.push(`const ${name} = new ${array}(${length})`)
      }
      for (const [made, name] of views) lines.push(`const ${name} = ${made}`)
      return lines
    },
  }
}

/** The typed array of global storage. */
export const arrayOf = (of: Scalar): 'Float32Array' | 'Int32Array' =>
  of === 'f32' || of === 'f64' ? 'Float32Array' : 'Int32Array'
/** The typed array of private storage: sums and intermediates stay float64. */
export const scratchOf = (of: Scalar): 'Float64Array' | 'Int32Array' =>
  of === 'f32' || of === 'f64' ? 'Float64Array' : 'Int32Array'
