/** What is made of a model's outputs: embeddings of texts, probabilities of labels and of tokens. */

/** Numbers in rows. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  /** Row after row. */
  readonly data: ArrayLike<number>
}

/** Ways to make one vector of the hidden states of a text: [T, d] → [d]. */
export const poolings = ['mean', 'cls', 'last', 'max'] as const
export type Pooling = (typeof poolings)[number]

/** One vector for a text (Reimers & Gurevych 2019): the mean over all positions, the first, the last, or the largest of each column. */
export function pooled({ rows, columns, data }: Matrix, pooling: Pooling): Float64Array {
  const out = new Float64Array(columns)
  for (let j = 0; j < columns; j++) {
    const column = Array.from({ length: rows }, (_, i) => data[i * columns + j])
    if (pooling === 'mean') out[j] = column.reduce((a, b) => a + b, 0) / rows
    else if (pooling === 'max') out[j] = column.reduce((a, b) => (b > a ? b : a))
    else out[j] = column[pooling === 'cls' ? 0 : rows - 1]
  }
  return out
}

/** At length 1; zeros stay. */
export function unit(v: ArrayLike<number>): Float64Array {
  const length = Math.sqrt(dot(v, v))
  return Float64Array.from(v, (x) => (length === 0 ? 0 : x / length))
}

/** The cosine of the angle between each two, in [-1, 1]. */
export function cosines(vectors: readonly ArrayLike<number>[]): number[][] {
  const units = vectors.map(unit)
  return units.map((a) => units.map((b) => dot(a, b)))
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0)

/** Probabilities that sum to 1. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  const most = Array.from(logits).reduce((a, b) => (b > a ? b : a), -Infinity)
  const powers = Float64Array.from(logits, (x) => Math.exp(x - most))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((x) => x / sum)
}

/** Each label on its own: a probability for each. */
export const sigmoid = (logits: ArrayLike<number>): Float64Array =>
  Float64Array.from(logits, (x) => 1 / (1 + Math.exp(-x)))

/** How logits become scores: as the pipelines of transformers choose it. */
export function scoresOf(logits: ArrayLike<number>, problem: unknown): Float64Array {
  if (problem === 'regression') return Float64Array.from(logits)
  return problem === 'multi_label_classification' || logits.length === 1 ? sigmoid(logits) : softmax(logits)
}

export interface Scored {
  readonly id: number
  readonly score: number
}

/** The `n` largest, the largest first, equal ones in their order. */
export function largest(scores: ArrayLike<number>, n: number): Scored[] {
  const all = Array.from(scores, (score, id) => ({ id, score }))
  return all.sort((a, b) => b.score - a.score || a.id - b.id).slice(0, n)
}
