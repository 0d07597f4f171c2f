/** 10xx: reading the text. */
import { define, type Said } from '../define.ts'

export const unexpectedCharacter = define(
  'TFM1001',
  {
    title: 'unexpected character',
    explain: 'A character that no token of the language starts with.',
    example: 'x = a $ b',
  },
  (characters: string, help?: string): Said => {
    const shown = characters.length > 12 ? `${characters.slice(0, 12)}…` : characters
    const codes =
      [...shown].length === 1
        ? ` (U+${(characters.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')})`
        : ''
    return {
      message: `unexpected character${[...characters].length > 1 ? 's' : ''} \`${shown}\`${codes}`,
      ...(help ? { help } : {}),
    }
  },
)

export const unclosedString = define(
  'TFM1002',
  {
    title: 'string is not closed',
    explain: 'A string ends on the line on which it starts; a `{` in it must be closed in it.',
    example: 'scope "h.{i {',
  },
  () => ({
    message: 'this string is not closed on its line',
    fix: 'close it with `"`; write `\\{` for a literal brace',
  }),
)

export const unknownEscape = define(
  'TFM1003',
  {
    title: 'unknown escape',
    explain: 'In strings, a backslash stands before `{`, `}`, `"`, `\\`, `n` or `t`.',
    example: 'scope "a\\q" { }',
  },
  (escape: string) => ({ message: `unknown escape \`${escape}\``, fix: 'write `\\\\` for a backslash' }),
)

export const blockComment = define(
  'TFM1004',
  { title: 'block comment', explain: 'Comments run from `//` to the end of the line.', example: '/* note */' },
  () => ({ message: 'there are no block comments', fix: 'start each line of the comment with `//`' }),
)

export const unexpectedToken = define(
  'TFM1005',
  { title: 'syntax error', explain: 'The text cannot go on like this.', example: 'x = a + * b' },
  (expected: string, found: string, help?: string): Said => ({
    message: `expected ${expected}, found ${found}`,
    ...(help ? { help } : {}),
  }),
)

export const keywordAsName = define(
  'TFM1006',
  { title: 'keyword used as a name', explain: 'Keywords cannot name things.', example: 'param input: f32[d]' },
  (keyword: string) => ({
    message: `\`${keyword}\` is a keyword and cannot be a name`,
    fix: `call it \`${keyword}_\``,
  }),
)

export const unclosedBracket = define(
  'TFM1007',
  { title: 'bracket is not closed', explain: 'An opening bracket has no partner.', example: 'x = f(a, b' },
  (open: string, close: string) => `\`${open}\` is not closed; expected \`${close}\``,
)

export const strayBracket = define(
  'TFM1008',
  { title: 'bracket was never opened', explain: 'A closing bracket has no partner.', example: 'x = a)' },
  (close: string) => `\`${close}\` closes nothing`,
)

export const uselessExpression = define(
  'TFM1009',
  {
    title: 'expression has no effect',
    explain:
      'A statement starts with a keyword or assigns. Nothing is changed in place, so an expression alone does nothing.',
    example: 'layernorm(x)',
  },
  (text: string) => ({
    message: 'this expression has no effect: its value is not used',
    fix: `name its value: \`x = ${text}\``,
  }),
)

/** What to say where a comment may have been read as a division. */
export const commentHint =
  '`//` after a value is floor division; put two blanks before a comment, or give it a line of its own'

export const badPipeStage = define(
  'TFM1010',
  {
    title: 'a pipe must go into a call',
    explain: 'To the right of `|>` stands a block, with or without arguments. `|>` binds loosest of all operators.',
    example: 'y = x |> relu + 1',
  },
  (left?: string, right?: string) => ({
    message: 'a pipe goes into a call: `x |> f` or `x |> f(a)`',
    ...(right?.startsWith('//')
      ? { help: commentHint }
      : left && right
        ? { fix: `put brackets around the pipe: \`(… |> ${left}) ${right}\`` }
        : {}),
  }),
)

export const comparisonChain = define(
  'TFM1011',
  {
    title: 'comparisons do not chain',
    explain: '`a < b < c` has two readings.',
    example: 'w = select(a < b < c, x, y)',
  },
  (first: string, second: string) => ({ message: 'comparisons do not chain', fix: `write \`${first} and ${second}\`` }),
)

