/** `tfmc profile`: what it says and draws, never how long anything took. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { closeDevice } from '../../src/cli/device.ts'
import { arithmeticKernel, copyKernel, measureCeilings } from '../../src/cli/ceilings.ts'
import { escapeXml, flameSvg } from '../../src/cli/flame.ts'
import { listenToDevice } from '../../src/cli/listen.ts'
import type { Profile, ProfiledDispatch } from '../../src/cli/profile.ts'
import { verify } from '../../src/kernel/verify.ts'
import { schedule } from '../../targets/wgsl/recipes.ts'
import { checkpoint, folder, json, tfmc, tiny } from './support.ts'

afterAll(closeDevice)

const quick = ['--rounds', '1', '--tokens', '2', '--prompt', '5']
type Data = Profile & { readonly diagnostics: readonly { readonly code: string }[] }

describe('profile', () => {
  test('on the graphics card: every dispatch of every program, and what the card can do', async () => {
    const cwd = folder({ 'tiny.tfm': tiny, 'model.safetensors': checkpoint() })
    const ran = await json(['profile', 'tiny.tfm', ...quick], { cwd })
    expect(ran.code).toBe(0)
    const data = ran.data as unknown as Data
    expect(data).toMatchObject({ model: 'tiny', target: 'wgsl', timed: 'kernels' })
    expect(data.ceilings!.copy).toBeGreaterThan(0)
    expect(data.ceilings!.arithmetic).toBeGreaterThan(0)
    expect(data.programs.map((p) => [p.program, p.dims])).toEqual([
      ['prefill', { T: 5, B: 1, P: 0 }],
      ['step', { T: 1, B: 1, P: 6 }],
    ])
    for (const { dispatches, kernels, call } of data.programs) {
      expect(call.best).toBeGreaterThan(0)
      expect(kernels.reduce((n, k) => n + k.calls, 0)).toBe(dispatches.length)
      expect(kernels.reduce((n, k) => n + k.bytes, 0)).toBe(dispatches.reduce((n, d) => n + d.bytes, 0))
      for (const d of dispatches) {
        // Of passes, and of alternatives that are kernels of their own, the name.
        expect(d.entry).toMatch(/^main|_(direct|rows|products)$/)
        // What passes move is counted with their last.
        if (!d.entry?.endsWith('_rows')) expect(d.bytes).toBeGreaterThan(0)
      }
    }
    // The norm in front of a projection is counted for its row, not for each column.
    const projection = data.programs[1].kernels.find((k) => k.name.startsWith('attn_q'))!
    expect(projection.kind).toBe('contraction')
    expect(projection.flops).toBeGreaterThanOrEqual(2 * 8 * 24)
    expect(projection.flops).toBeLessThan(1.5 * 2 * 8 * 24)
    expect(new Set(data.programs[0].kernels.map((k) => k.kind))).toContain('carried')
    expect(new Set(data.programs[0].kernels.map((k) => k.kind))).toContain('contraction')
  })
  test.each(['typescript', 'wasm'])('%s is listened to', async (target) => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { data } = await json(['profile', 'tiny.tfm', ...quick, '--target', target, '--threads', '2'], { cwd })
    const { timed, programs, ceilings } = data as unknown as Data
    expect([timed, ceilings]).toEqual(['kernels', undefined])
    expect(programs.map((p) => p.program)).toEqual(['prefill', 'step'])
    for (const p of programs) {
      expect(p.dispatches.length).toBeGreaterThan(4)
      for (const d of p.dispatches) expect(d.milliseconds).toBeGreaterThanOrEqual(0)
      // What is heard lies within the call.
      expect(p.dispatches.reduce((ms, d) => ms + d.milliseconds, 0)).toBeGreaterThan(0)
    }
  })
  test('a table and a picture for people', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { code, out } = await tfmc(['profile', 'tiny.tfm', ...quick, '--svg', 'p.svg'], { cwd })
    expect(code).toBe(0)
    expect(out).toMatch(/^At most, measured: copies [\d.]+ [GM]B\/s/m)
    expect(out).toMatch(/^step {2}T = 1, B = 1, P = 6 {2}[\d.]+ (ms|µs) a call/m)
    expect(out).toMatch(/^ +kernel +as +times +ms +share +moves +GB\/s +of copies +GFLOP\/s +of most$/m)
    const svg = readFileSync(join(cwd, 'p.svg'), 'utf8')
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/)
    expect(svg).toContain('prefers-color-scheme:dark')
    expect(svg).toContain('>prefill</text>')
  })
  const bad: [string, string[], RegExp][] = [
    ['two targets', ['--target', 'wgsl,wasm'], /--target takes one/],
    ['no such target', ['--target', 'cuda'], /no target 'cuda'/],
    ['nothing to repeat', ['--rounds', '0'], /--rounds/],
  ]
  test.each(bad)('%s', async (_, more, message) => {
    const ran = await tfmc(['profile', 'tiny.tfm', ...more], { cwd: folder({ 'tiny.tfm': tiny }) })
    expect(ran.code).toBe(2)
    expect(ran.err).toMatch(message)
  })
})

test('a device without timestamps: submissions are timed, and what measures the device does without too', async () => {
  const { openGpu } = await import('../../src/gpu/dawn.ts')
  const gpu = await openGpu()
  try {
    const plain = await gpu.device([])
    const { listener, close } = await listenToDevice(plain)
    expect(listener(undefined)!.of).toBe('submissions')
    const ceilings = await measureCeilings(plain, true)
    expect(ceilings.copy).toBeGreaterThan(0)
    expect(ceilings.arithmetic).toBeGreaterThan(0)
    close()
  } finally {
    gpu.close()
  }
})

test('the kernels that measure the device are right', () => {
  const { nest } = arithmeticKernel(4, 8)
  expect(verify(nest, {})).toEqual([])
  for (const v of schedule(copyKernel(1000)).variants) expect(verify(v.nest, {})).toEqual([])
})

describe('pictures', () => {
  const dispatch = (name: string, milliseconds: number, within: readonly string[] = []): ProfiledDispatch => ({
    name, milliseconds, within, kind: 'contraction', kernel: undefined, program: 'run', flops: 1, bytes: 1,
  }) // prettier-ignore
  const picture = (dispatches: readonly ProfiledDispatch[], model = 'm'): string =>
    flameSvg({
      model, target: 'wgsl', device: 'a & b', software: false, timed: 'kernels',
      programs: [
        {
          program: 'run', dims: {}, call: { best: 1, median: 1 }, dispatches, submissions: [],
          kernels: dispatches.map((d) => ({ name: d.name, kind: d.kind, entries: [], calls: 1, milliseconds: d.milliseconds, flops: 1, bytes: 1 })),
        },
      ],
    }) // prettier-ignore

  test('names are escaped, and what XML does not allow is left out', () => {
    expect(escapeXml('<a href="x">&\u0000\ud800\u{1f600}')).toBe('&#60;a href=&#34;x&#34;&#62;&#38;\u{1f600}')
    const svg = picture([dispatch('</text><script>', 1)], '"><script>')
    expect(svg).not.toContain('<script')
    expect(svg).toContain('a &#38; b')
  })
  test('layers stand around their kernels, at most as wide as the whole; many are drawn as one', () => {
    const frames = (svg: string): { x: number; width: number; title: string }[] =>
      [
        ...svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="22" class="frame \w+"><title>([^<]*)/g),
      ].map(([, x, width, title]) => ({ x: Number(x), width: Number(width), title }))
    const two = frames(picture([dispatch('a', 1), ...[0, 1].map((i) => dispatch('b', 1, [`layer ${i}`])), dispatch('c', 1)])) // prettier-ignore
    expect(two.map((f) => f.title.split(':')[0])).toEqual(['run', 'a', 'layer 0', 'b', 'layer 1', 'b', 'c'])
    expect(two.map((f) => f.width)).toEqual([1152, 288, 288, 288, 288, 288, 288])
    expect(two.at(-1)!.x + two.at(-1)!.width).toBeCloseTo(1176)
    const many = frames(picture(Array.from({ length: 100 }, (_, i) => dispatch('b', 1, [`t = ${i}`]))))
    expect(many.map((f) => f.title.split(':')[0])).toEqual(['run', 't = 0 … t = 99', 'b'])
  })
  test('nothing that took time, and long names', () => {
    expect(picture([dispatch('a', 0)])).toContain('</svg>')
    expect(picture([dispatch('x'.repeat(500), 1)])).toContain('x…<')
  })
})
