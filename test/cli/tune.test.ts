/** `tfmc tune` and `--tune`: what is tried, what is kept, and what files are refused; never what is faster. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { choiceFor, keyOf } from '../../targets/wasm/tuning.ts'
import { wasm } from '../../targets/wasm/index.ts'
import { heavyKernels, tuneKernel, tuningText } from '../../src/cli/tune.ts'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { contents, folder, json, tfmc, tiny } from './support.ts'

const file = (kernels: object, more: object = {}): string =>
  JSON.stringify({ version: 1, target: 'wasm', kernels, ...more })
const emitted = (cwd: string, name: string): string => readFileSync(join(cwd, name, 'tiny.wat'), 'utf8')

describe('tune', () => {
  test('writes a file that compile takes', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { code, data } = await json(['tune', 'tiny.tfm', '--budget', '0.1', '--dims', 'T=5'], { cwd })
    expect(code).toBe(0)
    expect(data).toMatchObject({ model: 'tiny', file: 'tiny.tune.json' })
    const written = JSON.parse(readFileSync(join(cwd, 'tiny.tune.json'), 'utf8')) as Record<string, unknown>
    expect(written).toMatchObject({ version: 1, target: 'wasm', machine: { node: process.versions.node } })
    const compiled = await tfmc(['compile', 'tiny.tfm', '-t', 'wasm', '--no-format', '--tune', 'tiny.tune.json'], {
      cwd,
    })
    expect(compiled.code).toBe(0)
  })
  test('every choice for every kind of kernel gives the results of the default', async () => {
    const { lowered } = compile(sourceFile('tiny.tfm', tiny), wasm)
    const heavy = heavyKernels(lowered.module, { T: 5, P: 3 })
    expect(heavy.length).toBeGreaterThan(2)
    expect(heavy.map((h) => h.flops)).toEqual(heavy.map((h) => h.flops).sort((a, b) => b - a))
    for (const h of heavy) {
      const tried = await tuneKernel(h, 0, (right) => {
        expect(right.length, h.key).toBeGreaterThan(1)
        expect(right.every(Boolean), h.key).toBe(true)
      })
      if (tried) expect(tried.gain).toBeGreaterThan(1)
    }
  })
  test('what was interrupted is kept', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { code } = await tfmc(['tune', 'tiny.tfm'], { cwd, signal: AbortSignal.abort() })
    expect(code).toBe(130)
    expect(contents(cwd)).toEqual(['tiny.tfm', 'tiny.tune.json'])
  })
})

describe('--tune', () => {
  test('changes the kernels that it names, and no others', async () => {
    const { lowered } = compile(sourceFile('tiny.tfm', tiny), wasm)
    const kernel = lowered.module.kernels.find((k) => k.name === 'logits')!
    const key = keyOf(kernel, false)!
    const choice = { form: 'tile', rows: 4 } as const
    expect(choiceFor({ [key]: choice }, kernel, false)).toEqual(choice)
    expect(choiceFor({ [key]: choice }, kernel, true)).toBeUndefined()
    const one = { key, choice, gain: 2 }
    const cwd = folder({
      'tiny.tfm': tiny,
      'a.json': tuningText([one], {}),
      'none.json': file({ 'm 1 n 1 k 1': choice }),
    })
    for (const [out, more] of [
      ['plain', []],
      ['a', ['--tune', 'a.json']],
      ['none', ['--tune', 'none.json']],
    ] as const)
      expect((await tfmc(['compile', 'tiny.tfm', '-t', 'wasm', '--no-format', '-o', out, ...more], { cwd })).code).toBe(
        0,
      )
    expect(emitted(cwd, 'none')).toBe(emitted(cwd, 'plain'))
    expect(emitted(cwd, 'a')).not.toBe(emitted(cwd, 'plain'))
  })
  const bad: [string, string, RegExp][] = [
    ['no JSON', '{', /not JSON/],
    ['no object', '[1]', /"kernels"/],
    ['no kernels', '{"version": 1}', /"kernels"/],
    ['another version', file({}, { version: 2 }), /version 2, not 1/],
    ['another target', file({}, { target: 'wgsl' }), /wgsl/],
    ['no such choice', file({ x: { form: 'tile', rows: 1e9 } }), /"x" has none/],
    ['hostile', file({ x: null }), /"x" has none/],
  ]
  test.each(bad)('%s is refused', async (_, text, message) => {
    const cwd = folder({ 'tiny.tfm': tiny, 'a.json': text })
    const { code, data } = await json(['compile', 'tiny.tfm', '-t', 'wasm', '--tune', 'a.json'], { cwd })
    expect(code).toBe(1)
    expect(data.diagnostics[0]).toMatchObject({ code: 'TFM2210', message: expect.stringMatching(message) })
  })
  test('a file that is not there', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { data } = await json(['bench', 'tiny.tfm', '--tune', 'no.json'], { cwd })
    expect(data.diagnostics[0]).toMatchObject({ code: 'TFM2203' })
  })
})
