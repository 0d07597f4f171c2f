/** 20xx: what is wrong with the values of one call. */
import { define } from '../define.ts'

export const callShape = define(
  'TFM2001',
  {
    title: 'an input has another shape',
    explain: 'Each axis must have the extent that the model says; a dim has one value throughout a call.',
    example: 'model.run({ ids: [[1, 2]], keep: [[1, 1, 1]] })',
  },
  (input: string, what: string, declared: string, found: string) =>
    `input \`${input}\`: ${what}; the model says ${declared}, found ${found}`,
)

export const callMissing = define(
  'TFM2002',
  {
    title: 'a value is missing or unknown',
    explain: 'Inputs without default, and all weights that are used, must be given; nothing else may be.',
    example: 'model.run({})',
  },
  (what: string, name: string, fix?: string) => ({
    message: `${what} \`${name}\``,
    ...(fix === undefined ? {} : { fix }),
  }),
)

export const callDtype = define(
  'TFM2003',
  {
    title: 'an input has another dtype',
    explain: 'Values are not converted on the way in.',
    example: 'model.run({ ids: new Float32Array(4) })',
  },
  (input: string, declared: string, found: string) => `input \`${input}\` is ${declared}, found ${found}`,
)

export const callConstraint = define(
  'TFM2004',
  {
    title: 'a condition on dims does not hold',
    explain: 'A `where` clause that could not be proved is checked with the dims of each call.',
    example: 'input ids: i32[B, T] where T <= 1024, called with T = 2000',
  },
  (text: string, dims: string) => `\`${text}\` does not hold at ${dims}`,
)

export const selfTestFailed = define(
  'TFM2030',
  {
    title: 'a kernel is wrong on this device',
    explain: 'The self-test of a compiled model ran each kernel on seeded inputs and found a result outside its bound.',
    example: 'await model.selftest()',
  },
  (kernels: string) => `these kernels are wrong on this device: ${kernels}`,
)
