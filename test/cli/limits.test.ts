/** `tfmc explain --device-profile`: proofs of limits for people and machines. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { contents, folder, json, tfmc, tiny } from './support.ts'

const small = JSON.stringify({
  name: 'small',
  memory: 20000,
  limits: { maxStorageBufferBindingSize: 400, maxStorageBuffersPerShaderStage: 10 },
})
const cwd = (): string => folder({ 'tiny.tfm': tiny, 'small.json': small, 'bad.json': '{"name": "x", "memory": "1"}' })
const explain = (...more: string[]) => tfmc(['explain', 'tiny.tfm', ...more], { cwd: cwd() })

describe('explain --device-profile', () => {
  test('says what fits, what stops it, what it takes, and what a token costs', async () => {
    const { code, out } = await explain('--device-profile', 'small.json')
    expect(code).toBe(0)
    // Names of kernels and how they are fused are not this page's matter.
    const lines = [
      /^limits {2}small: of a file\n {2}400 B a binding, 268 MB a buffer, 10 bindings a kernel, .*; 20 kB in all$/m,
      /^ {2}program +at most +with +what stops one more$/m,
      /^ {2}prefill +T = 9 +B = 1 +output logits: 448 bytes; maxStorageBufferBindingSize = 400$/m,
      /^ {2}step +P = 11 +B = 1, T = 1 +the model: 12 positions$/m,
      /^ {2}weights +1\.6 kB +7 tensors; .*attn\.v\.weight, 768 B, in 3 parts$/m,
      /^ {2}caches +64 B +for each position$/m,
      /^ {2}prefill +B = 1, T = 9, P = 0 +1\.6 kB +768 B +.* {2}output logits, 400 B$/m,
      /^step {2}B = 1, P = 11, T = 1\n {2}kernel +times +bindings of 10 +largest +workgroups +threads +their memory$/m,
      /^a token {2}step at B = 1, P = 11\n {2}\d dispatches; .* of weights and caches read$/m,
      /^ {2}logits +1 +352 B +0 B +/m,
      /^ {2}in all +\d +1\.6 kB +768 B +/m,
    ]
    for (const line of lines) expect(out).toMatch(line)
  })
  test('refuses sizes that do not fit, with the largest that do', async () => {
    const { code, err } = await explain('--device-profile', 'small.json', '--dims', 'T=12')
    expect(code).toBe(1)
    expect(err).toMatch(/error TFM2107: tiny does not fit the profile small at B = 1, T = 12\n[^]*prefill at [^]*the largest that fits: T = \d+ with B = 1[^]*fix: take T = \d+ with B = 1/) // prettier-ignore
    expect((await explain('--device-profile', 'small.json', '--dims', 'T=5')).code).toBe(0)
  })
  test('refuses a model that does not fit at all, with what it needs', async () => {
    const { code, err } = await explain('--device-profile', 'phone', '--set', 'vocab=4000000')
    expect(code).toBe(1)
    expect(err).toMatch(/TFM2107: tiny does not fit the profile phone\n[^]*weights 128 MB[^]*fix: a device with \d+ MB at least/)
  }) // prettier-ignore
  test('as JSON', async () => {
    const { code, data } = await json(['explain', 'tiny.tfm', '--device-profile', 'webgpu', '--dims', 'T=3'], { cwd: cwd() }) // prettier-ignore
    expect(code).toBe(0)
    expect(data).toMatchObject({
      ok: true,
      limits: { profile: { name: 'webgpu' }, programs: [{ name: 'prefill', largest: [{ dim: 'T', most: 12 }], dims: { B: 1, T: 3 } }, { name: 'step', largest: [{ dim: 'P', most: 11 }] }] },
      token: { dims: { P: 11 }, kernels: expect.arrayContaining([expect.objectContaining({ name: 'logits', dispatches: 1, weights: 4 * 11 * 8 })]) },
      diagnostics: [],
    }) // prettier-ignore
  })
  test.each([
    [['--device-profile', 'none'], 1, /TFM2213: none is no device profile: no such file[^]*one of webgpu, phone, desktop/],
    [['--device-profile', 'constructor'], 1, /TFM2213/],
    [['--device-profile', '.'], 1, /TFM2213: \. is no device profile: it is a folder/],
    [['--device-profile', 'tiny.tfm'], 1, /TFM2213: tiny\.tfm is no device profile: it is not JSON/],
    [['--device-profile', 'bad.json'], 1, /TFM2213: bad\.json is no device profile: `memory` is to be a number of bytes, not `"1"`/],
    [['--device-profile', 'phone', '--target', 'wasm'], 2, /--device-profile is about devices with WebGPU/],
  ] as const)('%j', async (argv, code, message) => {
    const ran = await explain(...argv)
    expect(ran.code).toBe(code)
    expect(ran.err).toMatch(message)
  }) // prettier-ignore
})

describe('--device-profile of other commands', () => {
  test('compile splits for it, and writes nothing of what does not fit', async () => {
    const at = cwd()
    const compile = (...more: string[]) => tfmc(['compile', 'tiny.tfm', '--target', 'wgsl', '--no-format', ...more], { cwd: at }) // prettier-ignore
    const refused = await compile('--device-profile', 'phone', '--set', 'vocab=4000000')
    expect(refused.err).toContain('TFM2107')
    expect(refused.code).toBe(1)
    expect(contents(at)).toEqual(['bad.json', 'small.json', 'tiny.tfm'])
    expect((await compile('--device-profile', 'small.json')).code).toBe(0)
    expect(readFileSync(join(at, 'tiny-wgsl/tiny.ts'), 'utf8')).toMatch(/cut: 64\b/)
  })
  test('diff holds every kernel with weights in parts within its bounds', async () => {
    const argv = ['diff', 'tiny.tfm', '--random-weights', '1', '--targets', 'wgsl', '--dims', 'T=7', '--no-unfused']
    const { code, out } = await tfmc([...argv, '--device-profile', 'small.json'], { cwd: cwd() })
    expect(out).toMatch(/ok all within their bounds/)
    expect(code).toBe(0)
  })
  test('explain counts weights in fewer bits', async () => {
    const at = { cwd: cwd() }
    const weights = async (as: string) => {
      const { data } = await json(['explain', 'tiny.tfm', '--device-profile', 'phone', '--set', 'd=64', '--weights-as', as], at) // prettier-ignore
      return (data.limits as { weights: { bytes: number } }).weights.bytes
    }
    expect(await weights('f16')).toBeLessThan(0.6 * (await weights('f32')))
  })
})
