/** Safe text: identifiers, string literals and comments from names that a source file chose, and indented lines. */

/** Words that may not name a variable in a strict module, and globals that emitted code uses. */
const reserved = new Set(
  (
    'await break case catch class const continue debugger default delete do else enum eval export extends false finally for function if implements import in ' +
    'instanceof interface let new null package private protected public return static super switch this throw true try typeof undefined var void while with yield ' +
    'arguments async of as any number string boolean never unknown object symbol type NaN Infinity Math Array Object Number String Boolean Map Set Error Promise ' +
    'Float32Array Float64Array Int32Array Uint8Array Uint16Array Uint32Array BigInt BigUint64Array ArrayBuffer DataView JSON Date globalThis process fetch URL ' +
    'Response Blob File AbortSignal TextDecoder TextEncoder ReadableStream console Symbol Reflect Proxy Record Partial Required Readonly Omit Pick'
  ).split(' '),
)

/** A scope of identifiers: each wish becomes a valid name that no other wish of this scope or an outer one has. */
export interface Names {
  readonly name: (wish: string) => string
  /** A name that no scope inside this one has either, for what is found to be needed while those are being filled. */
  readonly late: (wish: string) => string
  /** A scope inside this one. */
  readonly child: () => Names
}
export function names(
  taken: Iterable<string> = [],
  outer: (name: string) => boolean = () => false,
  tellOuter: (name: string) => void = () => {},
): Names {
  const used = new Set(taken)
  const inside = new Set<string>()
  const isTaken = (name: string): boolean => used.has(name) || reserved.has(name) || outer(name)
  const make = (wish: string, refused: (name: string) => boolean): string => {
    const base = identifier(wish)
    let made = base
    for (let i = 2; refused(made); i++) made = `${base}${/\d$/.test(base) ? '_' : ''}${i}`
    used.add(made)
    tellOuter(made)
    return made
  }
  return {
    name: (wish) => make(wish, isTaken),
    late: (wish) => make(wish, (name) => isTaken(name) || inside.has(name)),
    child: () =>
      names([], isTaken, (name) => {
        inside.add(name)
        tellOuter(name)
      }),
  }
}

/** Letters, digits and underscores, not starting with a digit; anything else becomes an underscore. */
export function identifier(wish: string): string {
  const cleaned = wish
    .slice(0, 60)
    .replace(/[^A-Za-z0-9_]+/g, '_')
    .replace(/^_+(?=.)|_+$/g, '')
  if (cleaned === '') return 'v'
  return /^\d/.test(cleaned) ? `_${cleaned}` : cleaned
}

/** A single-quoted string literal. No character of the text can end it, nor a line, nor a script element around it. */
export function quote(text: string): string {
  const body = JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"').replace(/'/g, "\\'")
  return `'${escapeRest(body)}'`
}
const escapeRest = (body: string): string =>
  body
    .replace(
      /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    .replace(/<(?=[/!])/g, '\\x3c')

/** Template text with `${variable}` for each place where it is cut: `['h.', '.ln_1']` → `h.${i}.ln_1` in backquotes. */
export function template(parts: readonly string[], variable: string): string {
  const safe = parts.map((p) => quote(p).slice(1, -1).replace(/\\'/g, "'").replace(/`/g, '\\`').replace(/\$/g, '\\$'))
  return `\`${safe.join(`\${${variable}}`)}\``
}

/** A property name or access: bare where that is valid. */
export const isPlain = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== '__proto__'
export const property = (name: string): string =>
  isPlain(name) ? name : name === '__proto__' ? `['__proto__']` : quote(name)
export const access = (object: string, name: string): string =>
  isPlain(name) ? `${object}.${name}` : `${object}[${quote(name)}]`

/** One line of a comment: no line break, no end of comment, no characters that change the direction of text. */
export function commentText(text: string): string {
  return text
    .replace(/[\r\n\u2028\u2029\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .replace(/\*\//g, '* /')
    .trim()
}
export function docComment(lines: readonly string[]): readonly string[] {
  const text = lines.flatMap((l) => l.split(/\r\n|[\r\n\u2028\u2029]/)).map(commentText)
  if (text.length === 0) return []
  if (text.length === 1) return [`/** ${text[0]} */`]
  return ['/**', ...text.map((l) => (l === '' ? ' *' : ` * ${l}`)), ' */']
}

export const indent = (lines: readonly string[]): string[] => lines.map((l) => (l === '' ? l : `  ${l}`))

/** Items separated by commas, on as few lines as fit into the width. */
export function fill(items: readonly string[], width = 116): string[] {
  const lines: string[] = []
  for (const item of items) {
    const last = lines.length - 1
    if (last >= 0 && lines[last].length + item.length + 2 <= width) lines[last] += ` ${item},`
    else lines.push(`${item},`)
  }
  return lines
}
