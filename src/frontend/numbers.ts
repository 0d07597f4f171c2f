/**
 * Exact numbers. `num / den` is a quotient of polynomials in the dims (and loop variables of comprehensions); `real` holds what
 * is not rational, or was written with a point. Integers stay integers until a tensor gives them a dtype.
 */
import {
  IxOverflow,
  add,
  exactDiv,
  floorDiv,
  isConst,
  mul,
  of,
  range,
  sub,
  symbolsOf as symbols,
  type Ix,
  type Sym,
} from '../types/ix.ts'

export interface Num {
  readonly k: 'num'
  readonly num: Ix
  readonly den: Ix
  /** Set where the value is no quotient of dims: then it is this number, and `num`, `den` mean nothing. */
  readonly real?: number
  /** It is the value of a dim: `axis = T` means the axis of this extent. */
  readonly dim?: true
}

/** The least value that x can be shown to keep to. */
export const lower = (x: Ix): number => range(x).lo

const one = (): Ix => of(1)

/** An integer polynomial as a number. */
export const int = (x: Ix | Sym | number): Num => ({ k: 'num', num: of(x), den: one() })

/** A number from a double: exact if it is an integer. */
export function number(x: number): Num {
  return Number.isSafeInteger(x) ? int(x) : { k: 'num', num: of(0), den: one(), real: x }
}

/** The value, if it is known at compile time. */
export function constantOf(x: Num): number | undefined {
  if (x.real !== undefined) return x.real
  const a = isConst(x.num)
  const b = isConst(x.den)
  return a === undefined || b === undefined ? undefined : a / b
}

/** The polynomial, if the number is a whole one for all values of its dims. */
export function whole(x: Num): Ix | undefined {
  if (x.real !== undefined) return Number.isSafeInteger(x.real) ? of(x.real) : undefined
  return isConst(x.den) === 1 ? x.num : undefined
}

/** Loop variables and dims it depends on. */
export function symbolsOf(x: Num): ReadonlySet<Sym> {
  if (x.real !== undefined) return new Set()
  return isConst(x.den) === 1 ? symbols(x.num) : new Set([...symbols(x.num), ...symbols(x.den)])
}

function ratio(num: Ix, den: Ix): Num {
  if (isConst(den) === 1) return { k: 'num', num, den }
  const a = isConst(num)
  const b = isConst(den)
  if (a !== undefined && b !== undefined) {
    // Not reduced further, so that a message has the numbers of the source: 50 is not divisible by 4.
    if (a % b === 0) return { k: 'num', num: of(a / b), den: one() }
    return b < 0 ? { k: 'num', num: of(-a), den: of(-b) } : { k: 'num', num, den }
  }
  const exact = exactDiv(num, den)
  return exact ? { k: 'num', num: exact, den: one() } : { k: 'num', num, den }
}

/** A double as a quotient of integers, if it has a short binary fraction (0.5, 0.125). */
function rational(x: Num): Num {
  if (x.real === undefined) return x
  for (let den = 1; den <= 65536; den *= 2) {
    const num = x.real * den
    if (Number.isSafeInteger(num)) return ratio(of(num), of(den))
  }
  return x
}

export type Arithmetic = '+' | '-' | '*' | '/' | '//' | '%' | '**'

/**
 * `a op b` if it can be said exactly or both are known; undefined if it must be computed by tensors (a root of `T`);
 * `'zero'` for a division by zero.
 */
export function arithmetic(op: Arithmetic, a: Num, b: Num): Num | undefined | 'zero' {
  try {
    return exact(op, a, b)
  } catch (error) {
    if (!(error instanceof IxOverflow)) throw error
    return inDoubles(op, a, b)
  }
}

function exact(op: Arithmetic, a: Num, b: Num): Num | undefined | 'zero' {
  const divides = op === '/' || op === '//' || op === '%'
  if (divides && constantOf(b) === 0) return 'zero'
  if (op === '**') return power(a, b)
  if (a.real !== undefined || b.real !== undefined) {
    const known = inDoubles(op, a, b)
    if (known !== undefined) return known
    const x = rational(a)
    const y = rational(b)
    return x.real !== undefined || y.real !== undefined ? undefined : exact(op, x, y)
  }
  switch (op) {
    case '+':
      return ratio(add(mul(a.num, b.den), mul(b.num, a.den)), mul(a.den, b.den))
    case '-':
      return ratio(sub(mul(a.num, b.den), mul(b.num, a.den)), mul(a.den, b.den))
    case '*':
      return ratio(mul(a.num, b.num), mul(a.den, b.den))
    case '/':
      return ratio(mul(a.num, b.den), mul(a.den, b.num))
    case '//':
    case '%': {
      const divisor = mul(b.num, a.den)
      const known = inDoubles(op, a, b)
      if (known !== undefined) return known
      if (lower(divisor) < 1) return undefined
      const quotient = int(floorDiv(mul(a.num, b.den), divisor))
      return op === '//' ? quotient : exact('-', a, exact('*', quotient, b) as Num)
    }
  }
}

function power(a: Num, b: Num): Num | undefined | 'zero' {
  const exponent = constantOf(b)
  if (exponent === undefined) return undefined
  if (a.real === undefined && Number.isInteger(exponent) && Math.abs(exponent) <= 16) {
    if (exponent < 0 && constantOf(a) === 0) return 'zero'
    let product = int(1)
    for (let i = 0; i < Math.abs(exponent); i++) product = exact('*', product, a) as Num
    return exponent < 0 ? (exact('/', int(1), product) as Num) : product
  }
  return inDoubles('**', a, b)
}

function inDoubles(op: Arithmetic, a: Num, b: Num): Num | undefined {
  const x = constantOf(a)
  const y = constantOf(b)
  if (x === undefined || y === undefined) return undefined
  switch (op) {
    case '+':
      return number(x + y)
    case '-':
      return number(x - y)
    case '*':
      return number(x * y)
    case '/':
      return number(x / y)
    case '//':
      return number(Math.floor(x / y))
    case '%':
      return number(x - y * Math.floor(x / y))
    case '**':
      return number(x ** y)
  }
}

export function negate(x: Num): Num {
  return x.real !== undefined ? number(-x.real) : { k: 'num', num: mul(-1, x.num), den: x.den }
}

/** The sign of `a - b`, if the same for all values of the dims: '<', '=', '>', or half known as '<=' or '>='. */
export function compare(a: Num, b: Num): '<' | '=' | '>' | '<=' | '>=' | '!=' | undefined {
  const x = constantOf(a)
  const y = constantOf(b)
  if (x !== undefined && y !== undefined) return x < y ? '<' : x > y ? '>' : x === y ? '=' : undefined
  const d = arithmetic('-', a, b)
  if (d === undefined || d === 'zero' || d.real !== undefined || lower(d.den) < 1) return undefined
  if (isConst(d.num) === 0) return '='
  const least = lower(d.num)
  const most = -lower(mul(-1, d.num))
  if (least > 0) return '>'
  if (most < 0) return '<'
  if (least === 0) return '>='
  if (most === 0) return '<='
  return undefined
}
