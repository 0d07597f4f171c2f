import { describe, expect, test } from 'vitest'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import * as K from '../../kernel/kernels.ts'
import { validatingDevice } from '../../support/gpu.ts'
import { codeFor } from '../../../targets/wgsl/kernel.ts'
import { visitStmts } from '../../../src/kernel/walk.ts'
import { schedule } from '../../../targets/wgsl/recipes.ts'
import { barriers } from './nests.ts'
import { check, checkPasses, compile, compilePasses, print } from './run.ts'

const dims = [K.T, K.P]
const lengths = [1, 2, 5, 17, 64, 65]
const cases: readonly (readonly [string, () => StageKernel, readonly number[]])[] = [
  ['matmul with two results, 37 deep, 70 wide', () => K.matmul(K.T, 70, 37).kernel, [...lengths, 128]],
  ['matmul, whole tiles', () => K.matmul(K.T, 64, 32).kernel, [1, 64, 65]],
  ['matmul, one column', () => K.matmul(K.T, 2, 1).kernel, [1, 3, 20]],
  ['residual and layer norm', () => K.layernorm(7).kernel, lengths],
  ['residual and layer norm, two vectors a thread', () => K.layernorm(300).kernel, [1, 3]],
  ['residual and layer norm, four elements a thread', () => K.layernorm(1021).kernel, [1, 2]],
  ['residual and layer norm, rows that threads cannot keep', () => K.layernorm(4100).kernel, [1, 2]],
  ['residual and layer norm, one element', () => K.layernorm(1).kernel, [1, 70]],
  ['softmax of constant length', () => K.rowSoftmax(50).kernel, [1, 3, 70]],
  ['softmax of constant length, in vectors', () => K.rowSoftmax(260).kernel, [1, 3]],
  ['softmax of a vocabulary', () => K.rowSoftmax(50257).kernel, [1]],
  ['layer norm and matmul', () => K.normed(7, 40).kernel, [1, 2, 5, 17]],
  ['layer norm and matmul, long rows', () => K.normed(900, 33).kernel, [1, 3, 5]],
  ['softmax', () => K.softmax().kernel, lengths],
  ['attention', () => K.attention().kernel, lengths],
  ['attention, 80 columns', () => K.attention(2, 80).kernel, [1, 65]],
  ['attention, 64 columns', () => K.attention(1, 64).kernel, [1, 33, 65]],
  ['attention, 12 columns', () => K.attention(2, 12).kernel, [1, 5, 31, 32, 33]],
  ['attention, 130 columns', () => K.attention(1, 130).kernel, [1, 33]],
  ['gather, sum and argmax', () => K.embedding(9, 70).kernel, [1, 5, 64]],
  ['permuted copies', () => K.permuted().kernel, lengths],
]

describe.each(cases)('%s', (_, make, sizes) => {
  test.each(['one', 'many'] as const)('equals the naive nest within its bounds (used with %s)', async (used) => {
    const kernel = make()
    const c = await compile(kernel, dims, { used })
    for (const [v] of c.printed.entries.entries())
      for (const T of sizes)
        for (const past of T === 5 ? [0, 63, 130] : [T % 3])
          await check(
            c,
            v,
            new Map([
              [K.T, T],
              [K.P, past],
            ]),
            dims,
          )
  })
  test('so does its alternative without workgroup memory, a kernel of its own', async () => {
    const kernel = make()
    if (schedule(kernel).passes === undefined) return
    const passes = await compilePasses(kernel, dims, {}, undefined, [], true)
    for (const { nest } of passes.list.flatMap((p) => p.scheduled.variants)) {
      expect(barriers(nest)).toBe(0)
      visitStmts(nest.body, (s) => expect(s.k === 'alloc' && s.buf.space === 'workgroup').toBe(false))
    }
    for (const T of sizes) await checkPasses(passes, new Map([[K.T, T], [K.P, T === 5 ? 63 : T % 3]]), dims) // prettier-ignore
  })
  test('the same with subgroups', async () => {
    const kernel = make()
    const { printed } = print(kernel, dims)
    if (printed.parts.every((p) => p.form === undefined)) return
    expect(codeFor(printed, ['subgroups'])).toMatch(/^enable subgroups;/)
    const c = await compile(kernel, dims, {}, undefined, ['subgroups'])
    for (const [v] of c.printed.entries.entries())
      for (const T of sizes.slice(0, 3)) await check(c, v, new Map([[K.T, T], [K.P, T % 3]]), dims) // prettier-ignore
  })
  test('is valid under the default limits', async () => {
    const device = await validatingDevice()
    const plain = await (await navigatorOf(device)).requestDevice()
    plain.pushErrorScope('validation')
    await compile(make(), dims, {}, plain)
    expect((await plain.popErrorScope())?.message).toBeUndefined()
    plain.destroy()
  })
})

test('a grid longer than one dimension is folded', async () => {
  const c = await compile(K.permuted().kernel, dims)
  await check(
    c,
    0,
    new Map([
      [K.T, 1000],
      [K.P, 0],
    ]),
    dims,
    1,
    7,
  )
  const rows = await compile(K.layernorm(7).kernel, dims)
  await check(
    rows,
    0,
    new Map([
      [K.T, 33],
      [K.P, 0],
    ]),
    dims,
    1,
    5,
  )
})

import { nullGpu } from '../../../src/gpu/dawn.ts'
const navigatorOf = async (_: GPUDevice): Promise<GPUAdapter> => (await nullGpu()).adapter
