/** Commands that need no weights: check, compile, explain, ir, fmt, init, info. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseGraph } from '../../src/ir/parse.ts'
import { printGraph } from '../../src/ir/print.ts'
import { checkpoint, contents, example, folder, json, tfmc, tiny } from './support.ts'

describe('check', () => {
  test('says what the model looks like from outside', async () => {
    expect((await tfmc(['check', example('shakespeare')])).out).toBe(
      'ok shakespeare (examples/shakespeare/model.tfm)\n' +
        '  inputs   ids: i32[B, T]\n  outputs  logits: f32[B, T, 1024]\n  weights  76 tensors, 2,915,328 numbers\n',
    )
  })
  test('--explain shows where values came from', async () => {
    const { out } = await tfmc(['check', example('shakespeare'), '--set', 'eps=1e-6', '--explain'])
    expect(out).toMatch(/d +192 +"n_embd" of examples\/shakespeare\/config.json/)
    expect(out).toMatch(/eps +0.000001 +--set/)
    expect(out).toMatch(/split_heads\.heads +6 /)
    expect(out).toMatch(/T <= 256 +checked at the call/)
    expect((await tfmc(['check', example('shakespeare'), '--no-config', '--explain'])).out).toMatch(/d +192 +default/)
  })
  test('as JSON', async () => {
    const { code, err, data } = await json(['check', example('translate'), '--explain'])
    expect([code, err]).toEqual([0, ''])
    expect(data).toMatchObject({ ok: true, model: 'translate', parameters: { tensors: 68 }, diagnostics: [] })
  })
  const bad: [string, string[], string, RegExp][] = [
    ['unknown file', ['nope.tfm'], 'TFM1101', /cannot find nope\.tfm/],
    ['folder', ['.'], 'TFM1104', /it is a folder/],
    ['binary', ['weights.tfm'], 'TFM1104', /not UTF-8/],
    ['indivisible heads', ['tiny.tfm', '--set', 'heads=3'], 'TFM1405', /not divisible by 3/],
    ['unknown hyperparameter', ['tiny.tfm', '--set', 'head=3'], 'TFM1213', /did you mean `heads`/],
    ['bad config', ['tiny.tfm', '--config', 'bad.json'], 'TFM1908', /bad\.json/],
  ]
  test.each(bad)('%s', async (_, argv, code, message) => {
    const files = { 'tiny.tfm': tiny, 'weights.tfm': new Uint8Array([0xff, 0xfe, 0x00, 0x80]), 'bad.json': '[1' }
    const cwd = folder(files)
    const ran = await tfmc(['check', ...argv], { cwd })
    expect([ran.code, ran.out]).toEqual([1, ''])
    expect(ran.err).toContain(`error ${code}`)
    expect(ran.err).toMatch(message)
    const { data } = await json(['check', ...argv], { cwd })
    expect(data.diagnostics.map((d) => d.code)).toContain(code)
  })
  test('imports are found beside the file', async () => {
    const main = 'import { twice } from "./b.tfm"\nmodel m(d = 4) {\n  input x: f32[B, d]\n  output y = twice(x)\n}\n'
    const cwd = folder({ 'a.tfm': main, 'b.tfm': 'block twice(x: f32[...]) = x + x\n' })
    expect((await tfmc(['check', 'a.tfm'], { cwd })).code).toBe(0)
  })
})

describe('compile', () => {
  test('writes a typed module, formatted', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { code, out } = await tfmc(['compile', 'tiny.tfm'], { cwd })
    expect(code).toBe(0)
    expect(out).toMatch(/tiny-typescript\/tiny\.ts +\d+ kB\nok 1 file, /)
    const text = readFileSync(join(cwd, 'tiny-typescript/tiny.ts'), 'utf8')
    expect(text).toContain('compiled by tfm from tiny.tfm')
    expect(text).not.toMatch(/^import /m)
  })
  test('all targets, as JavaScript, without prettier', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { data } = await json(['compile', 'tiny.tfm', '--target', 'all', '--js', '--no-format', '-o', 'out'], { cwd })
    const files = data.files as { path: string; bytes: number }[]
    const paths = files.map((f) => f.path)
    expect(paths).toContain('out/typescript/tiny.js')
    expect(paths.filter((p) => p.startsWith('out/wgsl/kernels/')).length).toBeGreaterThan(3)
    for (const f of files) expect(readFileSync(join(cwd, f.path)).length).toBe(f.bytes)
  })
  test('--no-selftest leaves it out', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    await tfmc(['compile', 'tiny.tfm', '--no-selftest', '--no-format', '-o', 'without'], { cwd })
    await tfmc(['compile', 'tiny.tfm', '--no-format', '-o', 'with'], { cwd })
    expect(readFileSync(join(cwd, 'with/tiny.ts'), 'utf8')).toContain('selftest()')
    expect(readFileSync(join(cwd, 'without/tiny.ts'), 'utf8')).not.toContain('selftest()')
  })
  test('--no-run leaves run() and its kernels out, of models with steps', async () => {
    const ahead = tiny.replace('causal(T)', 'keys(ids == 1)')
    const cwd = folder({ 'tiny.tfm': tiny, 'ahead.tfm': ahead })
    const compile = ['compile', resolve(example('translate')), '--js', '--no-format']
    const { data } = await json([...compile, '-o', 'with'], { cwd })
    const { data: less } = await json([...compile, '--no-run', '-o', 'without'], { cwd })
    expect(readFileSync(join(cwd, 'with/translate.d.ts'), 'utf8')).toContain('run(inputs')
    const types = readFileSync(join(cwd, 'without/translate.d.ts'), 'utf8')
    expect(types).toContain('prefill(inputs')
    expect(types).not.toContain('run(inputs')
    expect(less.bytes).toBeLessThan(0.9 * (data.bytes as number))
    const { code, err } = await tfmc(['compile', 'ahead.tfm', '--no-run', '-o', 'none'], { cwd })
    expect(code).toBe(2)
    expect(err).toContain('--no-run is for models with prefill and step: ')
    expect(contents(cwd)).not.toContain('none')
  })
  test('writes nothing for a model with errors, or where it cannot', async () => {
    const cwd = folder({ 'tiny.tfm': tiny, file: '' })
    expect((await tfmc(['compile', 'tiny.tfm', '--set', 'heads=3', '-o', 'out'], { cwd })).code).toBe(1)
    const { code, err } = await tfmc(['compile', 'tiny.tfm', '-o', 'file/out'], { cwd })
    expect(code).toBe(1)
    expect(err).toContain('error TFM2203')
    expect(contents(cwd)).toEqual(['file', 'tiny.tfm'])
  })
})

describe('explain', () => {
  test('kernels, bytes, fusions, memory', async () => {
    const { code, out } = await tfmc(['explain', example('shakespeare'), '--dims', 'T=32', '--fusions'])
    expect(code).toBe(0)
    expect(out).toMatch(/^prefill {2}T = 32, B = 1, P = 64$/m)
    expect(out).toMatch(/^step {2}B = 1, P = 64$/m)
    expect(out).toMatch(/\d+ kernels, \d+ dispatches, .* a call, .* a token/)
    expect(out).toMatch(/without fusion \d+ dispatches/)
    expect(out).toMatch(/fusions refused[\s\S]*line \d+/)
    expect(out).toMatch(/weights +12 MB/)
  })
  test('why a model cannot be stepped', async () => {
    const ahead = tiny.replace('causal(T)', 'keys(ids == 1)')
    const { code, err } = await tfmc(['explain', 'tiny.tfm'], { cwd: folder({ 'tiny.tfm': ahead }) })
    expect(code).toBe(0)
    expect(err).toMatch(/cannot be stepped: /)
    const { data } = await json(['explain', 'tiny.tfm'], { cwd: folder({ 'tiny.tfm': ahead }) })
    expect(data.notSteppable).toBeTypeOf('string')
  })
})

describe('ir', () => {
  const cwd = () => folder({ 'tiny.tfm': tiny })
  test.each(['graph', 'checked', 'optimised', 'run', 'prefill'])('%s reads back in', async (level) => {
    const { code, out } = await tfmc(['ir', 'tiny.tfm', '--at', level], { cwd: cwd() })
    expect(code).toBe(0)
    expect(printGraph(parseGraph(out))).toBe(out)
  })
  test('ast, stages, nests, passes', async () => {
    const at = cwd()
    expect((await tfmc(['ir', 'tiny.tfm', '--at', 'ast'], { cwd: at })).out).toMatch(
      /^file @1:1\n {2}items\n {4}model /,
    )
    const stages = await tfmc(['ir', 'tiny.tfm', '--at', 'stages', '--kernel', 'logits'], { cwd: at })
    expect(stages.out).toMatch(/sum\(/)
    for (const target of [[], ['--target', 'typescript'], ['--target', 'wgsl']]) {
      const { out } = await tfmc(['ir', 'tiny.tfm', '--at', 'nest', ...target], { cwd: at })
      expect(out).toMatch(/^kernel \w+\(/)
    }
    expect((await tfmc(['ir', 'tiny.tfm', '--after', 'fold'], { cwd: at })).out).toMatch(/^graph tiny/)
    expect((await tfmc(['ir', 'tiny.tfm', '--at', 'step'], { cwd: at })).out).toMatch(/append/)
    expect((await tfmc(['ir', 'tiny.tfm', '--at', 'prepare'], { cwd: at })).err).toMatch(/has no prepare; it has run, /)
    expect((await tfmc(['ir', 'tiny.tfm', '--at', 'nest', '--kernel', 'logit'], { cwd: at })).err).toMatch(
      /did you mean logits/,
    )
  })
})

describe('fmt', () => {
  const ugly = tiny.replace('  sequence T', 'sequence   T')
  test('formats in place, and says so', async () => {
    const cwd = folder({ 'a.tfm': ugly, 'b.tfm': tiny })
    expect((await tfmc(['fmt', 'a.tfm', 'b.tfm'], { cwd })).out).toBe('formatted a.tfm\n')
    expect(readFileSync(join(cwd, 'a.tfm'), 'utf8')).toBe(tiny)
    expect((await tfmc(['fmt', 'a.tfm', 'b.tfm'], { cwd })).out).toBe('2 files unchanged\n')
  })
  test('--check and --stdout change nothing', async () => {
    const cwd = folder({ 'a.tfm': ugly, 'b.tfm': tiny })
    const { code, err } = await tfmc(['fmt', '--check', 'a.tfm', 'b.tfm'], { cwd })
    expect(code).toBe(1)
    expect(err).toContain('error TFM2207: a.tfm is not formatted')
    expect((await json(['fmt', '--check', 'b.tfm'], { cwd })).data).toMatchObject({ ok: true, diagnostics: [] })
    expect((await tfmc(['fmt', '--stdout', 'a.tfm'], { cwd })).out).toBe(tiny)
    expect(readFileSync(join(cwd, 'a.tfm'), 'utf8')).toBe(ugly)
  })
  test('a syntax error in one file leaves all as they are', async () => {
    const cwd = folder({ 'a.tfm': ugly, 'b.tfm': 'model {' })
    expect((await tfmc(['fmt', 'a.tfm', 'b.tfm'], { cwd })).code).toBe(1)
    expect(readFileSync(join(cwd, 'a.tfm'), 'utf8')).toBe(ugly)
  })
})

describe('init', () => {
  test('writes a model that is right and formatted, and overwrites nothing', async () => {
    const cwd = folder()
    expect((await tfmc(['init', 'new'], { cwd })).code).toBe(0)
    expect(contents(cwd)).toEqual(['new', 'new/README.md', 'new/model.tfm'])
    expect((await tfmc(['check', 'new/model.tfm'], { cwd })).code).toBe(0)
    expect((await tfmc(['fmt', '--check', 'new/model.tfm'], { cwd })).code).toBe(0)
    expect((await tfmc(['explain', 'new/model.tfm'], { cwd })).err).not.toContain('cannot be stepped')
    const again = await tfmc(['init', 'new'], { cwd })
    expect(again.code).toBe(1)
    expect(again.err).toContain('error TFM2202: new/model.tfm exists already')
  })
})

describe('info', () => {
  test('of a checkpoint, of a model, and of both', async () => {
    const cwd = folder({ 'tiny.tfm': tiny, 'w.safetensors': checkpoint() })
    const { out } = await tfmc(['info', 'w.safetensors'], { cwd })
    expect(out).toMatch(/^wte\.weight +F32 +\[11, 8\] +352 B$/m)
    expect(out).toMatch(/11 tensors, 392 numbers/)
    expect((await tfmc(['info', 'tiny.tfm'], { cwd })).out).toMatch(/11 parameters, 392 numbers, 1\.6 kB as f32/)
    const both = await tfmc(['info', 'tiny.tfm', '--weights', 'w.safetensors'], { cwd })
    expect(both).toMatchObject({
      code: 0,
      out: expect.stringContaining('11 of 11 parameters of tiny found, 0 missing') as string,
    })
  })
  test('what does not fit, with the nearest names', async () => {
    const broken = checkpoint((tensors) => {
      const { name, ...rest } = tensors.get('attn.q.bias')!
      tensors.delete(name)
      tensors.set('attn.qq.bias', { name: 'attn.qq.bias', ...rest })
      tensors.set('wte.weight', { ...tensors.get('wte.weight')!, shape: [8, 11] })
    })
    const cwd = folder({ 'tiny.tfm': tiny, 'w.safetensors': broken })
    const { code, out } = await tfmc(['info', 'tiny.tfm', '--weights', 'w.safetensors'], { cwd })
    expect(code).toBe(1)
    expect(out).toMatch(/missing +attn\.q\.bias +\[8\]; did you mean attn\.qq\.bias\?/)
    expect(out).toMatch(/unused +attn\.qq\.bias/)
    expect(out).toMatch(/misshapen +wte\.weight +\[8, 11\], the model has \[11, 8\]; is it transposed\?/)
  })
})
