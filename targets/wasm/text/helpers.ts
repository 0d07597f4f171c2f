/** Functions that the instruction set lacks, printed once into a module that uses them. */
import type { MathFn } from '../math.ts'
import { mathFunction, mathFunctions } from '../math.ts'
import type { Printer } from './printer.ts'
import { globals } from './printer.ts'
import type { Sx } from './sexp.ts'
import { get, i32, set } from './sexp.ts'

/** Functions of `math.ts` on four lanes (`exp`) and on a scalar (`exp_scalar`), and integer arithmetic. */
export type Helper = MathFn | `${MathFn}_scalar` | 'floor_div' | 'floor_mod' | 'share'

/** The text of a helper under the name it was given. */
export function helperFunction(h: Helper, name: string, p: Printer): readonly Sx[] {
  switch (h) {
    case 'floor_div':
      return integer(name, 'Quotient towards minus infinity; 0 for a divisor of 0.', [
        set('$r', ['i32.rem_s', get('$a'), get('$b')]),
        ['i32.sub', ['i32.div_s', get('$a'), get('$b')], differs('$r', '$b')],
      ])
    case 'floor_mod':
      return integer(name, 'Remainder with the sign of the divisor; 0 for a divisor of 0.', [
        set('$r', ['i32.rem_s', get('$a'), get('$b')]),
        ['select', ['i32.add', get('$r'), get('$b')], get('$r'), differs('$r', '$b')],
      ])
    case 'share':
      return [
        'func',
        name,
        ';; Where the share of a thread of n steps starts: n * thread / threads.',
        ['param', '$n', 'i32'],
        ['param', '$of', 'i32'],
        ['result', 'i32'],
        [
          'i32.wrap_i64',
          [
            'i64.div_u',
            ['i64.mul', ['i64.extend_i32_u', get('$n')], ['i64.extend_i32_u', get('$of')]],
            ['i64.extend_i32_u', ['global.get', globals.threads]],
          ],
        ],
      ]
    default: {
      const scalar = h.endsWith('_scalar')
      const f = scalar ? h.slice(0, -'_scalar'.length) : h
      return mathFunction(mathFunctions[f as MathFn], name, scalar, p)
    }
  }
}

const integer = (name: string, doc: string, body: readonly Sx[]): readonly Sx[] => [
  'func',
  name,
  `;; ${doc}`,
  ['param', '$a', 'i32'],
  ['param', '$b', 'i32'],
  ['result', 'i32'],
  ['local', '$r', 'i32'],
  ['if', ['i32.eqz', get('$b')], ['then', ['return', i32(0)]]],
  ...body,
]
/** Whether a remainder is not 0 and of another sign than the divisor. */
const differs = (r: string, b: string): Sx => [
  'i32.and',
  ['i32.ne', get(r), i32(0)],
  ['i32.lt_s', ['i32.xor', get(r), get(b)], i32(0)],
]
