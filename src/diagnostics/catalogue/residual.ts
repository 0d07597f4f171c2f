/** 13xx: residual. */
import { define } from '../define.ts'

export const residualAmbiguous = define(
  'TFM1301',
  {
    title: 'residual has no single reading',
    explain:
      '`residual(e)` adds the one float variable of the type of `e` on the spine of `e`. None or several qualify.',
    example: 'y = residual(a + b)',
  },
  (found: string, suggestion: string) => ({
    message: `\`residual\` cannot tell what to add: ${found}`,
    fix: `say it: \`residual(…, skip = ${suggestion})\``,
  }),
)

export const residualBare = define(
  'TFM1302',
  {
    title: 'residual of a plain variable',
    explain: '`residual(y)` would be 2y, which is never meant.',
    example: 'z = residual(y)',
  },
  (name: string) => ({
    message: `\`residual(${name})\` would add \`${name}\` to itself`,
    fix: `write \`residual(f(${name}))\`, or \`2 * ${name}\``,
  }),
)

export const residualShapes = define(
  'TFM1303',
  {
    title: 'residual changes the type',
    explain: 'What is added must have the type of the expression.',
    example: 'y = residual(linear(x, 2 * d))',
  },
  (skip: string, skipType: string, type: string) =>
    `\`residual\` cannot add \`${skip}\`: it is ${skipType}, the expression is ${type}`,
)

export const residualTuple = define(
  'TFM1304',
  { title: 'residual of a tuple', explain: '`residual` takes one tensor.', example: 'y = residual(split(x, 2))' },
  (count: number) => `\`residual\` takes one tensor; this has ${count} results`,
)
