/** What the front end says beyond names and shapes: models, lints. */
import { define, type Said } from '../define.ts'

export const noModel = define(
  'TFM1215',
  {
    title: 'no model to compile',
    explain: 'A program is one model; a file may declare several, of which one is chosen by name.',
    example: 'block a(x: f32[T]) = x',
  },
  (message: string, hint?: string): Said => ({ message, ...(hint ? { fix: hint } : {}) }),
)

export const divisionByZero = define(
  'TFM1216',
  {
    title: 'division by zero',
    explain: 'A number that is known at compile time is divided by zero.',
    example: 'model m(d = 8, heads = 0) { block a(x: f32[d / heads]) = x }',
  },
  () => 'division by zero',
)

export const notAStatementHere = define(
  'TFM1218',
  {
    title: 'statement out of place',
    explain:
      'Inputs, outputs, entries, `sequence` and `weights` belong to the model; `return` to a block, `yield` to a value.',
    example: 'block a(x: f32[T]) { input y: f32[T]; return x }',
  },
  (what: string, where: string) => `${what} does not stand ${where}`,
)

export const noReturn = define(
  'TFM1219',
  {
    title: 'block gives nothing back',
    explain: 'A block ends with `return`, a repeat that is a value with `yield`.',
    example: 'block a(x: f32[T]) { y = x }',
  },
  (what: string, word: string) => `${what} has no \`${word}\``,
)

export const unusedOverride = define(
  'TFM1220',
  {
    title: 'nothing to override',
    explain: '`override block` replaces a block of the standard library.',
    example: 'override block layrnorm(x: f32[..., D]) = x',
  },
  (name: string, hint?: string): Said => ({
    message: `the standard library has no block \`${name}\``,
    ...(hint ? { fix: hint } : {}),
  }),
)

export const numberTooLarge = define(
  'TFM1221',
  {
    title: 'number too large',
    explain: 'Sizes and indices are exact up to 2^53.',
    example: 'y = full(0, [9007199254740991, 2, T])',
  },
  () => 'a size here is beyond 2^53',
)

export const skipsFromNorm = define(
  'TFM1305',
  {
    title: 'residual skips from a normalised value',
    explain: 'After `h = layernorm(x)`, `residual(attn(h))` adds h, not x.',
    example: 'h = layernorm(x)\ny = residual(attn(h))',
    severity: 'warning',
  },
  (name: string, before: string) => ({
    message: `this \`residual\` skips from \`${name}\``,
    fix: `if \`${before}\` is meant: \`residual(…, skip = ${before})\`; if not, say \`skip = ${name}\``,
  }),
)

export const paramShape = define(
  'TFM1502',
  {
    title: 'parameter of unknown size',
    explain: 'A parameter has a size that is known at compile time; dims such as `T` are known at the call.',
    example: 'input x: f32[T]\nparam w: f32[T] = "w"',
  },
  (name: string | undefined, shape: string) => ({
    message: `${name === undefined ? 'a parameter' : `\`${name}\``} has shape ${shape}, which is not known at compile time`,
    fix: 'a hyperparameter fixes a size; where another axis was meant, `transpose` puts it in this place',
  }),
)

export const badFallback = define(
  'TFM1503',
  {
    title: '`or` names no parameter',
    explain: 'What a parameter falls back to is another parameter of the same shape.',
    example: 'param head: f32[v, d] = "lm_head.weight" or x',
  },
  (name: string, why: string) => `\`${name}\` cannot fall back to this: ${why}`,
)

export const paramDtype = define(
  'TFM1504',
  {
    title: 'parameter that is not f32',
    explain: 'Weights are f32 once loaded; stored F16 and BF16 convert exactly.',
    example: 'param w: i32[4] = "w"',
  },
  (name: string, dtype: string) => `parameter \`${name}\` is f32, not ${dtype}`,
)

export const unusedParam = define(
  'TFM1505',
  {
    title: 'unused parameter',
    explain: 'No output depends on a parameter that the source declares.',
    example: 'param w: f32[4] = "w"\noutput y = x',
    severity: 'warning',
  },
  (name: string) => `parameter \`${name}\` is declared and not used`,
)

export const unusedInput = define(
  'TFM1703',
  {
    title: 'unused input',
    explain: 'No output depends on an input that the source declares.',
    example: 'input m: i32[T]\noutput y = x',
    severity: 'warning',
  },
  (name: string) => `input \`${name}\` is not used`,
)

export const entryUnknown = define(
  'TFM1704',
  {
    title: 'entry names what is not there',
    explain: 'Before the `->` of an entry stand inputs or outputs of the model, after it outputs.',
    example: 'entry decode: memori -> logits',
  },
  (name: string, expected: string, hint?: string): Said => ({
    message: `\`${name}\` is no ${expected}`,
    ...(hint ? { fix: hint } : {}),
  }),
)

export const noOutput = define(
  'TFM1705',
  {
    title: 'model without an output',
    explain: 'A model computes at least one output.',
    example: 'model m { input x: f32[T] }',
  },
  (name: string) => `model \`${name}\` has no output`,
)

export const countMismatch = define(
  'TFM1605',
  {
    title: 'wrong number of results',
    explain: 'As many names stand before `=` as the expression has results.',
    example: 'a, b = split(x, 3)',
  },
  (wanted: number, given: number, why?: string): Said => ({
    message: `${wanted} result${wanted === 1 ? ' is' : 's are'} wanted, the expression has ${given}`,
    ...(why === undefined ? {} : { help: why }),
  }),
)
