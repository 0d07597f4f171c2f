// The view of a core in which remainders are found again: `x - a*(x div a)` becomes `x mod a`, and a sum over the
// quotients of one x by a chain of divisors becomes a sum of its mixed-radix digits.
import { floorDiv } from './arith.ts'
import { atomIx, core, expansionOf, intern, isExact, modAtom } from './core.ts'
import { exactQuotient } from './divide.ts'
import type { Atom, DivMod, Ix, Term } from './records.ts'
import { addTerms, compareAtoms, divAtoms, mulAtoms, mulTerms, negated } from './terms.ts'

/** As `terms`, but with mod atoms. `full` also splits `x + x div a` into `x mod a + (a+1)*(x div a)`. */
export function digits(terms: readonly Term[], full: boolean): readonly Term[] {
  const divs = new Set<DivMod>()
  for (const t of terms) for (const a of t.atoms) if (a.k === 'div') divs.add(a)
  if (divs.size === 0) return terms
  // Finest first: a coarser quotient is then a digit of a finer one.
  const chain = [...divs].sort((d, e) => compareDivisors(core(d.b), core(e.b)) || d.id - e.id)
  for (let i = 0; i < chain.length; i++) {
    const d = chain[i]
    for (let j = i - 1; j >= 0; j--) {
      const finer = asQuotientOf(d, chain[j])
      if (finer) terms = splitOff(terms, finer.a, finer.b, d, full)
    }
    terms = splitOff(terms, d.a, d.b, d, full)
  }
  return terms
}

/** Back to a polynomial without mod atoms. */
export function fromDigits(terms: readonly Term[]): Ix {
  let out: readonly Term[] = terms.filter((t) => t.atoms.every((a) => a.k !== 'mod'))
  if (out.length === terms.length) return intern(terms)
  for (const t of terms) {
    if (t.atoms.every((a) => a.k !== 'mod')) continue
    let part: readonly Term[] = [{ coef: t.coef, atoms: [] }]
    for (const a of t.atoms) part = mulTerms(part, expand(a))
    out = addTerms(out, part)
  }
  return intern(out)
}

function expand(a: Atom): readonly Term[] {
  const x = expansionOf(a)
  return x ? core(x) : [{ coef: 1, atoms: [a] }]
}

function compareDivisors(x: readonly Term[], y: readonly Term[]): number {
  return x[0].atoms.length - y[0].atoms.length || x[0].coef - y[0].coef
}

/** `d = (e + v) div h`, when the divisor of e divides that of d. */
function asQuotientOf(d: DivMod, e: DivMod): { a: Ix; b: Ix } | undefined {
  const h = exactQuotient(core(d.b), core(e.b))
  const v = h && h.length > 0 && exactQuotient(addTerms(core(d.a), negated(core(e.a))), core(e.b))
  if (!v || (h.length === 1 && h[0].coef === 1 && h[0].atoms.length === 0)) return undefined
  const self = atomIx(e)
  return { a: v.length === 0 ? self : intern(addTerms(core(self), v)), b: intern(h) }
}

/** Replaces `w*a` by `w*(a mod b) + w*b*d` for every w for which that takes something away from terms with d. */
function splitOff(terms: readonly Term[], a: Ix, b: Ix, d: DivMod, full: boolean): readonly Term[] {
  const aTerms = core(a)
  const lead = aTerms[0]
  if (Math.abs(lead.coef) !== 1) full = false // digits of 2*x would leave half numbers of x
  const wraps = mulTerms(core(b), [{ coef: 1, atoms: [d] }])
  // Of a number, the multiple shows only in the terms with d.
  const by = lead.atoms.length > 0 ? lead : { coef: -wraps[0].coef, atoms: wraps[0].atoms }
  for (const t of terms) {
    const atoms = divAtoms(t.atoms, by.atoms)
    if (!atoms || t.coef % by.coef !== 0 || atoms.includes(d)) continue
    const w: Term[] = [{ coef: t.coef / by.coef, atoms }]
    const whole = mulTerms(w, aTerms)
    const back = mulTerms(w, wraps)
    if (!whole.every((u) => u.atoms.length === 0 || covers(terms, u))) continue
    const at = find(terms, back[0].atoms)
    if (!at || (!full && at.coef > 0 === back[0].coef > 0)) continue
    if (floorDiv(a, b) !== atomIx(d)) return terms // another form of d: `a mod b` would not be read back as this
    const digit = isExact(d) ? [] : [{ coef: w[0].coef, atoms: mulAtoms(atoms, [modAtom(a, b, d)]) }]
    return splitOff(addTerms(addTerms(addTerms(terms, negated(whole)), back), digit), a, b, d, full)
  }
  return terms
}

function find(terms: readonly Term[], atoms: readonly Atom[]): Term | undefined {
  return terms.find((t) => compareAtoms(t.atoms, atoms) === 0)
}

function covers(terms: readonly Term[], u: Term): boolean {
  const t = find(terms, u.atoms)
  return t !== undefined && t.coef > 0 === u.coef > 0 && Math.abs(t.coef) >= Math.abs(u.coef)
}