export const badTarget = define(
  'TFM1012',
  {
    title: 'cannot assign to this',
    explain: 'To the left of `=` stand names. `=` names a value anew, it never changes part of a tensor.',
    example: 'x[0] = y',
  },
  () => ({
    message: 'only a name can stand to the left of `=`',
    help: 'tensors are never changed in place; build the new value with concat or select',
  }),
)

export const positionalAfterNamed = define(
  'TFM1013',
  {
    title: 'positional argument after a named one',
    explain: 'Named arguments come last.',
    example: 'f(name = "a", x)',
  },
  () => 'positional arguments come before named ones',
)

export const tooDeep = define(
  'TFM1014',
  {
    title: 'nested too deeply',
    explain: 'Brackets, blocks and operators nest to a limit that no model comes near.',
    example: '((((…))))',
  },
  (limit: number) => `nested deeper than ${limit} levels`,
)

export const badNumber = define(
  'TFM1015',
  { title: 'malformed number', explain: 'Numbers are decimal: `12`, `0.5`, `1e-5`.', example: 'eps = 1e' },
  (text: string, help?: string): Said => ({ message: `\`${text}\` is not a number`, ...(help ? { help } : {}) }),
)

export const commentOrDivision = define(
  'TFM1016',
  {
    title: 'comment or floor division?',
    explain:
      'After a value `//` divides; with two blanks or a tab before it, it starts a comment. What stands there reads as both.',
    example: 'w = T  // 2',
  },
  (text: string) => ({
    message: 'this can be read as a comment and as a floor division',
    fix: `for the division put one blank before \`//\`; for a comment write \`// = ${text}\` or give it its own line`,
  }),
)

export const misplacedItem = define(
  'TFM1017',
  {
    title: 'statement outside a model',
    explain: 'A file holds imports, blocks and models; all else stands inside a model or a block.',
    example: 'x = 1',
  },
  (what: string) => ({
    message: `${what} cannot stand here`,
    help: 'a file holds `import`, `block` and `model`; statements stand inside them',
  }),
)

export const shareNeedsCall = define(
  'TFM1018',
  {
    title: '`share` needs a call',
    explain: '`share f = ffn(…)` makes a block with weights of its own.',
    example: 'share f = x + 1',
  },
  () => ({ message: '`share` takes a call of a block', fix: 'write `share f = block_name(name = "…")`' }),
)

export const badCallee = define(
  'TFM1019',
  { title: 'only names can be called', explain: 'Blocks and ops are called by name.', example: 'y = f(x)(z)' },
  (what: string) => `${what} cannot be called; only a block or an op, by its name`,
)

export const badReduce = define(
  'TFM1020',
  {
    title: '`for` in an index',
    explain: 'A reduction is a name and a comprehension: `sum[for e < E: …]`.',
    example: 'y = (a + b)[for i < n: i]',
  },
  () => ({
    message: 'a comprehension stands alone or after `sum`, `prod`, `max` or `min`',
    fix: 'write `sum[for i < n: …]`',
  }),
)

export const operatorAtLineStart = define(
  'TFM1021',
  {
    title: 'operator at the start of a line',
    explain: 'A line end ends the statement unless an operator stands before it; only `|>` may start the next line.',
    example: 'x = a\n  + b',
  },
  (operator: string) => ({
    message: `a statement cannot start with \`${operator}\``,
    fix: `put \`${operator}\` at the end of the line above, or brackets around the whole expression`,
  }),
)

export const emptyHole = define(
  'TFM1022',
  { title: 'empty `{}` in a string', explain: '`{…}` in a string holds an expression.', example: 'scope "h.{}" { }' },
  () => ({ message: 'there is nothing between these braces', fix: 'write `{i}`, or `\\{\\}` for literal braces' }),
)

export const nestedItem = define(
  'TFM1023',
  {
    title: 'model or import inside braces',
    explain: 'Models and imports stand at the top level of a file.',
    example: 'model a { model b { } }',
  },
  (what: string) => ({
    message: `\`${what}\` stands only at the top level of a file`,
    help: 'is a `}` missing above?',
  }),
)

export const mismatchedBrackets = define(
  'TFM1024',
  { title: 'brackets do not match', explain: 'A bracket is closed by one of another kind.', example: 'y = x[0)' },
  (open: string, close: string, expected: string) => ({
    message: `\`${open}\` is closed by \`${close}\``,
    fix: `write \`${expected}\``,
  }),
)
