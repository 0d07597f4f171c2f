/** Names of symbols, locals and buffers in printed and emitted code: unique, and as close to the wanted ones as possible. */
import type { Ix, Sym } from '../types/ix.ts'

export type Namer = (thing: object, wanted: string) => string

/** Gives each object one name; `taken` are names not to use. Characters other than letters, digits and `_` become `_`. */
export function makeNamer(taken: Iterable<string> = []): Namer {
  const used = new Set(taken)
  const names = new Map<object, string>()
  const next = new Map<string, number>()
  return (thing, wanted) => {
    const known = names.get(thing)
    if (known !== undefined) return known
    const clean = wanted.replace(/[^A-Za-z0-9_]/g, '_')
    const base = /^[A-Za-z_]/.test(clean) ? clean : `v${clean}`
    let name = base
    for (let i = next.get(base) ?? 1; used.has(name); i++) {
      name = /\d$/.test(base) ? `${base}_${i}` : `${base}${i}`
      next.set(base, i + 1)
    }
    used.add(name)
    names.set(thing, name)
    return name
  }
}

/** How an index polynomial is spelled. `call` gives text that binds tighter than `*`: a call or something in parentheses. */
export interface IxStyle {
  readonly sym: (s: Sym) => string
  readonly value: (payload: unknown, lo: Ix, hi: Ix) => string
  readonly call: (f: 'div' | 'mod' | 'min' | 'max', a: string, b: string) => string
  /** Spelling of a number; decimal by default. */
  readonly number?: (n: number) => string
}

/** Spells an index: `4 * m + k - 1`. `tight` puts sums in parentheses, for use as an operand. */
export function ixText(x: Ix, style: IxStyle, tight = false): string {
  const num = style.number ?? String
  if (x.terms.length === 0) return num(0)
  const positive = [...x.terms.filter((t) => t.coef > 0), ...x.terms.filter((t) => t.coef < 0)]
  let text = ''
  positive.forEach((t, i) => {
    const c = Math.abs(t.coef)
    const factors = t.atoms.map((a) => {
      if (a.k === 'sym') return style.sym(a)
      if (a.k === 'value') return style.value(a.value, a.lo, a.hi)
      return style.call(a.k, ixText(a.a, style), ixText(a.b, style))
    })
    const product = factors.length === 0 ? num(c) : [...(c === 1 ? [] : [num(c)]), ...factors].join(' * ')
    if (i === 0) text = t.coef < 0 ? `-${product}` : product
    else text += t.coef < 0 ? ` - ${product}` : ` + ${product}`
  })
  const single = positive.length === 1 && positive[0].coef > 0
  return tight && !single ? `(${text})` : text
}

/** The same with operands of a `call` in parentheses where needed, for infix spellings. */
export const infix = (text: string): string => (/^[\w.]+$/.test(text) ? text : `(${text})`)
