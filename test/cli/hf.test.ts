/**
 * Folders as `save_pretrained` writes them, through the commands, against what transformers gives for them (test/golden/hf-folders, made by
 * make.py there).
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readChatTemplate, readTokenizer, renderChat } from '../../src/text/index.ts'
import { contents, folder, json, tfmc, type RunOptions } from './support.ts'

const at = (name: string): string => `test/golden/hf-folders/${name}`
const expectedOf = (name: string) => JSON.parse(readFileSync(`${at(name)}/expected.json`, 'utf8')) as never

/** A copy of a folder with some of its JSON files changed. */
function changed(name: string, changes: Readonly<Record<string, (json: Record<string, unknown>) => void>>): string {
  const path = folder()
  cpSync(at(name), path, { recursive: true })
  for (const [file, change] of Object.entries(changes)) {
    const values = JSON.parse(readFileSync(join(path, file), 'utf8')) as Record<string, unknown>
    change(values)
    writeFileSync(join(path, file), JSON.stringify(values))
  }
  return path
}
const config = (change: (json: Record<string, unknown>) => void) => ({ 'config.json': change })

describe('a language model in shards', () => {
  const want: {
    prompt: string; ids: number[]; new: number[]; chat: string; system: string; chatIds: number[]; chatNew: number[]; logits: number[]
  } = expectedOf('gpt2') // prettier-ignore
  const generate = (path: string, argv: readonly string[], options: RunOptions = {}) =>
    json(['generate', '--hf', path, ...argv], options)
  const prompt = ['--prompt', want.prompt]

  test('greedy, from a text: the ids of transformers', async () => {
    const { data, code } = await generate(at('gpt2'), [...prompt, '-n', '24'])
    expect(code).toBe(0)
    expect(data.diagnostics).toEqual([])
    expect(data.prompt).toEqual(want.ids)
    expect(data.ids).toEqual(want.new)
  })
  test('the same on WGSL', async () => {
    const { data } = await generate(at('gpt2'), [...prompt, '-n', '6', '--target', 'wgsl'])
    expect(data.ids).toEqual(want.new.slice(0, 6))
  })
  test('a prompt from a file, or piped in', async () => {
    const cwd = folder({ 'prompt.txt': `${want.prompt}\r\n` })
    const path = join(process.cwd(), at('gpt2'))
    expect((await generate(path, ['--prompt-file', 'prompt.txt', '-n', '1'], { cwd })).data.prompt).toEqual(want.ids)
    // Pieces end within characters.
    const bytes = new TextEncoder().encode(want.prompt)
    const pieces = Array.from(bytes, (b) => Uint8Array.of(b))
    const piped = await generate(path, ['--prompt-file', '-', '-n', '1'], { piped: pieces })
    expect(piped.data.prompt).toEqual(want.ids)
  })
  test('ends at any of the ids of generation_config.json, or of config.json where it has none', async () => {
    const end = (file: string, value: unknown) => ({ [file]: (j: Record<string, unknown>) => void (j.eos_token_id = value) })
    const none = (j: Record<string, unknown>) => void delete j.eos_token_id
    const until = want.new.slice(0, want.new.indexOf(119))
    const many = changed('gpt2', end('generation_config.json', [299, 119]))
    expect((await generate(many, prompt)).data.ids).toEqual(until)
    const one = changed('gpt2', { ...end('config.json', 119), 'generation_config.json': none })
    expect((await generate(one, prompt)).data.ids).toEqual(until)
    expect((await generate(one, [...prompt, '--no-stop', '-n', '24'])).data.ids).toEqual(want.new)
  }) // prettier-ignore
  test('chat: the template renders as in transformers, and the answer goes on from it', async () => {
    const template = (await readChatTemplate(at('gpt2')))!
    const { specials } = await readTokenizer(`${at('gpt2')}/tokenizer.json`)
    const user = { role: 'user', content: ' How are you? ' } as const
    expect(renderChat(template, [user], specials)).toBe(want.chat)
    expect(renderChat(template, [{ role: 'system', content: 'Be short.' }, user], specials)).toBe(want.system)
    const argv = ['--chat', '--system', 'Be short.', '--prompt', user.content, '-n', '12']
    const { data } = await generate(at('gpt2'), argv)
    expect(data.prompt).toEqual(want.chatIds)
    expect(data.ids).toEqual(want.chatNew)
  })
  test('a chat template in tokenizer_config.json, one or several', async () => {
    const text = '{{ bos_token }}{% for m in messages %}[{{ m.content }}]{% endfor %}'
    const bare = (template: unknown) => {
      const path = changed('llama', { 'tokenizer_config.json': (j) => void (j.chat_template = template) })
      return readChatTemplate(path)
    }
    expect(await bare(text)).toBe(text)
    expect(await bare([{ name: 'tool_use', template: 'x' }, { name: 'default', template: text }])).toBe(text) // prettier-ignore
    await expect(bare([{ name: 'tool_use', template: 'x' }])).rejects.toThrow(
      /no chat template "default"; it has tool_use/,
    )
  })
  test('a chat without a template', async () => {
    const path = changed('gpt2', {})
    rmSync(join(path, 'chat_template.jinja'))
    const ran = await tfmc(['generate', '--hf', path, '--prompt', 'a', '--chat'])
    expect([ran.code, ran.err]).toEqual([1, expect.stringMatching(/TFM1914: there is no chat template beside/)])
  })
  test('run, check, compile, explain, info and diff take the folder too', async () => {
    const ids = `ids=${JSON.stringify([want.ids])}`
    const { data } = await json(['run', '--hf', at('gpt2'), '--input', ids])
    const { logits } = data.outputs as { logits: { data: number[]; shape: number[] } }
    expect(logits.shape).toEqual([1, want.ids.length, 300])
    logits.data.slice(-300, -292).forEach((x, i) => expect(x).toBeCloseTo(want.logits[i], 4))
    expect((await tfmc(['check', '--hf', at('gpt2')])).out).toMatch(/^ok gpt2 \(examples\/gpt2\/model\.tfm\)/)
    const cwd = folder()
    const path = join(process.cwd(), at('gpt2'))
    expect((await tfmc(['compile', '--hf', path, '-o', 'out', '--no-format'], { cwd })).code).toBe(0)
    for (const file of contents(join(cwd, 'out')))
      expect(readFileSync(join(cwd, 'out', file), 'utf8')).not.toContain(process.cwd())
    expect((await tfmc(['explain', '--hf', at('gpt2')])).code).toBe(0)
    const info = await tfmc(['info', '--hf', at('gpt2')])
    expect(info.out).toMatch(/^GPT2LMHeadModel as gpt2 of examples\/gpt2\/model\.tfm \(generate\)\nread .*n_embd/)
    expect(info.out).toMatch(/ok .*: 28 of 28 parameters of gpt2 found, 0 missing, 0 unused/)
    const diff = await tfmc(['diff', '--hf', at('gpt2'), '--dims', 'T=3', '--targets', 'typescript', '--no-kernels'])
    expect(diff.out).toContain('ok all within their bounds')
  })
})

