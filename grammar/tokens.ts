/**
 * The vocabulary. Three things are decided here and not in the grammar:
 * - a string with its `{holes}` is one token, ended by its line at the latest;
 * - `//` after a value is floor division, unless two blanks or a tab stand before it; anywhere else it starts a comment;
 * - words such as `prefix` or `to` are keywords in `weights { }` and names elsewhere; all other keywords are reserved.
 */
import type { CustomPatternMatcherFunc, IToken, TokenType } from 'chevrotain'
import { createToken, Lexer } from './chevrotain.ts'

const vocabulary: TokenType[] = []

function token(
  name: string,
  pattern: RegExp | undefined,
  options: { label?: string; categories?: TokenType[]; group?: string } = {},
) {
  const made = createToken({ name, pattern: pattern ?? Lexer.NA, ...options })
  vocabulary.push(made)
  return made
}

// ---- categories: one CONSUME for a whole class of operators
export const BinaryOp = token('BinaryOp', undefined, { label: 'an operator' })
export const ArithOp = token('ArithOp', undefined, { label: 'an operator', categories: [BinaryOp] })
export const Sep = token('Sep', undefined, { label: 'the end of the statement' })

// ---- blanks, comments, newlines
token('Blank', /[ \t\r\f\uFEFF]+/, { group: Lexer.SKIPPED })
export const Newline = token('Newline', /\n/, { categories: [Sep], label: 'the end of the line' })
export const Semicolon = token('Semicolon', /;/, { categories: [Sep], label: '`;`' })

/** Sticky, so that a match at `offset` needs no slice. */
function sticky(pattern: RegExp): (text: string, offset: number) => RegExpExecArray | null {
  const compiled = new RegExp(pattern.source, `${pattern.flags}y`)
  return (text, offset) => {
    compiled.lastIndex = offset
    return compiled.exec(text)
  }
}

const lineComment = sticky(/\/\/[^\n]*/)

/** Could a value end with this token? Then `//` after it may be an operator. */
export function endsValue(previous: IToken | undefined): boolean {
  if (!previous) return false
  const type = previous.tokenType
  return (
    type === Ident ||
    contextual.has(type) ||
    type === Num ||
    type === RParen ||
    type === RBracket ||
    type === True ||
    type === False
  )
}

const matchComment: CustomPatternMatcherFunc = (text, offset, matched) => {
  if (text.charCodeAt(offset + 1) !== 47) return null
  const previous = matched[matched.length - 1]
  if (text.charCodeAt(offset + 2) !== 47 && endsValue(previous)) {
    const between = previous ? text.slice(previous.startOffset + previous.image.length, offset) : ''
    if (between.length < 2 && !between.includes('\t')) return null
  }
  return lineComment(text, offset)
}
export const LineComment = createToken({
  name: 'LineComment',
  pattern: matchComment,
  line_breaks: false,
  start_chars_hint: ['/'],
  group: 'comments',
})
/** Reported after lexing; `*` and `/` never stand together otherwise. */
export const BlockComment = createToken({
  name: 'BlockComment',
  pattern: /\/\*(?:[^*]|\*(?!\/))*(?:\*\/)?/,
  line_breaks: true,
  group: 'comments',
})
vocabulary.push(LineComment, BlockComment)

// ---- strings
const longestString = 4000

/** Offset after the string that starts at `offset`, or -1 when its line ends first. Iterative and bounded: the text may be hostile. */
export function endOfString(text: string, offset: number): number {
  // What is open: a string or a hole in one.
  const open: ('"' | '{')[] = ['"']
  const limit = Math.min(text.length, offset + longestString)
  for (let i = offset + 1; i < limit; i++) {
    const char = text[i]
    if (char === '\n') return -1
    const inside = open[open.length - 1]
    if (inside === '"') {
      if (char === '\\') {
        if (text[i + 1] !== '\n') i++
      } else if (char === '{') open.push('{')
      else if (char === '"') {
        open.pop()
        if (open.length === 0) return i + 1
      }
    } else if (char === '"') open.push('"')
    else if (char === '{') open.push('{')
    else if (char === '}') open.pop()
  }
  return -1
}

const matchString: CustomPatternMatcherFunc = (text, offset) => {
  if (text[offset] !== '"') return null
  const end = endOfString(text, offset)
  return end < 0 ? null : ([text.slice(offset, end)] as unknown as RegExpExecArray)
}
export const Str = createToken({
  name: 'Str',
  pattern: matchString,
  line_breaks: false,
  start_chars_hint: ['"'],
  label: 'a string',
})
/**
 * Read as a string, and reported. Ends at the next quote if there is one, else before what closes or opens brackets at the end of the line, so that the
 * rest still makes sense.
 */
