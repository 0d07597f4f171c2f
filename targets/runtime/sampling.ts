import { TfmError } from './errors.ts'

export interface SampleOptions {
  /** 0 or more; 0 takes the largest logit. Default: 1 with topK, topP or minP, else 0. */
  temperature?: number
  /** 1 or more: draw among so many of the largest. */
  topK?: number
  /** In (0, 1]: draw among the fewest that together have this probability; after topK. */
  topP?: number
  /** In [0, 1]: at least this part of the largest probability; after topP. */
  minP?: number
}

/** sfc32 (Chris Doty-Humphrey, PractRand): numbers in [0, 1), the same everywhere. */
export function randomNumbers(seed: number): () => number {
  let [a, b, c, counter] = [0, seed | 0, Math.floor(seed / 2 ** 32) | 0, 1]
  const next = () => {
    const sum = (a + b + counter++) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 12; i++) next()
  return next
}

/** An index into `logits`, drawn with numbers in [0, 1). The lower of equals comes first; NaN is never taken. */
export function sample(logits: Float32Array, options: SampleOptions, random: () => number): number {
  const { topK = Infinity, topP = 1, minP = 0 } = options
  const { temperature = (options.topK ?? options.topP ?? options.minP) ? 1 : 0 } = options
  if (!(temperature >= 0 && temperature < Infinity && topK >= 1 && topP > 0 && topP <= 1 && minP >= 0 && minP <= 1))
    throw new TfmError('TFM2020', `bad options: temperature ${temperature}, topK ${topK}, topP ${topP}, minP ${minP}`)
  let best = -1
  logits.forEach((x, i) => x > (logits[best] ?? -Infinity) && (best = i))
  if (best < 0) throw new TfmError('TFM2022', 'every logit is NaN or -Infinity')
  if (temperature === 0 || logits[best] === Infinity) return best

  const weights = new Float64Array(logits).map((x) => Math.exp((x - logits[best]) / temperature) || 0)
  const sum = (list: number[]) => list.reduce((sum, i) => sum + weights[i], 0)
  let total = weights.reduce((a, b) => a + b)
  const kept: number[] = []
  if (topK < logits.length) {
    for (let i = 0; i < logits.length; i++) {
      let at = kept.length
      while (at > 0 && logits[kept[at - 1]] < logits[i]) at--
      if (at < topK && weights[i]) kept.splice(at, 0, i)
      if (kept.length > topK) kept.pop()
    }
    total = sum(kept)
  } else {
    // Those left out, if any, have less than 1 - topP together.
    const least = ((1 - topP) * total) / logits.length
    weights.forEach((w, i) => w >= least && kept.push(i))
    if (topP < 1) kept.sort((i, j) => logits[j] - logits[i] || i - j)
  }
  let mass = 0
  const end = kept.findIndex((i) => (mass += weights[i]) >= topP * total)
  const drawn = kept.slice(0, end + 1).filter((i) => weights[i] >= minP)
  let left = random() * sum(drawn)
  return drawn.find((i) => (left -= weights[i]) < 0) ?? best
}
