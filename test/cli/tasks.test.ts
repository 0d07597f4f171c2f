/** `tfmc run --task`, against transformers (test/golden/hf-folders). */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cosines, largest, pooled, scoresOf, softmax, unit } from '../../src/hf/results.ts'
import { folder, json, tfmc } from './support.ts'

const at = (name: string): string => `test/golden/hf-folders/${name}`
const expectedOf = (name: string) => JSON.parse(readFileSync(`${at(name)}/expected.json`, 'utf8')) as never
const near = (got: readonly number[], want: readonly number[]): void => {
  expect(got).toHaveLength(want.length)
  got.forEach((x, i) => expect(Math.abs(x - want[i])).toBeLessThan(2e-5))
}
const texts = (list: readonly string[]): string[] => list.flatMap((t) => ['--text', t])

describe('embed', () => {
  const want: { texts: string[]; mean: number[][]; cls: number[][]; unit: number[][]; similarities: number[][] } =
    expectedOf('bert-embed')
  const embed = async (argv: readonly string[], path = at('bert-embed')) => {
    const ran = await json(['run', '--hf', path, ...argv, ...texts(want.texts)])
    return ran.data as unknown as { pooling: string; normalize: boolean; embeddings: number[][]; similarities: number[][] } // prettier-ignore
  }
  test('pooling and length as sentence-transformers wrote them, similarities', async () => {
    const data = await embed([])
    expect(data).toMatchObject({ task: 'embed', pooling: 'mean', normalize: true })
    data.embeddings.forEach((row, i) => near(row, want.unit[i]))
    data.similarities.forEach((row, i) => near(row, want.similarities[i]))
  })
  test('as it is asked for', async () => {
    ;(await embed(['--no-normalize'])).embeddings.forEach((row, i) => near(row, want.mean[i]))
    const cls = await embed(['--pooling', 'cls', '--no-normalize', '--task', 'embed'])
    cls.embeddings.forEach((row, i) => near(row, want.cls[i]))
  })
  test('the mean, and no length, where nothing is said; in words; to a file', async () => {
    const path = folder()
    cpSync(at('bert-embed'), path, { recursive: true })
    rmSync(join(path, 'modules.json'))
    const data = await embed([], path)
    expect(data).toMatchObject({ pooling: 'mean', normalize: false })
    data.embeddings.forEach((row, i) => near(row, want.mean[i]))
    const out = join(path, 'e.json')
    const ran = await tfmc(['run', '--hf', path, '-o', out, ...texts(want.texts)])
    expect(ran.out).toMatch(/^The weather is fine today\. {2}\S+ \S+ \S+ \S+ … \(32 numbers, mean over the tokens\)/)
    expect(ran.out).toMatch(/^cosine +1 +2 +3\n1 The weather is fine today\. +1\.0000 +-?0\.\d{4} /m)
    const saved = JSON.parse(readFileSync(out, 'utf8')) as { embeddings: { shape: number[]; data: number[] } }
    expect(saved.embeddings.shape).toEqual([3, 32])
    near(saved.embeddings.data, want.mean.flat())
  })
  test('modules and poolings that are not known are refused', async () => {
    const path = folder()
    cpSync(at('bert-embed'), path, { recursive: true })
    const run = () => tfmc(['run', '--hf', path, '--text', 'a'])
    writeFileSync(join(path, '1_Pooling/config.json'), '{ "pooling_mode_weightedmean_tokens": true }')
    expect((await run()).err).toMatch(/TFM1913: .*1_Pooling\/config\.json asks for pooling_mode_weightedmean_tokens/)
    writeFileSync(join(path, 'modules.json'), '[{ "type": "sentence_transformers.models.Dense", "path": "2_Dense" }]')
    expect((await run()).err).toMatch(/TFM1913: .*modules\.json has a module Dense/)
  })
})

describe('classify', () => {
  const want: { texts: string[]; labels: string[]; scores: number[][]; pair: number[] } = expectedOf('bert-classify')
  type Labels = { labels: { label: string; id: number; score: number }[] }[]
  const byId = (labels: Labels[number]['labels']) => [...labels].sort((a, b) => a.id - b.id)
  test('probabilities of the labels, by their names', async () => {
    const { data } = await json(['run', '--hf', at('bert-classify'), ...texts(want.texts)])
    const results = data.results as Labels
    results.forEach(({ labels }, i) => {
      near(byId(labels).map((l) => l.score), want.scores[i])
      expect(byId(labels).map((l) => l.label)).toEqual(want.labels)
      expect(labels[0].score).toBeGreaterThanOrEqual(labels[2].score)
    })
  }) // prettier-ignore
  test('a pair of texts', async () => {
    const { data } = await json(['run', '--hf', at('bert-classify'), '--text', want.texts[0], '--pair', want.texts[1]])
    near(byId((data.results as Labels)[0].labels).map((l) => l.score), want.pair)
  }) // prettier-ignore
  test('a label for each token', async () => {
    const argv = ['run', '--hf', at('bert-classify'), '--class', 'BertForTokenClassification', '--text', 'the sun']
    const { data } = await json(argv)
    const [{ tokens }] = data.results as { tokens: { token: string; label: string; score: number }[] }[]
    expect(tokens.map((t) => t.token)).toEqual(['[CLS]', 'the', 'su', '##n', '[SEP]'])
    for (const t of tokens) {
      expect(want.labels).toContain(t.label)
      expect(t.score).toBeGreaterThan(1 / 3)
    }
    expect((await tfmc(argv)).out).toMatch(/^ {2}\[CLS\] +(bad|fine|good) +0\.\d{4}\n {2}the /)
  })
  test('an image from a file', async () => {
    const { labels, scores }: { labels: string[]; scores: number[] } = expectedOf('vit')
    const image = `pixel_values=@${at('vit')}/image.safetensors:image`
    const { data } = await json(['run', '--hf', at('vit'), '--task', 'classify', '--input', image])
    const found = byId((data.results as Labels)[0].labels)
    expect(found.map((l) => l.label)).toEqual(labels)
    near(found.map((l) => l.score), scores)
  }) // prettier-ignore
  test('in words, the likeliest first, and inputs that are given', async () => {
    const ran = await tfmc(['run', '--hf', at('bert-classify'), '--text', 'good', '--top', '2'])
    expect(ran.out).toMatch(/^ {2}(bad|fine|good) +0\.\d{4}\n {2}(bad|fine|good) +0\.\d{4}\n$/)
    const ids = await tfmc(['run', '--hf', at('bert-classify'), '--task', 'classify', '--input', 'ids=[[2, 9, 3]]'])
    expect(ids.out.trim().split('\n')).toHaveLength(3)
  })
})

