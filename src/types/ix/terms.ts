// Lists of terms, sorted by degree (high first), then by atom ids; the constant comes last. Every step keeps the order.
import { IxOverflow, type Atom, type Term } from './records.ts'

export function compareAtoms(x: readonly Atom[], y: readonly Atom[]): number {
  if (x.length !== y.length) return y.length - x.length
  for (let i = 0; i < x.length; i++) {
    const d = x[i].id - y[i].id
    if (d !== 0) return d
  }
  return 0
}

export function addTerms(x: readonly Term[], y: readonly Term[]): readonly Term[] {
  if (x.length === 0) return y
  if (y.length === 0) return x
  const out: Term[] = []
  let i = 0
  let j = 0
  while (i < x.length && j < y.length) {
    const s = x[i]
    const t = y[j]
    const c = compareAtoms(s.atoms, t.atoms)
    if (c < 0) {
      out.push(s)
      i++
    } else if (c > 0) {
      out.push(t)
      j++
    } else {
      const coef = s.coef + t.coef
      if (coef !== 0) out.push({ coef, atoms: s.atoms })
      i++
      j++
    }
  }
  while (i < x.length) out.push(x[i++])
  while (j < y.length) out.push(y[j++])
  return out
}

export function mulAtoms(x: readonly Atom[], y: readonly Atom[]): readonly Atom[] {
  if (x.length === 0) return y
  if (y.length === 0) return x
  const out: Atom[] = []
  let i = 0
  let j = 0
  while (i < x.length && j < y.length) out.push(x[i].id <= y[j].id ? x[i++] : y[j++])
  while (i < x.length) out.push(x[i++])
  while (j < y.length) out.push(y[j++])
  return out
}

/** The order is a monomial order, so a list times one term stays sorted. */
export function mulTerms(x: readonly Term[], y: readonly Term[]): readonly Term[] {
  const [few, many] = x.length <= y.length ? [x, y] : [y, x]
  let out: readonly Term[] = []
  for (const t of few) out = addTerms(out, mulTerm(many, t.coef, t.atoms))
  return out
}

export function mulTerm(x: readonly Term[], c: number, atoms: readonly Atom[]): readonly Term[] {
  if (c === 1 && atoms.length === 0) return x
  const out: Term[] = []
  for (const u of x) {
    const coef = c * u.coef
    if (!Number.isSafeInteger(coef)) throw new IxOverflow(`coefficient ${coef}`)
    out.push({ coef, atoms: mulAtoms(atoms, u.atoms) })
  }
  return out
}

export function negated(x: readonly Term[]): readonly Term[] {
  return x.map((t) => ({ coef: -t.coef, atoms: t.atoms }))
}

/** `x / y` as monomials, or undefined. */
export function divAtoms(x: readonly Atom[], y: readonly Atom[]): readonly Atom[] | undefined {
  if (y.length === 0) return x
  if (y.length > x.length) return undefined
  const out: Atom[] = []
  let j = 0
  for (const a of x) {
    if (j < y.length && a === y[j]) j++
    else out.push(a)
  }
  return j === y.length ? out : undefined
}

export function floorMod(a: number, b: number): number {
  const r = a % b
  return (r < 0 ? r + Math.abs(b) : r) + 0
}
