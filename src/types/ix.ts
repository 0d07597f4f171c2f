/**
 * Index polynomials: tensor dims, loop bounds and addresses. Equal means `===`. See `docs/index-polynomials.md`.
 * All functions take `Ix | Sym | number`.
 */
export { IxOverflow } from './ix/records.ts'
export type { Atom, DivMod, Ix, IxLike, MinMax, Sym, Term, Value } from './ix/records.ts'
export { con } from './ix/core.ts'
export {
  add,
  ceilDiv,
  exactDiv,
  floorDiv,
  INF,
  isConst,
  max,
  min,
  mod,
  mul,
  neg,
  of,
  sub,
  sym,
  valueIx,
} from './ix/arith.ts'
export type { SymOptions } from './ix/arith.ts'
export { proveEq, proveGe, proveLe, proveLt, range } from './ix/bounds.ts'
export { coefficientOf, dependsOn, evaluate, mapValues, substitute, symbolsOf, valuesOf } from './ix/rewrite.ts'
export { print } from './ix/print.ts'
export type { PrintOptions } from './ix/print.ts'
