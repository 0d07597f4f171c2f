/** 15xx parameters and their paths, 16xx tuples and statement forms, 17xx sequence and entries, 18xx dtypes. */
import { define, type Said } from '../define.ts'

export const pathTwice = define(
  'TFM1501',
  {
    title: 'two parameters have one path',
    explain: 'Each parameter declares its own tensor of the checkpoint.',
    example: 'y = x |> linear(d) |> linear(d)',
  },
  (path: string) => ({
    message: `two parameters are named \`${path}\``,
    fix: 'give the calls a `name`, put one in a `scope`, or say `share` if they are to be the same weights',
  }),
)

export const tupleMisuse = define(
  'TFM1601',
  {
    title: 'a tuple is not a value',
    explain: 'Several results are taken apart by `a, b = …` or mapped by `each`; a block does not take them as one.',
    example: 'y = split(x, 2) + 1',
  },
  (count: number, why?: string) => ({
    message: `this gives ${count} results where one is needed`,
    ...(why === undefined ? {} : { help: why }),
    fix: 'take them apart (`a, b = …`) or map them (`|> each f`)',
  }),
)

export const carriedType = define(
  'TFM1602',
  {
    title: '`repeat` changes a type',
    explain: 'A variable from outside that is assigned inside keeps its type from turn to turn, unless `unrolled`.',
    example: 'repeat 2 as i { x = concat(x, x) }',
  },
  (name: string, before: string, after: string) => ({
    message: `\`${name}\` enters the turn as ${before} and leaves it as ${after}`,
    fix: 'keep its type, or write `repeat … unrolled`',
  }),
)

export const scanCarryType = define(
  'TFM1603',
  {
    title: '`scan` changes the type of a carry',
    explain: 'A carry has the type of its first value at every step.',
    example: 'scan t < T carry h = h0 { h = concat(h, h); yield h }',
  },
  (name: string, before: string, after: string, fromNumber: boolean): Said => ({
    message: `carry \`${name}\` starts as ${before} and becomes ${after}`,
    ...(fromNumber ? { fix: 'start it from `f32(…)`' } : {}),
  }),
)

export const scanAssigns = define(
  'TFM1606',
  {
    title: '`scan` assigns a variable from outside',
    explain: 'From step to step go only the carries, which a scan names; what else a step assigns is its own.',
    example: 's = zeros([d])\ny = scan t < T { s = s + x[t]; yield s }',
  },
  (name: string) => ({
    message: `\`${name}\` is a variable from outside of this scan, and not carried`,
    fix: `carry it (\`carry ${name} = ${name}\`), or give the value inside another name`,
  }),
)

export const scanVaries = define(
  'TFM1607',
  {
    title: 'depends on the step of a scan',
    explain: 'Sizes, and conditions that are checked when the model is called, are the same at every step of a scan.',
    example: 'y = scan t < T { yield sum(x[0:t]) }',
  },
  (what: string, t: string, fix?: string): Said => ({
    message: `${what} depends on \`${t}\`, which changes from step to step`,
    ...(fix ? { fix } : {}),
  }),
)

export const tensorCondition = define(
  'TFM1604',
  {
    title: '`if` on a tensor',
    explain: '`if` decides at compile time; values of tensors are known later.',
    example: 'if x > 0 { y = x }',
  },
  () => ({ message: 'the condition of `if` is a tensor', fix: 'use `select(c, a, b)`' }),
)

export const looksAhead = define(
  'TFM1701',
  {
    title: 'cannot be computed step by step',
    explain: 'A value on the sequence axis depends on positions that a step has not seen.',
    example: 'sequence T\noutput y = mean(x, axis = T)',
  },
  (op: string, output: string) => `\`${op}\` looks ahead along the sequence, so \`${output}\` has no step`,
)

export const entryNeeds = define(
  'TFM1702',
  {
    title: 'entry lacks an input',
    explain: 'An entry must list every input or value that its outputs are computed from.',
    example: 'entry decode: tgt -> logits',
  },
  (entry: string, missing: string) => ({
    message: `entry \`${entry}\` needs \`${missing}\``,
    fix: `add \`${missing}\` before the \`->\``,
  }),
)

export const mixedDtypes = define(
  'TFM1801',
  {
    title: 'dtypes do not mix',
    explain: '`f32`, `i32` and `bool` are converted only where the source says so.',
    example: 'y = ids * 0.5',
  },
  (left: string, right: string, fix?: string) => ({
    message: `${left} and ${right} do not mix`,
    ...(fix ? { fix } : {}),
  }),
)

export const unknownDtype = define(
  'TFM1802',
  { title: 'unknown dtype', explain: 'Tensors are `f32`, `i32` or `bool`.', example: 'input x: f64[T]' },
  (name: string) => ({
    message: `unknown dtype \`${name}\``,
    help: 'tensors are `f32`, `i32` or `bool`; stored F16 and BF16 become f32 exactly',
  }),
)
