/** Commands that run models: run, generate, diff; and what is wrong with weights, inputs and devices. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { GpuUnavailable } from '../../src/gpu/unavailable.ts'
import { writeSafetensors } from '../../src/weights/write.ts'
import { checkpoint, contents, example, folder, json, tfmc, tiny } from './support.ts'

const files = () => ({ 'tiny.tfm': tiny, 'w.safetensors': checkpoint() })
const withWeights = ['tiny.tfm', '--weights', 'w.safetensors']

describe('run', () => {
  const logits = (data: Record<string, unknown>): number[] =>
    (data.outputs as { logits: { data: number[] } }).logits.data
  test('each target gives what the reference gives', async () => {
    const cwd = folder(files())
    const results: number[][] = []
    for (const target of ['reference', 'typescript', 'wgsl', 'wasm']) {
      const { code, data } = await json(['run', ...withWeights, '--target', target, '--input', 'ids=[[1, 2, 3]]'], {
        cwd,
      })
      expect(code).toBe(0)
      expect(data.outputs).toMatchObject({ logits: { dtype: 'f32', shape: [1, 3, 11] } })
      results.push(logits(data))
    }
    for (const r of results) r.forEach((x, i) => expect(x).toBeCloseTo(results[0][i], 4))
  })
  test('made-up inputs are the same each time', async () => {
    const cwd = folder(files())
    const argv = ['run', ...withWeights, '--dims', 'T=5,B=2']
    const first = await tfmc(argv, { cwd })
    expect(first.out).toMatch(/^logits f32\[2, 5, 11\] {2}-?\d[\d.]* … -?\d/)
    expect(first.err).toContain('made up: ids [2, 5]')
    expect((await tfmc(argv, { cwd })).out).toBe(first.out)
    expect((await tfmc([...argv, '--seed', '2'], { cwd })).out).not.toBe(first.out)
  })
  test('inputs from files, outputs to files', async () => {
    const io = writeSafetensors([{ name: 'in.ids', shape: [1, 2], dtype: 'I64', data: [3, 4] }])
    const cwd = folder({ ...files(), 'ids.json': '[[3, 4]]', 'io.safetensors': io })
    await tfmc(['run', ...withWeights, '-i', 'ids=@ids.json', '-o', 'a.json'], { cwd })
    await tfmc(['run', ...withWeights, '-i', 'ids=@io.safetensors:in.ids', '-o', 'b.json'], { cwd })
    await tfmc(['run', ...withWeights, '-i', 'ids=[3, 4]', '-o', 'c.safetensors'], { cwd })
    const a = readFileSync(join(cwd, 'a.json'), 'utf8')
    expect(JSON.parse(a)).toMatchObject({ logits: { shape: [1, 2, 11] } })
    expect(readFileSync(join(cwd, 'b.json'), 'utf8')).toBe(a)
    expect((await tfmc(['info', 'c.safetensors'], { cwd })).out).toMatch(/^logits +F32 +\[1, 2, 11\]/m)
  })
  const bad: [string, string[], string, RegExp][] = [
    ['no weights', ['tiny.tfm'], 'TFM2204', /--random-weights 1/],
    ['T > ctx', [...withWeights, '--dims', 'T=13'], 'TFM2004', /T <= 12/],
    ['id out of range', [...withWeights, '-i', 'ids=[[1, 11]]'], 'TFM2005', /ids\[0, 1\] = 11/],
    ['empty input', [...withWeights, '-i', 'ids=[]'], 'TFM2001', /empty/],
    ['ragged input', [...withWeights, '-i', 'ids=[[1], [2, 3]]'], 'TFM2001', /ids\[1\]/],
    ['unknown input', [...withWeights, '-i', 'idz=[1]'], 'TFM2002', /idz: no such input/],
    ['not JSON', [...withWeights, '-i', 'ids=[1'], 'TFM2205', /not JSON/],
    ['missing file', [...withWeights, '-i', 'ids=@no.json'], 'TFM2203', /no such file/],
    ['missing weights', ['tiny.tfm', '--weights', 'no.safetensors'], 'TFM1901', /no\.safetensors/],
    ['no such tensor', [...withWeights, '-i', 'ids=@w.safetensors:wte.weigth'], 'TFM2205', /did you mean wte\.weight/],
  ]
  test.each(bad)('%s', async (_, argv, code, message) => {
    const cwd = folder(files())
    const before = contents(cwd)
    const ran = await tfmc(['run', ...argv, '-o', 'out.json'], { cwd })
    expect(ran.code).toBe(1)
    expect(ran.err).toContain(`error ${code}`)
    expect(ran.err).toMatch(message)
    expect(contents(cwd)).toEqual(before)
    expect((await json(['run', ...argv], { cwd })).data).toMatchObject({ ok: false, diagnostics: [{ code }] })
  })
})

describe('weights', () => {
  const run = async (weights: Uint8Array) => {
    const cwd = folder({ 'tiny.tfm': tiny, 'w.safetensors': weights })
    const ran = await tfmc(['run', ...withWeights, '-i', 'ids=[1]', '-o', 'out.json'], { cwd })
    return { ...ran, files: contents(cwd) }
  }
  const broken: [string, () => Uint8Array, string, RegExp][] = [
    ['missing', () => checkpoint((t) => t.delete('norm.bias')), 'TFM1905', /norm\.bias: missing/],
    ['extra', () => checkpoint((t) => t.set('x', { name: 'x', shape: [1], data: [1] })), 'TFM1905', /x: unused/],
    ['misshapen', () => checkpoint((t) => t.set('norm.bias', { name: 'norm.bias', shape: [4], data: [1, 2, 3, 4] })), 'TFM1905', /expected \[8\], found \[4\]/],
    ['truncated', () => checkpoint().subarray(0, -20), 'TFM1903', /ends within attn\.o\.bias/],
    ['not safetensors', () => new TextEncoder().encode('<!DOCTYPE html>'), 'TFM1902', /not a valid safetensors/],
  ] // prettier-ignore
  test.each(broken)('%s', async (_, weights, code, message) => {
    const ran = await run(weights())
    expect(ran.code).toBe(1)
    expect(ran.err).toContain(`error ${code}`)
    expect(ran.err).toMatch(message)
    expect(ran.files).toEqual(['tiny.tfm', 'w.safetensors'])
  })
  test('NaN is warned of, and shown', async () => {
    const nan = new Float32Array(88).fill(NaN)
    const ran = await run(checkpoint((t) => t.set('wte.weight', { name: 'wte.weight', shape: [11, 8], data: nan })))
    expect(ran.code).toBe(0)
    expect(ran.err).toContain('warning TFM1906: wte.weight: 88 of 88 weights are NaN or infinite')
    expect(ran.out).toContain('11 are NaN')
  })
})

describe('generate', () => {
  test('streams a text that the seed decides', async () => {
    const pieces: string[] = []
    const argv = ['generate', example('shakespeare'), '--prompt', 'ROMEO:', '-n', '24']
    const { code, out, err } = await tfmc(argv, { onOut: (text) => pieces.push(text) })
    expect(code).toBe(0)
    expect(out).toMatch(/^ROMEO:\nI'll not believe me/)
    expect(pieces.length).toBeGreaterThan(15)
    expect(err).toMatch(/24 tokens in .* tokens\/s/)
    const drawn = async (seed: string) => (await json([...argv, '--temperature', '0.9', '--seed', seed])).data.text
    expect(await drawn('1')).toBe(await drawn('1'))
    expect(await drawn('1')).not.toBe(await drawn('2'))
  })
  test('translates with an encoder', async () => {
    const text = 'doscientos treinta y cuatro mil quinientos seis'
    const { out } = await tfmc(['generate', example('translate'), '--source', text])
    expect(out).toBe('two hundred and thirty four thousand five hundred and six\n')
  })
  test('ids without a tokenizer', async () => {
    const cwd = folder(files())
    const { data } = await json(['generate', ...withWeights, '--ids', '1,2', '-n', '3'], { cwd })
    expect(data.ids).toHaveLength(3)
    const stop = (data.ids as number[])[2]
    const stopped = await json(['generate', ...withWeights, '--ids', '1,2', '-n', '3', '--stop', String(stop)], { cwd })
    expect((stopped.data.ids as number[]).length).toBeLessThan(3)
  })
  const bad: [string, string[], number, RegExp][] = [
    ['no sequence', [example('postln-block'), '--random-weights', '1', '--ids', '1'], 1, /declares no `sequence`/],
    ['no source', [example('translate')], 1, /nothing was given for src/],
    ['no prompt', ['test/golden/v06-gpt2-tiny/model.tfm', '--random-weights', '1'], 2, /nothing to continue/],
    ['bad sampling', [example('shakespeare'), '--prompt', 'a', '--top-p', '2'], 1, /TFM2020/],
    ['id out of range', [example('shakespeare'), '--ids', '1024'], 1, /1024/],
  ]
  test.each(bad)('%s', async (_, argv, code, message) => {
    const ran = await tfmc(['generate', ...argv])
    expect(ran.code).toBe(code)
    expect(ran.err).toMatch(message)
  })
})

describe('generate several, or with constraints', () => {
  const llama = ['--hf', 'test/golden/hf-folders/llama', '-n', '5']
  const generated = async (...argv: string[]) => (await json(['generate', ...llama, ...argv])).data
  const sequences = async (...argv: string[]) =>
    (await generated(...argv)).sequences as { prompt: number[]; ids: number[]; text: string; score?: number }[]

  test('prompts of different lengths, and samples of each', async () => {
    const prompts = ['--prompt', 'a', '--prompt', 'longer b is here']
    const rows = await sequences(...prompts)
    for (const [row, prompt] of ['a', 'longer b is here'].entries()) {
      const { prompt: given, ids, text } = await generated('--prompt', prompt)
      expect(rows[row]).toEqual({ prompt: given, ids, text })
    }
    const drawn = await sequences(...prompts, '--num', '2', '--temperature', '2', '--seed', '3')
    expect(drawn.map((s) => s.prompt)).toEqual([rows[0], rows[0], rows[1], rows[1]].map((s) => s.prompt))
    const third = await generated('--prompt', 'longer b is here', '--temperature', '2', '--seed', '5')
    expect(drawn[2].ids).toEqual(third.ids)
    const { out } = await tfmc(['generate', ...llama, ...prompts])
    expect(out).toBe(`a${rows[0].text}\nlonger b is here${rows[1].text}\n`)
  })
  test('beams, best first; one beam is greedy', async () => {
    const beams = await sequences('--prompt', 'b', '--beams', '3', '--num', '3')
    expect(beams.map((b) => b.score)).toEqual(beams.map((b) => b.score).sort((x, y) => y! - x!))
    const [one] = await sequences('--prompt', 'b', '--beams', '1')
    expect(one.ids).toEqual((await generated('--prompt', 'b')).ids)
    expect(beams[0].score).toBeGreaterThanOrEqual(one.score!)
    const { out } = await tfmc(['generate', ...llama, '--prompt', 'b', '--beams', '3'])
    expect(out).toBe(`${beams[0].score!.toFixed(4)}  b${beams[0].text}\n`)
  })
  test('a text that ends it, tokens that never come, none twice, no end before', async () => {
    const free = await generated('--prompt', 'a')
    const [first, second] = free.ids as number[]
    const text = free.text as string
    const stop = ['--stop-text', text.slice(1, 3), '--stop-text', 'never']
    expect((await generated('--prompt', 'a', ...stop)).text).toBe(text.slice(0, 1))
    expect((await sequences('--prompt', 'a', '--num', '2', ...stop)).map((s) => s.text)).toEqual([text[0], text[0]])
    expect((await generated('--prompt', 'a', '--suppress', String(first))).ids).not.toContain(first)
    expect((await generated('--prompt', 'a', '--stop', String(second), '--min-tokens', '3')).ids).toHaveLength(5)
    const ids = (await generated('--prompt', 'a', '--no-repeat-ngram', '1', '-n', '9')).ids as number[]
    expect(new Set(ids).size).toBe(9)
    const penalised = await generated('--prompt', 'a', '--repetition-penalty', '50', '-n', '9')
    expect(new Set(penalised.ids as number[]).size).toBe(9)
  })
  test.each<[string[], number, RegExp]>([
    [['--beams', '2', '--temperature', '1'], 2, /--beams draws nothing: it excludes --temperature/],
    [['--beams', '2', '--seed', '1'], 2, /it excludes --seed/],
    [['--beams', '2', '--prompt', 'b'], 2, /--beams takes one --prompt/],
    [['--beams', '0'], 1, /TFM2020: bad options: numBeams 0/],
    [['--beams', '2', '--num', '3'], 1, /TFM2020: bad options: numBeams 2, numReturnSequences 3/],
    [['--beams', 'x'], 2, /'x' is not a whole number/],
    [['--length-penalty', '2'], 2, /--length-penalty goes with --beams/],
    [['--num', '0'], 2, /--num is at least 1/],
    [['--ids', '1'], 2, /exclude each other/],
    [['--repetition-penalty', '0'], 1, /TFM2020: bad options: repetitionPenalty 0/],
    [['--no-repeat-ngram', '1.5'], 2, /'1.5' is not a whole number/],
    [['--min-tokens', '-1'], 2, /'-1' is not a whole number/],
    [['--suppress', 'x'], 2, /'x' is not a whole number/],
    [['--stop-text', ''], 1, /TFM2020: bad options: an empty text in stopStrings/],
  ])('%j', async (flags, code, message) => {
    const ran = await tfmc(['generate', ...llama, '--prompt', 'a', ...flags])
    expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(message)])
  })
  test('several prompts of a model without padding must be as long as each other; texts need a tokenizer', async () => {
    const gpt2 = ['test/golden/hf-folders/gpt2', '--prompt', 'a', '--prompt', 'a longer one']
    expect((await tfmc(['generate', '--hf', ...gpt2, '-n', '2'])).err).toMatch(/TFM2023: prompts of \d+ to \d+ ids/)
    const cwd = folder(files())
    const bare = await tfmc(['generate', ...withWeights, '--ids', '1', '--stop-text', 'x'], { cwd })
    expect([bare.code, bare.err]).toEqual([2, expect.stringMatching(/--stop-text needs a tokenizer/)])
  })
})

describe('diff', () => {
  test('inputs that may be left out are what they are then', async () => {
    const source =
      'model m(d = 3) {\n  input x: f32[T, d]\n  input y: f32[T, d] = ones([T, d])\n  output z = x * y + y\n}\n'
    const argv = ['diff', 'm.tfm', '--targets', 'typescript', '--dims', 'T=4']
    const { code, out } = await tfmc(argv, { cwd: folder({ 'm.tfm': source }) })
    expect([code, out]).toEqual([0, expect.stringContaining('all within their bounds')])
  })
  test('outputs and kernels of all targets, fused and unfused', async () => {
    const cwd = folder(files())
    const { code, out } = await tfmc(['diff', ...withWeights, '--dims', 'T=4'], { cwd })
    expect(out).toMatch(/^logits +reference +float64/m)
    for (const target of ['typescript', 'wgsl', 'wasm'])
      for (const form of ['fused', 'unfused']) {
        expect(out).toMatch(new RegExp(`^logits +${target} +${form} +\\S+ +\\S+ +\\S+ %`, 'm'))
        expect(out).toMatch(new RegExp(`^\\w+ #\\d+ +${target} +${form} `, 'm'))
      }
    expect(out).toContain('ok all within their bounds')
    expect(code).toBe(0)
  })
  test('without kernels, as JSON', async () => {
    const cwd = folder(files())
    const argv = ['diff', ...withWeights, '--targets', 'typescript', '--no-kernels', '--no-unfused']
    const { data } = await json(argv, { cwd })
    expect(data).toMatchObject({
      ok: true,
      kernels: [],
      outputs: [{ target: 'typescript', fused: true, output: 'logits' }],
    })
  })
  test('NaN in the weights is NaN everywhere: no difference', async () => {
    const weights = checkpoint((t) => t.set('norm.bias', { name: 'norm.bias', shape: [8], data: Array(8).fill(NaN) }))
    const cwd = folder({ 'tiny.tfm': tiny, 'w.safetensors': weights })
    const ran = await tfmc(['diff', ...withWeights, '--targets', 'typescript', '--no-kernels', '--no-unfused'], { cwd })
    expect(ran.err.match(/TFM1906/g)).toHaveLength(1)
  })
  test('a target that is off: exit code 1 and the kernel', async () => {
    const { typescript } = await import('../../targets/typescript/index.ts')
    const real = typescript.emit
    const emit = vi.spyOn(typescript, 'emit').mockImplementation(async (module, options) =>
      (await real(module, options)).map((f) => ({
        ...f,
        text: f.text.replaceAll('Math.sqrt(', '1.01 * Math.sqrt('),
      })),
    )
    const cwd = folder(files())
    const ran = await tfmc(['diff', ...withWeights, '--targets', 'typescript', '--no-kernels', '--no-unfused'], { cwd })
    emit.mockRestore()
    expect(ran.code).toBe(1)
    expect(ran.err).toMatch(/error TFM2206: logits on typescript \(fused\)/)
  })
})

describe('a GPU that is not there', () => {
  test('is a diagnostic', async () => {
    const dawn = await import('../../src/gpu/dawn.ts')
    const open = vi.spyOn(dawn, 'openGpu').mockRejectedValue(
      new GpuUnavailable('gpu-no-adapter', {
        what: 'WebGPU found no adapter.',
        why: 'There is none.',
        help: 'Buy one.',
      }),
    )
    const { closeDevice } = await import('../../src/cli/device.ts')
    await closeDevice()
    const cwd = folder(files())
    const ran = await tfmc(['run', ...withWeights, '--target', 'wgsl'], { cwd })
    open.mockRestore()
    await closeDevice()
    expect(ran.code).toBe(1)
    expect(ran.err).toContain('error TFM2102: WebGPU found no adapter: There is none.')
    expect(ran.err).toContain('help: Buy one.')
  })
})
