// Division of sorted term lists by a polynomial, with a remainder that depends only on the residue class.
import type { Atom, Term } from './records.ts'
import { addTerms, divAtoms, floorMod, mulTerms } from './terms.ts'

export interface Split {
  readonly quotient: readonly Term[]
  readonly rest: readonly Term[]
}

/** `x = quotient*b + rest`; no term of rest can be reduced by b's leading term, whose coefficients stay in 0..c-1. */
export function divideByTerms(x: readonly Term[], b: readonly Term[]): Split {
  const lead = b[0]
  let quotient: readonly Term[] = []
  let rest = x
  // Terms that a step adds come later in the order, so one pass in order reduces everything.
  for (let i = 0; i < rest.length;) {
    const t = rest[i]
    const atoms = divAtoms(t.atoms, lead.atoms)
    const r = atoms ? floorMod(t.coef, lead.coef) : t.coef
    if (!atoms || r === t.coef) {
      i++
      continue
    }
    const step = [{ coef: (t.coef - r) / lead.coef, atoms }]
    quotient = addTerms(quotient, step)
    rest = addTerms(rest, mulTerms([{ coef: -step[0].coef, atoms }], b))
    if (r !== 0) i++
  }
  return { quotient, rest }
}

/** The greatest monomial that divides every term. */
export function commonTerm(terms: readonly Term[]): Term {
  let coef = Math.abs(terms[0].coef)
  let atoms: readonly Atom[] = terms[0].atoms
  for (const t of terms.slice(1)) {
    coef = gcd(coef, Math.abs(t.coef))
    atoms = commonAtoms(atoms, t.atoms)
  }
  return { coef, atoms }
}

function commonAtoms(x: readonly Atom[], y: readonly Atom[]): readonly Atom[] {
  const out: Atom[] = []
  for (let i = 0, j = 0; i < x.length && j < y.length;) {
    if (x[i] === y[j]) {
      out.push(x[i])
      i++
      j++
    } else if (x[i].id < y[j].id) i++
    else j++
  }
  return out
}

export function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b]
  return a
}

/** The quotient, when the rest is zero. */
export function exactQuotient(x: readonly Term[], b: readonly Term[]): readonly Term[] | undefined {
  const split = divideByTerms(x, b)
  return split.rest.length === 0 ? split.quotient : undefined
}
