import fc from 'fast-check'
import { expect, test } from 'vitest'
import { generateTokens, type GenerateOptions } from '../../targets/runtime/generate.ts'
import { randomNumbers, sample, type SampleOptions } from '../../targets/runtime/sampling.ts'

const logits = (...values: number[]) => Float32Array.from(values)
const never = () => {
  throw new Error('not drawn')
}

test('random numbers are those of PractRand’s sfc32, whatever the machine', () => {
  const first = (seed: number) => {
    const next = randomNumbers(seed)
    return [next(), next(), next()].map((x) => x * 2 ** 32)
  }
  // Computed with a transcription of sfc32 in 64-bit integers, below.
  for (const seed of [0, 1, 42, 2 ** 32 - 1, 2 ** 40 + 7, -1]) expect(first(seed)).toEqual(reference(BigInt(seed), 3))
  const next = randomNumbers(7)
  const counts = new Uint32Array(16)
  for (let i = 0; i < 160_000; i++) counts[Math.floor(next() * 16)]++
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
})

function reference(seed: bigint, count: number): number[] {
  const low = (x: bigint) => BigInt.asUintN(32, x)
  let [a, b, c, counter] = [0n, low(seed), low(seed >> 32n), 1n]
  const next = () => {
    const sum = low(a + b + counter++)
    a = b ^ (b >> 9n)
    b = low(c + (c << 3n))
    c = low((low(c << 21n) | (c >> 11n)) + sum)
    return Number(sum)
  }
  for (let i = 0; i < 12; i++) next()
  return Array.from({ length: count }, next)
}

test('greedy: the largest, the lowest of equals, never NaN', () => {
  expect(sample(logits(1, 3, 3, 2), {}, never)).toBe(1)
  expect(sample(logits(NaN, -5, NaN, -4), {}, never)).toBe(3)
  expect(sample(logits(-Infinity, -3e38), {}, never)).toBe(1)
  expect(sample(logits(1, Infinity, Infinity), { temperature: 1 }, never)).toBe(1)
  expect(sample(logits(2, 1), { temperature: 0, topK: 5, topP: 0.5 }, never)).toBe(0)
  expect(() => sample(logits(NaN, -Infinity), {}, never)).toThrow('TFM2022')
  expect(() => sample(logits(), {}, never)).toThrow('TFM2022')
})

test.each<SampleOptions>([
  { temperature: -1 },
  { temperature: NaN },
  { temperature: Infinity },
  { topK: 0 },
  { topK: NaN },
  { topP: 0 },
  { topP: 1.5 },
  { topP: NaN },
])('options that make no sense: %j', (options) => {
  expect(() => sample(logits(1, 2), options, Math.random)).toThrow('TFM2020')
})

/** Probabilities by the definition: everything sorted, then cut. */
function probabilities(values: Float32Array, { temperature = 1, topK = Infinity, topP = 1 }: SampleOptions): number[] {
  const order = [...values.keys()].filter((i) => values[i] > -Infinity).sort((i, j) => values[j] - values[i] || i - j)
  const kept = order.slice(0, topK)
  const weight = (i: number) => Math.exp((values[i] - values[order[0]]) / temperature)
  const total = kept.reduce((sum, i) => sum + weight(i), 0)
  let mass = 0
  const nucleus = kept.filter((i) => {
    const before = mass
    mass += weight(i)
    return topP === 1 || before < topP * total
  })
  const all = nucleus.reduce((sum, i) => sum + weight(i), 0)
  return Array.from(values, (_, i) => (nucleus.includes(i) ? weight(i) / all : 0))
}

test.each<SampleOptions>([
  { temperature: 1 },
  { temperature: 0.3 },
  { temperature: 50 },
  { topK: 3 },
  { topK: 1 },
  { topK: 100 },
  { topP: 0.6 },
  { topP: 0.01 },
  { topK: 4, topP: 0.7, temperature: 1.5 },
])('the distribution of %j', (options) => {
  const values = logits(0.5, 2, NaN, 1.5, 2, -Infinity, -1, 0)
  const random = randomNumbers(5)
  const counts = new Float64Array(values.length)
  const draws = 40_000
  for (let i = 0; i < draws; i++) counts[sample(values, options, random)]++
  for (const [i, p] of probabilities(values, options).entries()) {
    if (p === 0) expect(counts[i]).toBe(0)
    else expect(Math.abs(counts[i] / draws - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / draws) + 1e-9)
  }
})