export const BrokenStr = createToken({
  name: 'BrokenStr',
  pattern: /"(?:[^"\\\n]|\\[^\n])*?(?:"|\\?(?=[)\], \t]{0,20}(?:[ \t]\{)?[ \t\r]{0,20}(?:\n|(?![\s\S]))))/,
  categories: [Str],
  label: 'a string',
})
/** The quotes of other languages; read as a string, and reported. */
export const SingleStr = createToken({ name: 'SingleStr', pattern: /'[^'\n]*'/, categories: [Str], label: 'a string' })
vocabulary.push(Str, BrokenStr, SingleStr)

// ---- numbers: wider than the language, so that a malformed one is reported whole
export const Ellipsis = token('Ellipsis', /\.\.\./, { label: '`...`' })
export const Num = token('Num', /(?:\d|\.(?=\d))(?:[eE][+-](?=\d)|\.(?!\.)|\w)*/, { label: 'a number' })

// ---- names and keywords
export const Ident = createToken({ name: 'Ident', pattern: /[A-Za-z_][A-Za-z0-9_]*/, label: 'a name' })

export const keywords = new Map<string, TokenType>()
function keyword(word: string, categories: TokenType[] = []): TokenType {
  const name = word[0]?.toUpperCase() + word.slice(1)
  const made = createToken({ name, pattern: new RegExp(word), longer_alt: Ident, categories, label: `\`${word}\`` })
  vocabulary.push(made)
  keywords.set(word, made)
  return made
}
export const Import = keyword('import')
export const From = keyword('from')
export const As = keyword('as')
export const Model = keyword('model')
export const Pattern = keyword('pattern')
export const Override = keyword('override')
export const Block = keyword('block')
export const Auto = keyword('auto')
export const Where = keyword('where')
export const Sequence = keyword('sequence')
export const Weights = keyword('weights')
export const Input = keyword('input')
export const Output = keyword('output')
export const Param = keyword('param')
export const Scope = keyword('scope')
export const Share = keyword('share')
export const Entry = keyword('entry')
export const Repeat = keyword('repeat')
export const Unrolled = keyword('unrolled')
export const Scan = keyword('scan')
export const Carry = keyword('carry')
export const Return = keyword('return')
export const Yield = keyword('yield')
export const If = keyword('if')
export const Then = keyword('then')
export const Else = keyword('else')
export const For = keyword('for')
export const Each = keyword('each')
export const True = keyword('true')
export const False = keyword('false')
export const Not = keyword('not')
export const And = keyword('and', [BinaryOp])
export const Or = keyword('or', [BinaryOp])
export const Prefix = keyword('prefix', [Ident])
export const Ignore = keyword('ignore', [Ident])
export const Rename = keyword('rename', [Ident])
export const Optional = keyword('optional', [Ident])
export const To = keyword('to', [Ident])
const contextual = new Set<TokenType>([Prefix, Ignore, Rename, Optional, To])
vocabulary.push(Ident)

/** Words that cannot be names. */
export const reserved = (word: string): boolean => {
  const type = keywords.get(word)
  return type !== undefined && !contextual.has(type)
}

// ---- punctuation, longer before shorter
const sign = (name: string, text: string, categories: TokenType[] = []) =>
  token(name, new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')), { label: `\`${text}\``, categories })
export const PipeOp = sign('PipeOp', '|>')
export const Arrow = sign('Arrow', '->')
sign('EqEq', '==', [BinaryOp])
sign('NotEq', '!=', [BinaryOp])
sign('LessEq', '<=', [BinaryOp])
export const Less = sign('Less', '<', [BinaryOp])
sign('MoreEq', '>=', [BinaryOp])
sign('More', '>', [BinaryOp])
export const Eq = sign('Eq', '=')
sign('Power', '**', [ArithOp])
sign('Times', '*', [ArithOp])
sign('FloorDiv', '//', [ArithOp])
sign('Over', '/', [ArithOp])
sign('Percent', '%', [ArithOp])
sign('MatMul', '@', [ArithOp])
sign('Plus', '+', [ArithOp])
export const Minus = sign('Minus', '-', [ArithOp])
export const Comma = sign('Comma', ',')
export const Colon = sign('Colon', ':')
export const LParen = sign('LParen', '(')
export const RParen = sign('RParen', ')')
export const LBracket = sign('LBracket', '[')
export const RBracket = sign('RBracket', ']')
export const LBrace = sign('LBrace', '{')
export const RBrace = sign('RBrace', '}')

export const allTokens: readonly TokenType[] = vocabulary

let made: InstanceType<typeof Lexer> | undefined
/** Made on first use: building it costs milliseconds. */
export const lexer = (): InstanceType<typeof Lexer> =>
  (made ??= new Lexer([...allTokens], { positionTracking: 'onlyOffset', ensureOptimizations: false }))
