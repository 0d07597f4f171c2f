import { describe, expect, test } from 'vitest'
import { bin, index } from '../../../src/kernel/expr.ts'
import { verify, webgpuLimits } from '../../../src/kernel/verify.ts'
import { con, of } from '../../../src/types/ix.ts'
import { longestRow } from '../../../src/lower/prologue.ts'
import { schedule } from '../../../targets/wgsl/recipes.ts'
import * as K from '../../kernel/kernels.ts'
import { barriers, withoutBarrier } from './nests.ts'

const cases = {
  matmul: K.matmul(K.T, 70, 37),
  'whole tiles': K.matmul(K.T, 64, 32),
  layernorm: K.layernorm(300),
  'norm and matmul': K.normed(300, 70),
  'the longest rows of a prologue': K.normed(longestRow, 2304),
  'rows of single elements': K.layernorm(1021),
  'rows that threads cannot keep': K.layernorm(4100),
  'softmax of constant length': K.rowSoftmax(260),
  softmax: K.softmax(),
  attention: K.attention(2, 80),
  'wide attention': K.attention(1, 130),
  embedding: K.embedding(9, 70),
  permuted: K.permuted(),
}
const nests = Object.entries(cases).flatMap(([name, { kernel }]) =>
  (['one', 'many'] as const).flatMap((used) => {
    const scheduled = schedule(kernel, { used })
    const passes = scheduled.passes?.list.map((x) => [x.kernel.name, x.scheduled] as const) ?? []
    return [['', scheduled] as const, ...passes].flatMap(([pass, { variants, constants }]) =>
      variants.map((v) => [`${name}, used with ${used} ${pass}${v.suffix}`, v.nest, [...(constants ?? [])]] as const),
    )
  }),
)

describe.each(nests)('%s', (name, nest, constants) => {
  test('is well-formed', () => {
    // The table of positions has 64 rows.
    const given = [
      ...constants.map(([s, n]) => bin('eq', index(of(s)), index(con(n)))),
      ...(name.startsWith('embedding') ? [bin('le', index(of(K.T)), index(con(64)))] : []),
    ]
    const issues = verify(nest, { limits: webgpuLimits, given }).map((i) => `${i.rule}: ${i.message}`)
    // Its stage stores two of three columns at `c mod 2`, which is beyond the prover.
    expect(issues.filter((m) => !m.startsWith('disjoint: evens'))).toEqual([])
  })
  test('has no barrier to spare', () => {
    for (let n = 0; n < barriers(nest); n++) {
      const rules = verify(withoutBarrier(nest, n)).map((i) => i.rule)
      expect(rules, `without barrier ${n}`).not.toEqual([])
    }
  })
})
