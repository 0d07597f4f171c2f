/**
 * Functions that JavaScript lacks. Each is printed once into a module that uses it. Accuracies are relative, in float64, against
 * 50-digit references; results are then rounded to f32 (6e-8) where they are stored.
 */
export type MathHelper = 'erf' | 'round' | 'mod'

interface HelperText {
  readonly doc: string
  readonly params: readonly string[]
  readonly body: readonly string[]
}

/**
 * erf: x times a polynomial in x² up to 1 (degree 8, 1e-12), beyond it 1 - exp(-x²) times a polynomial in 1/(1 + x/2) (degree 8, 1.1e-10);
 * both fitted at Chebyshev nodes.
 */
export const mathHelpers: Readonly<Record<MathHelper, HelperText>> = {
  erf: {
    doc: 'Error function; relative error below 2e-10 (polynomial in x² up to 1, in 1 / (1 + x / 2) times exp(-x²) beyond).',
    params: ['x'],
    body: [
      'const z = Math.abs(x)',
      'if (z <= 1) {',
      '  const q = x * x',
      '  const high = -0.000854267082976 + q * (0.000119569497305 + q * (-1.39117181359e-5 + q * 1.0595316502e-6))',
      '  return x * (1.12837916709 + q * (-0.376126388899 + q * (0.112837913136 + q * (-0.0268661336293 + q * (0.00522378502041 + q * high)))))',
      '}',
      'const t = 1 / (1 + 0.5 * z)',
      'const high = 0.0709901375096 + t * (0.270653561431 + t * (-0.167630999768 + t * (-0.0589210038792 + t * 0.0453795527356)))',
      'const low = -3.66256934653e-5 + t * (0.282864691398 + t * (0.275145741206 + t * (0.281768037546 + t * high)))',
      'const y = z > 6 ? 1 : 1 - Math.exp(-z * z) * low',
      'return x < 0 ? -y : y',
    ],
  },
  round: {
    doc: 'Nearest integer, halves to even; exact.',
    params: ['x'],
    body: ['const r = Math.round(x)', 'return r - x === 0.5 && r % 2 !== 0 ? r - 1 : r'],
  },
  mod: {
    doc: 'Remainder with the sign of the divisor; exact for integers.',
    params: ['a', 'b'],
    body: ['return a - b * Math.floor(a / b)'],
  },
}
