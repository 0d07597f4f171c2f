/** `--arithmetic f16`. */
import { expect, test } from 'vitest'
import { folder, tfmc, tiny } from './support.ts'

const cwd = (): string => folder({ 'tiny.tfm': tiny })

test('explain says which kernels compute in f16, and how far off they may be', async () => {
  const { code, out } = await tfmc(['explain', 'tiny.tfm', '--weights-as', 'f16', '--arithmetic', 'f16'], { cwd: cwd() })
  expect(code).toBe(0)
  expect(out).toMatch(/arithmetic in f16 {2}\d kernels? \(.*logits.*\), for more than a few rows, on devices with shader-f16/)
  expect(out).toContain('a product is off by 1.8 % at most, by 1.1 % as a standard deviation')
  expect((await tfmc(['explain', 'tiny.tfm', '--weights-as', 'f16'], { cwd: cwd() })).out).not.toContain('arithmetic')
}) // prettier-ignore
test('it takes matrices that are f16', async () => {
  const { code, err } = await tfmc(['compile', 'tiny.tfm', '--target', 'wgsl', '--arithmetic', 'f16'], { cwd: cwd() })
  expect([code, err]).toEqual([2, expect.stringContaining('it goes with --weights-as f16')])
})
test('diff bounds what it computes', async () => {
  const argv = ['diff', 'tiny.tfm', '--random-weights', '1', '--targets', 'wgsl', '--no-unfused', '--arithmetic', 'f16']
  const { code, out } = await tfmc([...argv, '--dims', 'T=9'], { cwd: cwd() })
  expect([code, out]).toEqual([0, expect.stringContaining('all within their bounds')])
})
