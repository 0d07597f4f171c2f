/** 14xx: dims, shapes, axes, indices. */
import { define, type Said } from '../define.ts'

export const unknownDim = define(
  'TFM1401',
  {
    title: 'unknown dim',
    explain:
      'In a shape, a name with a capital is a dim that matching binds; any other name is a number and must be in scope.',
    example: 'input x: f32[B, T, dd]',
  },
  (name: string, hint?: string): Said => ({ message: `unknown dim \`${name}\``, ...(hint ? { fix: hint } : {}) }),
)

export const shapeMismatch = define(
  'TFM1402',
  { title: 'shapes differ', explain: 'Two dims that must be equal are not.', example: 'y = x[0:T] @ w[0:3]' },
  (what: string, left: string, right: string) => `${what}: ${left} and ${right} differ`,
)

export const rankMismatch = define(
  'TFM1403',
  {
    title: 'wrong number of axes',
    explain: 'A value has more or fewer axes than its use needs.',
    example: 'input x: f32[T]\ny = x[0, 0]',
  },
  (what: string, expected: string, found: string) => `${what} needs ${expected}, not ${found}`,
)

export const badAxis = define(
  'TFM1404',
  {
    title: 'no such axis',
    explain: '`axis` is a number within the rank, or a dim that occurs once in the shape.',
    example: 'y = mean(x, axis = 7)',
  },
  (axis: string, shape: string) => `\`axis = ${axis}\` does not name one axis of ${shape}`,
)

export const indivisible = define(
  'TFM1405',
  {
    title: 'not divisible',
    explain: '`/` on dims is exact; `//` rounds down.',
    example: 'model m(d = 7, heads = 2) { block a(x: f32[d / heads]) = x }',
  },
  (dividend: string, divisor: string) => `${dividend} is not divisible by ${divisor}`,
)

export const noStretch = define(
  'TFM1406',
  {
    title: 'shapes do not broadcast',
    explain: 'Shapes meet from the right; only a literal 1 or a missing axis stretches, never a symbol.',
    example: 'input a: f32[B]\ninput b: f32[B, T]\noutput y = a + b',
  },
  (left: string, right: string, fix?: string): Said => ({
    message: `${left} and ${right} do not broadcast`,
    ...(fix ? { fix } : {}),
  }),
)

export const innerMismatch = define(
  'TFM1407',
  {
    title: 'matrices do not multiply',
    explain: '`a @ b` joins the last axis of a with the second to last of b, so these must be equal.',
    example: 'input x: f32[B, 4]\nparam w: f32[3, 4] = "w"\noutput y = x @ w',
  },
  (left: string, right: string) => `\`@\` joins ${left} with ${right}, which differ`,
)

export const elementCount = define(
  'TFM1408',
  {
    title: 'reshape changes the number of elements',
    explain: 'Both shapes of a reshape have provably the same product.',
    example: 'y = reshape(x, [B, T, 5, 5])',
  },
  (from: string, n: string, to: string, m: string) => `${from} has ${n} elements, ${to} has ${m}`,
)

export const unprovenIndex = define(
  'TFM1410',
  {
    title: 'index may be out of range',
    explain: 'An index computed from dims and loop variables must be provably inside, or guarded by `select`.',
    example: 'y = [for i < T: x[i + 1]]',
  },
  (index: string, extent: string, low: boolean, high: boolean) => ({
    message: `cannot prove that \`${index}\` stays within 0 … ${extent} - 1`,
    fix: `guard it: \`select(${[...(low ? [] : [`${index} >= 0`]), ...(high ? [] : [`${index} < ${extent}`])].join(' and ')}, …, 0)\``,
  }),
)

export const indexOutOfRange = define(
  'TFM1411',
  {
    title: 'index out of range',
    explain: 'An index that the data gives lies outside the axis.',
    example: 'ids[1, 3] = 99 with a vocabulary of 97',
  },
  (place: string, value: number, name: string, extent: number) => `${place} = ${value}, ${name} = ${extent}`,
)