describe('sentence pieces, and a configuration of transformers 5', () => {
  const want: { prompt: string; ids: number[]; new: number[]; both: string; emoji: number[]; emojiText: string; logits: number[] } = expectedOf('llama') // prettier-ignore
  test('first token, bytes for what the pieces lack, rotary settings in an object', async () => {
    const { data, err } = await json(['generate', '--hf', at('llama'), '--prompt', want.prompt, '-n', '24'])
    expect(err).toBe('')
    expect(data.prompt).toEqual(want.ids)
    expect(data.ids).toEqual(want.new)
  })
  test('the text goes on where the prompt ended: blanks between them, whole characters', async () => {
    const tokenizer = await readTokenizer(`${at('llama')}/tokenizer.json`)
    expect(tokenizer.encode(want.emojiText)).toEqual(want.emoji)
    expect(tokenizer.decode(want.emoji)).toBe(want.emojiText)
    for (let cut = 1; cut < want.emoji.length; cut++) {
      const [before, after] = [want.emoji.slice(0, cut), want.emoji.slice(cut)]
      if (tokenizer.decode(before).endsWith('\uFFFD')) continue
      const stream = tokenizer.stream(before)
      const pieces = [...after.map((id) => stream.push(id)), stream.end()]
      expect(tokenizer.decode(before) + pieces.join('')).toBe(want.emojiText)
      expect(pieces.join()).not.toContain('\uFFFD')
    }
  })
  test('the form of transformers 4 is the same model; another base is another', async () => {
    const run = async (change: (json: Record<string, unknown>) => void) => {
      const path = changed('llama', config(change))
      const { data } = await json(['run', '--hf', path, '--input', `ids=${JSON.stringify([want.ids])}`])
      return (data.outputs as { logits: { data: number[] } }).logits.data.slice(-340, -332)
    }
    const older = (theta: number) => run((j) => Object.assign(j, { rope_parameters: undefined, rope_theta: theta, rope_scaling: null })) // prettier-ignore
    const same = await older(5000)
    same.forEach((x, i) => expect(x).toBeCloseTo(want.logits[i], 4))
    const other = await older(10000)
    expect(other).not.toEqual(same)
  })
  test('add_bos_token and add_eos_token of tokenizer_config.json decide', async () => {
    const ids = async (more: object) => {
      const path = changed('llama', { 'tokenizer_config.json': (j) => void Object.assign(j, more) })
      return (await readTokenizer(join(path, 'tokenizer.json'))).encode('The')
    }
    const bare = await ids({ add_bos_token: false })
    expect(await ids({})).toEqual([1, ...bare])
    expect(await ids({ add_bos_token: true, add_eos_token: true })).toEqual([1, ...bare, 2])
    expect(await ids({ bos_token: { content: '</s>' }, add_bos_token: true })).toEqual([2, ...bare])
  })
})