test('only what the definition keeps is ever drawn', () => {
  const value = fc.oneof(
    fc.integer({ min: -3, max: 3 }),
    fc.float({ min: -50, max: 50, noNaN: true }),
    fc.constantFrom(NaN, -Infinity),
  )
  const options = fc.record(
    {
      temperature: fc.double({ min: 0.05, max: 1e20, noNaN: true }),
      topK: fc.integer({ min: 1, max: 12 }),
      topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
    },
    { requiredKeys: ['temperature'] },
  )
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 20 }),
      options,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (list, options, r) => {
        const values = logits(...list)
        if (!values.some((x) => x > -Infinity)) return
        const drawn = sample(values, options, () => r)
        const p = probabilities(values, options)
        // A neighbour may be drawn where sums in another order round across the border of the nucleus.
        const border = probabilities(values, { ...options, topP: Math.min(1, (options.topP ?? 1) * (1 + 1e-9)) })
        expect(p[drawn] + border[drawn]).toBeGreaterThan(0)
      },
    ),
    { numRuns: 2000 },
  )
})

test('a vocabulary of 50,257: only the few that are kept are drawn', () => {
  const random = randomNumbers(1)
  const values = Float32Array.from({ length: 50257 }, () => -3 * Math.log(random() + 1e-9))
  const order = [...values.keys()].sort((i, j) => values[j] - values[i] || i - j)
  const half = probabilities(values, { topP: 0.5 })
  for (let i = 0; i < 50; i++) {
    expect(order.indexOf(sample(values, { topK: 40, temperature: 3 }, random))).toBeLessThan(40)
    expect(half[sample(values, { topP: 0.5 }, random)]).toBeGreaterThan(0)
  }
})

async function generate(options: GenerateOptions, prompt: readonly number[] = [0], room?: number): Promise<number[]> {
  const out: number[] = []
  for await (const id of generateTokens(
    (ids) => logits(...Array.from({ length: 8 }, (_, i) => Math.sin(3 * i + ids[ids.length - 1]))),
    prompt,
    options,
    room,
  ))
    out.push(id)
  return out
}

test('equal seeds give equal tokens, others give others', async () => {
  const options = { temperature: 1, maxTokens: 30 }
  const tokens = await generate({ ...options, seed: 3 })
  expect(tokens).toHaveLength(30)
  expect(await generate({ ...options, seed: 3 })).toEqual(tokens)
  expect(await generate({ ...options, seed: 4 })).not.toEqual(tokens)
  expect(await generate(options)).not.toEqual(await generate(options))
})

test('the prompt goes in once, then each id; nothing is computed that is not asked for', async () => {
  const seen: number[][] = []
  const next = (ids: ArrayLike<number>) => {
    seen.push(Array.from(ids))
    return logits(0, 1)
  }
  for await (const id of generateTokens(next, [5, 6, 7], { maxTokens: 3 })) expect(id).toBe(1)
  expect(seen).toEqual([[5, 6, 7], [1], [1]])
  for await (const id of generateTokens(next, [5], { maxTokens: 0 })) expect(id).toBeUndefined()
  for await (const id of generateTokens(next, [5])) if (id === 1) break
  expect(seen).toHaveLength(4)
})

test('the end: stop ids, the count, the room of the model', async () => {
  const free = await generate({ maxTokens: 12 })
  expect(free).toHaveLength(12)
  const stop = free[4]
  const until = free.slice(0, free.indexOf(stop))
  expect(await generate({ stop })).toEqual(until)
  expect(await generate({ stop: [99, stop] })).toEqual(until)
  expect(await generate({}, [1, 2, 3], 5)).toHaveLength(3)
  expect(await generate({}, [1, 2, 3], 3)).toHaveLength(1)
  await expect(generate({}, [])).rejects.toThrow('TFM2021')
})

test('a signal of a timer arrives, though every step is synchronous', async () => {
  const busy = (ids: ArrayLike<number>) => {
    const end = performance.now() + 5
    while (performance.now() < end);
    return logits(ids.length, 2)
  }
  const reason = new Error('enough')
  const controller = new AbortController()
  setTimeout(() => controller.abort(reason), 60)
  const all = async () => {
    for await (const id of generateTokens(busy, [1], { maxTokens: 2000, signal: controller.signal })) expect(id).toBe(1)
  }
  await expect(all()).rejects.toBe(reason)
})
