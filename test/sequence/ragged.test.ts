/** Batches of rows of different lengths: each row is computed as if it were alone. */
import { describe, expect, test } from 'vitest'
import { typescript } from '../../targets/typescript/index.ts'
import { interpret } from '../../src/interpret/index.ts'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { writeSafetensors } from '../../src/weights/write.ts'
import { loadEmitted, targets, type Emitted } from '../support/emitted.ts'
import { graphOfText, i32 } from '../support/models.ts'
import { expectStepsEqualRun, weightsOf } from '../support/stepping.ts'

interface Full extends Emitted {
  readonly generateBatch: (prompts: readonly (readonly number[])[], options: object) => AsyncGenerator<(number | undefined)[], void>
} // prettier-ignore

const gpt = `model gpt(vocab = 11, ctx = 16, d = 8, heads = 2) {
  sequence T
  input ids: i32[B, T] where T <= ctx
  input start: i32[B] = zeros([B])
  param wte: f32[vocab, d]
  param wpe: f32[ctx, d]
  x = wte[ids] + wpe[padded_positions(start, T)]
  q, k, v = x |> linear(3 * d, name = "qkv") |> split(3) |> each split_heads
  y = attention(q, k, v, mask = causal(T) and padded(start, T)) |> merge_heads
  output logits = residual(linear(y, d), skip = x) @ transpose(wte)
}`
const llama = `model llama(vocab = 11, d = 8, heads = 2, layers = 2) {
  sequence T
  block attn(x: f32[B, T, d], place: i32[B, T], mask: bool[...]) {
    q, k, v = x |> linear(3 * d, name = "qkv") |> split(3) |> each split_heads
    y = attention(rope(q, positions = place), rope(k, positions = place), v, mask = mask) |> merge_heads
    return linear(y, d, name = "out")
  }
  input ids: i32[B, T]
  input keep: i32[B, T] = ones([B, T])
  param wte: f32[vocab, d]
  place = kept_positions(keep == 1)
  x = wte[ids]
  repeat layers as i scope "h.{i}" {
    x = residual(attn(rmsnorm(x, name = "ln"), place, causal(T) and keys(keep == 1)))
  }
  output logits = rmsnorm(x, name = "ln_f") @ transpose(wte)
}`
const ids = [[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 10, 7]] // prettier-ignore

/** Logits of row `b` of a batch at the positions that are there, against those of that row alone. */
function alone(
  text: string,
  rows: readonly (readonly number[])[],
  there: (b: number, t: number) => boolean,
  inputs: Parameters<typeof expectStepsEqualRun>[1],
): void {
  const graph = graphOfText(text)
  const params = weightsOf(graph)
  const T = rows[0].length
  const given = Object.entries(inputs?.inputs ?? {}).flatMap(([name, t]) => (t ? [[name, t] as const] : []))
  const all = interpret(graph, { inputs: new Map(given), params }).outputs.get('logits')!
  const vocab = all.shape[2]
  rows.forEach((row, b) => {
    const real = [...row.keys()].filter((t) => there(b, t))
    const own = interpret(graph, {
      inputs: new Map([
        [
          'ids',
          i32(
            [1, real.length],
            real.map((t) => row[t]),
          ),
        ],
      ]),
      params,
    })
    const want = own.outputs.get('logits')!.data
    real.forEach((t, i) => {
      for (let c = 0; c < vocab; c++)
        expect(Math.abs(all.data[(b * T + t) * vocab + c] - want[i * vocab + c])).toBeLessThan(1e-12)
    })
  })
}

describe('ragged batches', { timeout: 120_000 }, () => {
  test('padding on the left, learned positions', async () => {
    const inputs = { ids: i32([2, 7], ids.flat()), start: i32([2], [0, 3]) }
    alone(gpt, ids, (b, t) => t >= [0, 3][b], { inputs })
    await expectStepsEqualRun(gpt, { inputs })
    await expectStepsEqualRun(gpt, { inputs: { start: undefined }, targets: [typescript] })
  })

  test('gaps anywhere, rotary positions', async () => {
    // Prompts of 4 and 2, padded on the right to 4; then steps, in one of which a row has nothing.
    const keep = [[1, 1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 1, 0, 1]] // prettier-ignore
    const inputs = { ids: i32([2, 7], ids.flat()), keep: i32([2, 7], keep.flat()) }
    alone(llama, ids, (b, t) => keep[b][t] === 1, { inputs })
    await expectStepsEqualRun(llama, {
      inputs,
      pieces: [
        [4, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1],
        [2, 3, 2],
      ],
    })
    await expectStepsEqualRun(llama, { inputs: { keep: undefined }, targets: [typescript] })
    // A layer with a window and one without ask for the flags of different positions.
    await expectStepsEqualRun(llama.replace('causal(T)', 'sliding(T, if i == 0 then 3 else T)'), { inputs })
  })

  test.each(targets.map((t) => [t.name, t] as const))('prompts of two lengths, side by side: %s', async (_, target) => {
    const weights = [...weightsOf(graphOfText(gpt))].map(([name, t]) => ({ name, ...t }))
    const file = writeSafetensors(weights.map(({ name, shape, data }) => ({ name, shape, data })))
    const compiled = compile(sourceFile('gpt.tfm', gpt), target, { reorder: true })
    const model = (await loadEmitted(target, compiled, file, { generation: 'full' })) as Full
    const options = { maxTokens: 4 }
    const prompts = [[3, 1, 4], [5]] // prettier-ignore
    const alone: number[][] = [[], []]
    for (const [row, prompt] of prompts.entries())
      for await (const id of model.generate(prompt, options)) alone[row].push(id)
    const together: number[][] = [[], []]
    for await (const step of model.generateBatch(prompts, options))
      step.forEach((id, row) => id !== undefined && together[row].push(id))
    expect(together).toEqual(alone)
    model.dispose()
  })
})