test('an encoder and a decoder, with unigram pieces', async () => {
  const want: { source: string; ids: number[]; new: number[]; text: string } = expectedOf('t5')
  const { data, err } = await json(['generate', '--hf', at('t5'), '--source', want.source, '-n', '12'])
  expect(err).toBe('')
  expect((await readTokenizer(`${at('t5')}/tokenizer.json`)).encode(want.source)).toEqual(want.ids)
  expect(data).toMatchObject({ prompt: [0], ids: want.new, text: want.text })
  const without = await tfmc(['generate', '--hf', at('t5'), '--prompt', 'a'])
  expect([without.code, without.err]).toEqual([1, expect.stringMatching(/nothing was given for ids[^]*--source/)])
})

describe('init', () => {
  const ids = async (argv: readonly string[]) =>
    (await json(['generate', ...argv, '--prompt', 'The fox', '-n', '5'])).data.ids
  test('writes the model with the values of the folder, right and formatted, to go on with', async () => {
    const dir = folder()
    const { code, out } = await tfmc(['init', '--hf', at('llama'), '--out', dir])
    expect(code).toBe(0)
    expect(out).toMatch(/Next:\n {2}tfmc info .*\n {2}tfmc generate .*--hf .*\n {2}tfmc compile /)
    expect(contents(dir)).toEqual(['README.md', 'architecture.json', 'model.tfm'])
    const source = join(dir, 'model.tfm')
    expect(readFileSync(source, 'utf8')).toMatch(/d = 32 from "hidden_size",.*\n.* kv = 2 from .*\n.* e = 8 from /)
    expect((await tfmc(['fmt', '--check', source])).code).toBe(0)
    expect((await tfmc(['check', source])).out).toContain('37,280 numbers')
    const want = await ids(['--hf', at('llama')])
    expect(want).toHaveLength(5)
    expect(await ids([source, '--hf', at('llama')])).toEqual(want)
    expect(await ids([source, '--weights', at('llama')])).toEqual(want)
    // Now it is the user's model.
    writeFileSync(source, readFileSync(source, 'utf8').replace('output logits = ', 'output logits = -1 * '))
    expect(await ids([source, '--hf', at('llama')])).not.toEqual(want)
    const again = await tfmc(['init', '--hf', at('llama'), '--out', dir])
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('TFM2202')])
  })
  test('notes what is left to do, and what was done counts', async () => {
    const path = changed('gpt2', config((j) => void Object.assign(j, { logit_scale: 0.5, scale_attn_weights: false }))) // prettier-ignore
    const dir = folder()
    const { code, err } = await tfmc(['init', dir, '--hf', path])
    expect([code, err]).toEqual([0, expect.stringMatching(/warning TFM1912: .*"logit_scale" is 0\.5/)])
    const source = join(dir, 'model.tfm')
    const text = readFileSync(source, 'utf8')
    expect(text).toMatch(
      /^\/\/ To do: "scale_attn_weights" is false.*\n\/\/ To do: "logit_scale" is 0\.5.*\nmodel gpt2\(/m,
    )
    expect((await tfmc(['run', source, '--hf', path])).err).toContain('"logit_scale" is 0.5')
    const scaled = text.replace('act = "gelu_new"', 'scale = 1 from "logit_scale", act = "gelu_new"')
    writeFileSync(source, scaled.replace('@ transpose(wte)', '@ (scale * transpose(wte))'))
    const file = join(dir, 'architecture.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/("scale_attn_weights": )\[\s*true/, '$1[true, false'))
    const { code: done, data } = await json(['run', source, '--hf', path, '--input', 'ids=[[1, 2]]'])
    expect(done).toBe(0)
    const plain = await json(['run', '--hf', at('gpt2'), '--input', 'ids=[[1, 2]]'])
    const logits = (x: typeof data) => (x.outputs as { logits: { data: number[] } }).logits.data
    logits(data).forEach((x, i) => expect(x).toBeCloseTo(logits(plain.data)[i] / 2, 4))
  })
})

describe('what is refused', () => {
  const refused: [string, () => string, string, RegExp][] = [
    ['another model_type', () => changed('gpt2', config((j) => void (j.model_type = 'gpt22'))), 'TFM1910', /model_type "gpt22"\n.*known are .*gpt2.*\n.*did you mean gpt2\?/],
    ['another class', () => changed('gpt2', config((j) => void (j.architectures = ['GPT2LMHead']))), 'TFM1910', /no class "GPT2LMHead" here/],
    ['a value that the model does not stand for', () => changed('gpt2', config((j) => void (j.scale_attn_weights = false))), 'TFM1912', /"scale_attn_weights" is false, and .*stands for true/],
    ['a field that it does not read', () => changed('gpt2', config((j) => void (j.logit_scale = 0.5))), 'TFM1912', /"logit_scale" is 0\.5, and .*does not read it[^]*tfmc init --hf/],
    ['a decoder that reads an encoder', () => changed('gpt2', config((j) => void (j.add_cross_attention = true))), 'TFM1912', /"add_cross_attention" is true/],
    ['a tensor too few', () => changed('gpt2', config((j) => void (j.n_layer = 3))), 'TFM1905', /h\.2\.ln_1\.weight: missing/],
    ['a tensor too many', () => changed('gpt2', config((j) => void (j.n_layer = 1))), 'TFM1905', /h\.1\.attn\.c_attn\.bias: unused/],
    ['no config.json', () => folder(), 'TFM1913', /has no config\.json/],
    ['an adapter', () => folder({ 'adapter_config.json': '{}' }), 'TFM1913', /it holds an adapter/],
    ['no such folder', () => 'no/such/folder', 'TFM1913', /no\/such\/folder is not a folder/],
    ['the name of a model', () => 'gpt2', 'TFM1913', /nothing is downloaded/],
    ['a config.json that is none', () => folder({ 'config.json': '[' }), 'TFM1908', /is not JSON/],
    ['weights of PyTorch', () => folder({ 'config.json': readFileSync(`${at('gpt2')}/config.json`), 'pytorch_model.bin': '' }), 'TFM1913', /no model\.safetensors .*pytorch_model\.bin[^]*save_pretrained/],
  ] // prettier-ignore
  test.each(refused)('%s', async (_, path, code, message) => {
    const ran = await tfmc(['run', '--hf', path(), '--dims', 'T=2'])
    expect(ran.code).toBe(1)
    expect(ran.err).toContain(`error ${code}`)
    expect(ran.err).toMatch(message)
    expect(ran.out).toBe('')
  })
  const wrong: [string, string[], number, RegExp][] = [
    ['neither file nor folder', ['check'], 2, /missing required argument 'file'/],
    ['a class without a folder', ['check', 'examples/gpt2/model.tfm', '--class', 'GPT2Model'], 2, /--class goes with --hf/],
    ['another configuration', ['check', '--hf', at('gpt2'), '--config', 'c.json'], 2, /--config and --no-config do not go/],
    ['a system message without a chat', ['generate', '--hf', at('gpt2'), '--prompt', 'a', '--system', 'b'], 2, /--system goes with --chat/],
    ['two prompts', ['generate', '--hf', at('gpt2'), '--prompt', 'a', '--ids', '1'], 2, /exclude each other/],
  ] // prettier-ignore
  test.each(wrong)('%s', async (_, argv, code, message) => {
    const ran = await tfmc(argv)
    expect(ran.err).toMatch(message)
    expect(ran.code).toBe(code)
  })
})
