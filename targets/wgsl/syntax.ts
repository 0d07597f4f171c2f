/** Pieces of WGSL expressions, with parentheses only where binding strength asks for them. */

/** Binding strength. `or` and `and` do not mix without parentheses in WGSL, nor do comparisons with each other. */
export const P = { or: 2, and: 3, compare: 9, add: 11, mul: 12, unary: 14, call: 17 } as const
export interface Text {
  readonly s: string
  readonly p: number
}
export const atomText = (s: string): Text => ({ s, p: P.call })
export const call = (f: string, ...xs: readonly Text[]): Text => atomText(`${f}(${xs.map((x) => x.s).join(', ')})`)
export const within = (x: Text, p: number): string => (x.p < p ? `(${x.s})` : x.s)
export function infix(op: string, p: number, a: Text, b: Text, associative = false): Text {
  const mixed = (x: Text): boolean => (p === P.or || p === P.and) && (x.p === P.or || x.p === P.and) && x.p !== p
  const left = p === P.compare || mixed(a) ? p + 1 : p
  const side = (x: Text, q: number): string => (mixed(x) ? `(${x.s})` : within(x, q))
  return { s: `${side(a, left)} ${op} ${side(b, associative ? p : p + 1)}`, p }
}
export const negated = (x: Text): Text => ({ s: `-${within(x, x.s.startsWith('-') ? P.call : P.unary)}`, p: P.unary })
