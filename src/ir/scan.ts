/** Reading one line of graph text: words, literals and dims. */
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, floorDiv, max, min, mod, mul, neg, of, sub } from '../types/ix.ts'

export interface Scanner {
  /** Takes the token if it comes next. */
  readonly try: (token: string) => boolean
  readonly peek: (token: string) => boolean
  readonly peekWord: () => boolean
  readonly expect: (token: string) => void
  readonly word: () => string
  readonly string: () => string
  readonly number: () => number
  readonly json: () => string | number | boolean
  readonly dim: () => Ix
  readonly list: <X>(item: () => X) => X[]
  /** The text up to a character, trimmed. */
  readonly until: (stop: string) => string
  /** The rest of the line, after `#`. */
  readonly comment: () => string
  readonly end: () => void
  readonly fail: (message: string) => never
}

const isName = /^\w/

/** Dims resolve by name in `dims`, which may grow while lines are read. */
export function scanner(
  line: string,
  error: (message: string) => Error,
  dims: { readonly get: (name: string) => Sym | undefined },
): Scanner {
  let at = 0
  const rest = (): string => {
    while (line[at] === ' ') at++
    return line.slice(at)
  }
  const fail = (message: string): never => {
    throw error(`${message}, before \`${rest()}\``)
  }
  const peek = (token: string): boolean => {
    const ahead = rest()
    return ahead.startsWith(token) && !(isName.test(token) && /\w/.test(ahead[token.length] ?? ''))
  }
  const take = (token: string): boolean => {
    if (!peek(token)) return false
    at += token.length
    return true
  }
  const expect = (token: string): void => {
    if (!take(token)) fail(`expected \`${token}\``)
  }
  const match = (pattern: RegExp, what: string): string => {
    const found = pattern.exec(rest())
    if (found === null) return fail(`expected ${what}`)
    at += found[0].length
    return found[0]
  }
  const word = (): string => match(/^[\w.\-']+/, 'a name')
  const string = (): string => JSON.parse(match(/^"(?:[^"\\]|\\.)*"/, 'a string')) as string
  const number = (): number => Number(match(/^(?:-?(?:Infinity|\d+(?:\.\d+)?(?:e[+-]?\d+)?)|NaN)/, 'a number'))
  const json = (): string | number | boolean => {
    if (peek('"')) return string()
    if (take('true')) return true
    return take('false') ? false : number()
  }
  const atom = (): Ix => {
    if (take('(')) {
      const inner = sum()
      expect(')')
      return inner
    }
    if (take('-')) return neg(atom())
    const name = match(/^\w+/, 'a dim')
    if (/^\d/.test(name)) return con(Number(name))
    if ((name === 'min' || name === 'max') && take('(')) {
      const a = sum()
      expect(',')
      const b = sum()
      expect(')')
      return name === 'min' ? min(a, b) : max(a, b)
    }
    const s = dims.get(name)
    return s === undefined ? fail(`no dim ${name}`) : of(s)
  }
  const product = (): Ix => {
    let x = atom()
    for (;;) {
      if (take('//')) x = floorDiv(x, atom())
      else if (take('*')) x = mul(x, atom())
      else if (take('%')) x = mod(x, atom())
      else return x
    }
  }
  const sum = (): Ix => {
    let x = product()
    for (;;) {
      if (take('+')) x = add(x, product())
      else if (take('-')) x = sub(x, product())
      else return x
    }
  }
  return {
    try: take,
    peek,
    peekWord: () => isName.test(rest()),
    expect,
    word,
    string,
    number,
    json,
    dim: sum,
    list: (item) => {
      const out: ReturnType<typeof item>[] = []
      expect('[')
      while (!take(']')) {
        out.push(item())
        take(',')
      }
      return out
    },
    until: (stop) => {
      const ahead = rest()
      const found = ahead.indexOf(stop)
      at += found < 0 ? ahead.length : found
      return (found < 0 ? ahead : ahead.slice(0, found)).trim()
    },
    comment: () => {
      expect('#')
      const text = rest()
      at = line.length
      return text
    },
    end: () => {
      if (rest() !== '') fail('expected the end of the line')
    },
    fail,
  }
}
