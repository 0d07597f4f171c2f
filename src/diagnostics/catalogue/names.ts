/** 12xx: names, blocks, arguments, hyperparameters. */
import { define, type Said } from '../define.ts'

const hinted = (message: string, hint?: string): Said => ({ message, ...(hint ? { fix: hint } : {}) })

export const unknownName = define(
  'TFM1201',
  { title: 'unknown name', explain: 'A name must be declared or assigned before it is used.', example: 'y = xx + 1' },
  (name: string, hint?: string) => hinted(`unknown name \`${name}\``, hint),
)

export const unknownBlock = define(
  'TFM1202',
  {
    title: 'unknown block',
    explain: 'No block, import, standard block or op has this name.',
    example: 'y = layrnorm(x)',
  },
  (name: string, hint?: string) => hinted(`unknown block \`${name}\``, hint),
)

export const noValue = define(
  'TFM1203',
  {
    title: 'parameter has no value',
    explain:
      'An `auto` parameter takes its value from the call, the calling blocks, the hyperparameters of the model, then its default. None had one.',
    example: 'block a(x: f32[T], auto heads) = x',
  },
  (parameter: string, block: string) => ({
    message: `\`${parameter}\` of \`${block}\` has no value`,
    fix: `pass it: \`${block}(…, ${parameter} = …)\`, or make it a hyperparameter of the model`,
  }),
)

export const missingArgument = define(
  'TFM1204',
  {
    title: 'missing argument',
    explain: 'A parameter without a default that is not `auto` must be given.',
    example: 'y = linear(x)',
  },
  (parameter: string, block: string) => `\`${block}\` needs \`${parameter}\``,
)

export const unknownArgument = define(
  'TFM1205',
  {
    title: 'unknown argument',
    explain: 'A named argument must be a parameter of the block.',
    example: 'y = relu(x, slope = 2)',
  },
  (name: string, block: string, hint?: string) => hinted(`\`${block}\` has no parameter \`${name}\``, hint),
)

export const overrideMismatch = define(
  'TFM1206',
  {
    title: 'override changes the signature',
    explain: 'An `override block` replaces a standard block everywhere, so its parameters must be the same.',
    example: 'override block layernorm(x: f32[..., D]) = x',
  },
  (block: string, difference: string) => `\`override block ${block}\` must keep the signature: ${difference}`,
)

export const declaredTwice = define(
  'TFM1207',
  {
    title: 'declared twice',
    explain: 'Blocks, parameters and inputs are declared once per scope.',
    example: 'input x: f32[T]; input x: f32[T]',
  },
  (name: string) => `\`${name}\` is declared twice`,
)

export const wrongKind = define(
  'TFM1208',
  {
    title: 'wrong kind of value',
    explain: 'A number, a string, a flag, a tensor or a tuple stands where another kind is needed.',
    example: 'y = linear(x, "wide")',
  },
  (what: string, expected: string, found: string, fix?: string) =>
    hinted(`${what} must be ${expected}, not ${found}`, fix),
)

export const tooManyArguments = define(
  'TFM1209',
  {
    title: 'too many arguments',
    explain: 'More positional arguments than the block has parameters.',
    example: 'y = relu(x, 1, 2)',
  },
  (block: string, takes: number, given: number) =>
    `\`${block}\` takes ${takes} argument${takes === 1 ? '' : 's'}, ${given} given`,
)

export const argumentTwice = define(
  'TFM1210',
  {
    title: 'argument given twice',
    explain: 'A parameter is given by position or by name, once.',
    example: 'y = linear(x, 4, n = 4)',
  },
  (name: string) => `\`${name}\` is given twice`,
)

export const recursiveBlock = define(
  'TFM1211',
  {
    title: 'blocks call each other in a circle',
    explain: 'Blocks are expanded, so they cannot recur.',
    example: 'block a(x: f32[T]) = a(x)',
  },
  (path: readonly string[]) => `blocks call each other in a circle: ${path.join(' → ')}`,
)

export const unsetHyper = define(
  'TFM1212',
  {
    title: 'hyperparameter has no value',
    explain: 'A hyperparameter without a default must be set.',
    example: 'model m(d) { }',
  },
  (name: string) => ({
    message: `hyperparameter \`${name}\` has no value`,
    fix: `pass \`--set ${name}=…\` or give it a default`,
  }),
)

export const unknownHyper = define(
  'TFM1213',
  {
    title: 'unknown hyperparameter',
    explain: '`--set` names a hyperparameter of the model.',
    example: 'tfmc check m.tfm --set layer=2',
  },
  (name: string, model: string, hint?: string) => hinted(`\`${model}\` has no hyperparameter \`${name}\``, hint),
)

export const whereFails = define(
  'TFM1214',
  {
    title: '`where` does not hold',
    explain: 'A condition of the model is false for these values.',
    example: 'model m(d = 7, heads = 2) where d % heads == 0 { }',
  },
  (condition: string, values: string) => `\`${condition}\` does not hold: ${values}`,
)

export const refusedByAuthor = define(
  'TFM1222',
  {
    title: 'refused by a block',
    explain: 'The text is compiled, and reached an `error(…)` that its author wrote for values that it does not take.',
    example: 'y = activation(x, "geluu")',
  },
  (message: string) => message,
)
