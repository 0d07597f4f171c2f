import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { generateRows, type Rows } from '../../targets/runtime/batch.ts'
import { beamSearch, type BeamOptions } from '../../targets/runtime/beams.ts'
import { generateTokens } from '../../targets/runtime/generate.ts'
import { constrained } from '../../targets/runtime/processors.ts'
import { streamed } from '../../targets/runtime/stream.ts'
import { textOf } from '../../targets/runtime/text.ts'

const golden = JSON.parse(readFileSync(new URL('beams.json', import.meta.url), 'utf8')) as {
  vocab: number
  steps: number
  table: number[]
  cases: {
    prompt: number[]
    options: Record<string, number & number[] & boolean>
    ids: number[][]
    scores?: number[]
  }[]
}
const { vocab, steps } = golden

/** A model whose state is what it has read: what follows depends on the last token and on the length. */
function toy(padded = false): Rows & { past: number[][] } {
  const self = {
    past: [[]] as number[][],
    room: Infinity,
    padded,
    next: (ids: ArrayLike<number>, rows: number, start: readonly number[]) => {
      if (self.past[0].length === 0) self.past = Array.from({ length: rows }, () => [])
      const each = ids.length / rows
      const out = new Float32Array(rows * vocab)
      self.past.forEach((past, row) => {
        past.push(...Array.from(ids).slice(row * each, row * each + each))
        const length = past.length - start[row]
        const at = (((length - 1) % steps) * vocab + past[past.length - 1]) * vocab
        out.set(golden.table.slice(at, at + vocab), row * vocab)
      })
      return out
    },
    reorder: (rows: readonly number[]) => void (self.past = rows.map((row) => [...self.past[row]])),
  }
  return self
}
const all = async <T>(from: AsyncIterable<T>): Promise<T[]> => {
  const out: T[] = []
  for await (const x of from) out.push(x)
  return out
}
async function* given(ids: readonly number[]) {
  yield* ids
}
const alone = (prompt: readonly number[], options: object): Promise<number[]> => {
  const model = toy()
  return all(generateTokens((ids) => model.next(ids, 1, [0]), prompt, constrained(options, prompt.length)))
}

test.each(golden.cases)('as transformers: $options after $prompt', async ({ prompt, options: o, ids, scores }) => {
  const options = {
    numBeams: o.num_beams, maxTokens: o.max_new_tokens, stop: o.eos_token_id as number | number[],
    ...(o.length_penalty === undefined ? {} : { lengthPenalty: o.length_penalty }),
    ...(o.early_stopping === undefined ? {} : { earlyStopping: o.early_stopping }),
    ...(o.num_return_sequences === undefined ? {} : { numReturnSequences: o.num_return_sequences }),
    ...(o.repetition_penalty === undefined ? {} : { repetitionPenalty: o.repetition_penalty }),
    ...(o.no_repeat_ngram_size === undefined ? {} : { noRepeatNgramSize: o.no_repeat_ngram_size }),
    ...(o.min_new_tokens === undefined ? {} : { minTokens: o.min_new_tokens }),
    ...(o.suppress_tokens === undefined ? {} : { suppressTokens: o.suppress_tokens }),
  } satisfies BeamOptions // prettier-ignore
  if (!scores) return expect([await alone(prompt, options)]).toEqual(ids)
  const beams = await beamSearch(toy(), prompt, options)
  expect(beams.map((b) => b.ids)).toEqual(ids)
  for (const [i, { score }] of beams.entries()) expect(Math.abs(score - scores[i])).toBeLessThan(1e-4)
})

test('with beams for all sequences, beam search finds the likeliest of all', async () => {
  const model = toy()
  const allowed = [0, 1, 2, 3]
  const log = (past: readonly number[]): number[] => {
    const at = (((past.length - 1) % steps) * vocab + past[past.length - 1]) * vocab
    const row = golden.table.slice(at, at + vocab)
    const total = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
    return row.map((x) => x - total)
  }
  let best = { ids: [] as number[], score: -Infinity }
  const walk = (ids: number[], sum: number): void => {
    if (ids.length === 4 && sum > best.score) best = { ids, score: sum }
    if (ids.length < 4) for (const id of allowed) walk([...ids, id], sum + log([1, ...ids])[id])
  }
  walk([], 0)
  const suppressTokens = Array.from({ length: vocab - 4 }, (_, i) => i + 4)
  const [found] = await beamSearch(model, [1], { numBeams: 64, maxTokens: 4, lengthPenalty: 0, suppressTokens })
  expect(found.ids).toEqual(best.ids)
  expect(Math.abs(found.score - best.score)).toBeLessThan(1e-5)
})

