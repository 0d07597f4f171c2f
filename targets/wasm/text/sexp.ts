/** S-expressions of the WebAssembly text format, and how they are laid out: one statement per line, folded where it is short. */

/** An atom, a comment (`;; …`, on a line of its own), or a list that starts with its operator. */
export type Sx = string | readonly Sx[]

const width = 120
const isComment = (x: Sx): x is string => typeof x === 'string' && x.startsWith(';;')
/** Operators whose operands are statements. */
const blocks: ReadonlySet<Sx> = new Set(['module', 'func', 'loop', 'block', 'then', 'else'])

/** What is known of lists: each is asked about at every level around it. */
const texts = new WeakMap<readonly Sx[], string>()
const tallness = new WeakMap<readonly Sx[], boolean>()

export function flat(x: Sx): string {
  if (typeof x === 'string') return x
  let text = texts.get(x)
  if (text === undefined) texts.set(x, (text = `(${x.map(flat).join(' ')})`))
  return text
}

/** Whether it takes several lines, however short it is. */
function isTall(x: Sx): boolean {
  if (typeof x === 'string') return isComment(x)
  let tall = tallness.get(x)
  if (tall === undefined) {
    const long = (x[0] === 'then' || x[0] === 'else' || x[0] === 'func') && x.length > 2
    tallness.set(x, (tall = x[0] === 'loop' || long || x.some(isTall)))
  }
  return tall
}

/** The lines of one expression or statement, the first of them indented by `depth` steps. */
export function format(x: Sx, depth = 0): string[] {
  const pad = '  '.repeat(depth)
  if (typeof x === 'string') return [pad + x]
  const tall = isTall(x)
  if (!tall) {
    const line = pad + flat(x)
    if (line.length <= width || x.every((y) => typeof y === 'string')) return [line]
  }
  if (x[0] === 'if' && x.some((y) => y[0] === 'then')) return formatIf(x, depth)
  const { head, rest } = split(x, tall || blocks.has(x[0]))
  const inner = '  '.repeat(depth + 1)
  // The head of a function: what it is, then its declarations, as many on a line as fit.
  const body = x[0] === 'func' ? rest.findIndex((y) => !isComment(y) && !isDeclaration(y)) : 0
  const top = rest.slice(0, body < 0 ? rest.length : body)
  const lines = [
    `${pad}(${head}`,
    ...top.filter(isComment).map((y) => inner + y),
    ...fill(top.filter((y) => !isComment(y)).map(flat), inner),
    ...rest.slice(top.length).flatMap((y) => format(y, depth + 1)),
  ]
  return close(lines, blocks.has(x[0]) || isComment(x[x.length - 1]) ? pad : undefined)
}

const isDeclaration = (x: Sx): boolean => ['export', 'param', 'result', 'local'].includes(String(x[0]))
/** As many on a line as fit. */
export function fill(items: readonly string[], pad: string): string[] {
  const lines: string[] = []
  for (const item of items) {
    const last = lines.length - 1
    if (last >= 0 && lines[last].length + item.length < width) lines[last] += ` ${item}`
    else lines.push(pad + item)
  }
  return lines
}

/** `(if (condition) (then … ) (else … ))`, without lines that hold nothing but a word. */
function formatIf(x: readonly Sx[], depth: number): string[] {
  const pad = '  '.repeat(depth)
  const at = x.findIndex((y) => typeof y !== 'string' && y[0] === 'then')
  const [then, other] = [x[at] as readonly Sx[], x[at + 1] as readonly Sx[] | undefined]
  const opening = format(x.slice(0, at), depth)
  const last = opening.length - 1
  opening[last] = `${opening[last].slice(0, -1)} (then`
  const inside = (y: readonly Sx[]): string[] => y.slice(1).flatMap((s) => format(s, depth + 1))
  const middle = other === undefined ? [] : [`${pad}) (else`, ...inside(other)]
  return [...opening, ...inside(then), ...middle, `${pad}))`]
}

/** What stays on the first line: the operator and the atoms after it. */
function split(x: readonly Sx[], onlyAtoms: boolean): { readonly head: string; readonly rest: readonly Sx[] } {
  let n = 1
  while (n < x.length && typeof x[n] === 'string' && !isComment(x[n])) n++
  if (!onlyAtoms && n === 1 && typeof x[1] !== 'string' && x.length === 2 && x[1] !== undefined) {
    // A chain of single operands goes on in the same line.
    const [only] = format(x[1], 0)
    if (only.length < 40 && flat(x[1]) === only) n = 2
  }
  return { head: x.slice(0, n).map(flat).join(' '), rest: x.slice(n) }
}

function close(lines: string[], pad: string | undefined): string[] {
  if (pad !== undefined) lines.push(`${pad})`)
  else lines[lines.length - 1] += ')'
  return lines
}

/** Lines of comments: no line break, nothing that changes the direction of text. */
export function comment(text: string): readonly string[] {
  const bad = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/g
  return text.split(/\r\n|[\r\n\u2028\u2029]/).map((l) => `;; ${l.replace(bad, ' ').trim()}`.trimEnd())
}

export const get = (local: string): Sx => ['local.get', local]
export const set = (local: string, x: Sx): Sx => ['local.set', local, x]
export const tee = (local: string, x: Sx): Sx => ['local.tee', local, x]
export const i32 = (n: number): Sx => ['i32.const', String(n)]

/** A number as an f32 constant: the shortest decimal that means it; what is too large for f32 is its largest number. */
export function f32Text(x: number): string {
  if (Number.isNaN(x)) return 'nan'
  if (!Number.isFinite(x)) return x > 0 ? 'inf' : '-inf'
  if (Object.is(x, -0)) return '-0'
  const most = 3.4028234663852886e38
  const value = Math.fround(Math.min(most, Math.max(-most, x)))
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return short(Number(text))
  }
  return short(Number(value.toPrecision(9)))
}
const short = (x: number): string => {
  const [plain, exponent] = [String(x), x.toExponential()].map((s) => s.replace('e+', 'e'))
  return exponent.length < plain.length ? exponent : plain
}