describe('fill-mask', () => {
  interface Token {
    readonly id: number
    readonly token: string
    readonly score: number
  }
  const want: { text: string; masks: (Token & { position: number })[][] } = expectedOf('bert-fill-mask')
  test.each(['typescript', 'wgsl', 'reference'])('the five likeliest tokens for each mask, on %s', async (target) => {
    const { data } = await json(['run', '--hf', at('bert-fill-mask'), '--text', want.text, '--target', target])
    const [{ masks }] = data.results as { masks: { position: number; tokens: (Token & { text: string })[] }[] }[]
    expect(masks.map((m) => m.position)).toEqual(want.masks.map((tops) => tops[0].position))
    masks.forEach(({ tokens }, i) => {
      expect(tokens.map((t) => [t.id, t.token])).toEqual(want.masks[i].map((t) => [t.id, t.token]))
      near(tokens.map((t) => t.score), want.masks[i].map((t) => t.score))
      expect(tokens[0].text).toContain('paris')
    })
  }) // prettier-ignore
  test('either spelling of the mask', async () => {
    const run = async (text: string) => (await json(['run', '--hf', at('bert-fill-mask'), '--text', text])).data.results
    expect(await run('the <mask> shines')).toMatchObject([{ masks: [{ position: 2 }] }])
    const none = await tfmc(['run', '--hf', at('bert-fill-mask'), '--text', 'the sun'])
    expect([none.code, none.err]).toEqual([2, expect.stringMatching(/there is no \[MASK\] in "the sun"/)])
  })
})

describe('what cannot be done', () => {
  const wrong: [string, string[], number, RegExp][] = [
    ['masks with a classifier', ['--hf', at('bert-classify'), '--task', 'fill-mask', '--text', '[MASK]'], 1, /TFM1915: bert cannot fill-mask: BertForSequenceClassification is made to classify/],
    ['labels of a language model', ['--hf', at('gpt2'), '--task', 'classify', '--text', 'a'], 1, /TFM1915: gpt2 cannot classify: GPT2LMHeadModel is made to generate/],
    ['embeddings of logits', ['--hf', at('gpt2'), '--task', 'embed', '--text', 'a'], 1, /TFM1915: gpt2 cannot embed: it needs an output .*last_hidden_state.*; there is logits \[1, 1, 300\]/],
    ['a language model', ['--hf', at('gpt2'), '--text', 'a'], 2, /continues texts: tfmc generate/],
    ['masks with a language model', ['--hf', at('gpt2'), '--task', 'fill-mask', '--text', 'a'], 1, /TFM1915: gpt2 cannot fill-mask: GPT2LMHeadModel is made to generate/],
    ['nothing to embed', ['--hf', at('bert-embed'), '--task', 'embed'], 2, /--task embed needs --text/],
    ['a pair of many', ['--hf', at('bert-classify'), '--text', 'a', '--text', 'b', '--pair', 'c'], 2, /--pair goes with one --text/],
    ['no tokenizer', ['examples/bert/model.tfm', '--random-weights', '1', '--task', 'embed', '--text', 'a'], 2, /--text needs a tokenizer/],
    ['too long', ['--hf', at('bert-embed'), '--text', 'a '.repeat(50)], 1, /T <= 40/],
  ] // prettier-ignore
  test.each(wrong)('%s', async (_, argv, code, message) => {
    const ran = await tfmc(['run', ...argv])
    expect(ran.err).toMatch(message)
    expect(ran.code).toBe(code)
  })
})

describe('numbers', () => {
  test('pooling', () => {
    const m = { rows: 3, columns: 2, data: [1, -9, 2, -8, 6, -10] }
    expect([...pooled(m, 'mean')]).toEqual([3, -9])
    expect([...pooled(m, 'cls')]).toEqual([1, -9])
    expect([...pooled(m, 'last')]).toEqual([6, -10])
    expect([...pooled(m, 'max')]).toEqual([6, -8])
    expect([...unit([3, 4])]).toEqual([0.6, 0.8])
    expect([...unit([0, 0])]).toEqual([0, 0])
    expect(cosines([[2, 0], [0, 3], [-1, 0]])).toEqual([[1, 0, -1], [0, 1, 0], [-1, 0, 1]]) // prettier-ignore
  })
  test('scores stay finite, and equal ones keep their order', () => {
    expect([...softmax([1000, 1000])]).toEqual([0.5, 0.5])
    expect([...softmax([-Infinity, 0])]).toEqual([0, 1])
    expect([...scoresOf([-1000, 1000], 'multi_label_classification')]).toEqual([0, 1])
    expect([...scoresOf([0], undefined)]).toEqual([0.5])
    expect([...scoresOf([7], 'regression')]).toEqual([7])
    expect(largest([1, 3, 3, 2], 3).map((x) => x.id)).toEqual([1, 2, 3])
  })
})