test('rows of a batch are what they are alone: padding, ends at different times, seeds', async () => {
  const prompts = [[1], [4, 7, 4], [2, 6]] // prettier-ignore
  const rows = async (options: object): Promise<number[][]> => {
    const out = prompts.map((): number[] => [])
    for await (const step of generateRows(toy(true), prompts, options)) step.forEach((id, i) => id !== undefined && out[i].push(id)) // prettier-ignore
    return out
  }
  for (const options of [
    { maxTokens: 9, stop: 3 },
    { maxTokens: 5, repetitionPenalty: 2, stop: [3, 8] },
  ])
    expect(await rows(options)).toEqual(await Promise.all(prompts.map((p) => alone(p, options))))
  const drawn = { maxTokens: 7, temperature: 1.2, minP: 0.05 }
  expect(await rows({ ...drawn, seed: 5 })).toEqual(await Promise.all(prompts.map((p, i) => alone(p, { ...drawn, seed: 5 + i })))) // prettier-ignore
  const told: [number, number][] = []
  await all(generateRows(toy(), [[1]], { maxTokens: 2, numReturnSequences: 2, echo: true, onToken: (id, row) => told.push([id, row]) })) // prettier-ignore
  const [a, b] = await alone([1], { maxTokens: 2 })
  expect(told).toEqual([[1, 0], [1, 1], [a, 0], [a, 1], [b, 0], [b, 1]]) // prettier-ignore
  await expect(all(generateRows(toy(), prompts))).rejects.toThrow('TFM2023')
  await expect(all(generateRows(toy(), []))).rejects.toThrow('TFM2020')
  await expect(all(generateRows(toy(), [[]]))).rejects.toThrow('TFM2021')
})

test('stop strings: no part of one is shown, whatever the pieces', async () => {
  const text = 'Hello, wor€ld. END of it'
  const bytes = [...new TextEncoder().encode(text)]
  const decode = (ids: readonly number[]) => new TextDecoder().decode(Uint8Array.from(ids))
  const said = (stopStrings: string[]) => all(textOf(given(bytes), { decode, stopStrings }))
  expect((await said([])).join('')).toBe(text)
  expect(await said([])).toContain('€')
  for (const stop of ['END', '. E', 'wor€', 'o, w', 'H', 'END of it']) {
    const pieces = await said([stop, 'nowhere'])
    expect(pieces.join('')).toBe(text.slice(0, text.indexOf(stop)))
  }
  // Held back until it cannot be the stop; given out at the end.
  expect(await said(['END of it!'])).toEqual([...text.slice(0, 15), 'END of it'])
  expect((await said(['d. END', 'ld'])).join('')).toBe('Hello, wor€')
  await expect(said([''])).rejects.toThrow('TFM2020')
})

test('options that make no sense, and what they leave', async () => {
  for (const bad of [
    { repetitionPenalty: 0 },
    { noRepeatNgramSize: -1 },
    { noRepeatNgramSize: 1.5 },
    { minTokens: NaN },
  ])
    expect(() => constrained(bad, 1)).toThrow('TFM2020')
  for (const bad of [{ numBeams: 0 }, { numBeams: 2, numReturnSequences: 3 }, { lengthPenalty: NaN }])
    await expect(beamSearch(toy(), [1], bad)).rejects.toThrow('TFM2020')
  const suppressTokens = Array.from({ length: vocab }, (_, i) => i)
  await expect(alone([1], { suppressTokens })).rejects.toThrow('TFM2022')
  await expect(beamSearch(toy(), [1], { suppressTokens })).rejects.toThrow('TFM2022')
  const seen: number[][] = []
  const only = (ids: readonly number[], logits: Float32Array) => {
    seen.push([...ids])
    logits.fill(-Infinity)
    logits[9] = 0
  }
  expect(await alone([1], { maxTokens: 2, suppressTokens: [9, 99], processLogits: only })).toEqual([9, 9])
  expect(seen).toEqual([[1], [1, 9]])
  expect(await all(streamed(given([7, 8]), [5], { echo: true }))).toEqual([5, 7, 8])
})
