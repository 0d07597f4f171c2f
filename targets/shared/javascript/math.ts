/**
 * Functions that JavaScript lacks, or that are faster so: V8's `exp` and `tanh` are calls that take four times as long. Each is printed once into a module that uses it. Accuracies are relative, in float64, against
 * 50-digit references; results are then rounded to f32 (6e-8) where they are stored.
 */
export type MathHelper = 'exp' | 'expm1' | 'tanh' | 'erf' | 'round' | 'mod'

interface HelperText {
  readonly doc: string
  readonly params: readonly string[]
  readonly body: readonly string[]
  /** Helpers and tables that the body names. */
  readonly uses?: readonly (MathHelper | MathTable)[]
}

export const mathTables = {
  /** 2^(n - 1023). */
  powers: 'Float64Array.from({ length: 2048 }, (_, n) => 2 ** (n - 1023))',
  /** 64 steps to an octave. */
  steps: 'Float64Array.from({ length: 64 }, (_, n) => 2 ** (n / 64))',
}
export type MathTable = keyof typeof mathTables
export const isTable = (name: string): name is MathTable => name in mathTables

/** e^x - 1 as power * rest + (power - 1): 2 to a multiple of 1/64, and a polynomial of degree 4 in what is left (Tang 1989). */
const reduced = [
  // Adding 1.5 * 2^52 rounds to an integer.
  'const n = x * 92.33248261893656 + 6755399441055744 - 6755399441055744',
  'const r = x - n * 0.010830424696249145, i = n | 0',
  'const rest = r * (1 + r * (0.5 + r * (0.16666666666666666 + r * 0.041666666666666664)))',
  'const power = steps[i & 63] * powers[(i >> 6) + 1023]',
]

/**
 * erf: x times a polynomial in x² up to 1 (degree 8, 1e-12), beyond it 1 - exp(-x²) times a polynomial in 1/(1 + x/2) (degree 8, 1.1e-10);
 * both fitted at Chebyshev nodes.
 */
export const mathHelpers: Readonly<Record<MathHelper, HelperText>> = {
  exp: {
    doc: 'Exponential; relative error below 2e-13.',
    params: ['x'],
    uses: ['powers', 'steps'],
    body: ['if (!(x > -708 && x < 709)) return Math.exp(x)', ...reduced, 'return power + power * rest'],
  },
  expm1: {
    doc: 'e^x - 1; relative error below 1e-11.',
    params: ['x'],
    uses: ['powers', 'steps'],
    body: ['if (!(x > -708 && x < 709)) return Math.expm1(x)', ...reduced, 'return power * rest + (power - 1)'],
  },
  tanh: {
    doc: 'Hyperbolic tangent; relative error below 2e-11.',
    params: ['x'],
    uses: ['expm1'],
    body: ['const e = expm1(2 * Math.max(-20, Math.min(x, 20)))', 'return e / (e + 2)'],
  },
  erf: {
    uses: ['exp'],
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
      'const y = z > 6 ? 1 : 1 - exp(-z * z) * low',
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
