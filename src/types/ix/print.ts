// Polynomials as text, and the view that `terms` gives.
import { INF, of } from './arith.ts'
import { core, hooks } from './core.ts'
import { digits } from './digits.ts'
import type { Atom, Ix, IxLike, Sym, Term } from './records.ts'

export interface PrintOptions {
  readonly name?: (s: Sym) => string
  /** How a data-dependent index reads; default its key. */
  readonly value?: (payload: unknown) => string
}

/** `T + 1`, `4*T*d`, `(n // 4)`, `n % 4`, `min(a, b)`. */
export function print(x: IxLike, opts: PrintOptions = {}): string {
  const ix = of(x)
  if (ix === INF) return '∞'
  const terms = ix.terms
  if (terms.length === 0) return '0'
  // A minus in front reads badly where another term can stand first.
  const first = terms.findIndex((t) => t.coef > 0)
  const order = first <= 0 ? terms : [terms[first], ...terms.slice(0, first), ...terms.slice(first + 1)]
  let out = ''
  for (const t of order) {
    const text = printProduct(t, opts)
    out += out === '' ? (t.coef < 0 ? `-${text}` : text) : t.coef < 0 ? ` - ${text}` : ` + ${text}`
  }
  return out
}

function printProduct(t: Term, opts: PrintOptions): string {
  const c = Math.abs(t.coef)
  const alone = c === 1 && t.atoms.length === 1
  const factors = t.atoms.map((a) => (a.k === 'mod' && !alone ? `(${printAtom(a, opts)})` : printAtom(a, opts)))
  if (c !== 1 || factors.length === 0) factors.unshift(String(c))
  return factors.join('*')
}

function printAtom(a: Atom, opts: PrintOptions): string {
  switch (a.k) {
    case 'sym':
      return opts.name ? opts.name(a) : a.name
    case 'value':
      return opts.value ? opts.value(a.value) : a.key
    case 'div':
      return `(${operand(a.a, opts)} // ${operand(a.b, opts)})`
    case 'mod':
      return `${operand(a.a, opts)} % ${operand(a.b, opts)}`
    default:
      return `${a.k}(${print(a.a, opts)}, ${print(a.b, opts)})`
  }
}

function operand(x: Ix, opts: PrintOptions): string {
  const text = print(x, opts)
  return /^([\w.]+|\([^()]*\)|\w+\([^()]*\))$/.test(text) ? text : `(${text})`
}

hooks.view = (x) => (x === INF ? core(x) : digits(core(x), false))
hooks.print = (x) => print(x)
