/** Made-up weights for tests, benchmarks and `tfmc init`: the same bits on every machine. */
import { randomNumbers } from '../../targets/runtime/sampling.ts'
import type { TensorToWrite } from './write.ts'

export interface RandomSpec {
  readonly name: string
  readonly shape: readonly number[]
  /** Tied tensors are left out of the file. */
  readonly fallback?: string
}

/**
 * A tensor to write for each spec; a value depends on the seed, the tensor's name and its place only. Matrices are normal with standard
 * deviation 0.02 (GPT-2's own), biases likewise, and gains (other vectors and scalars) lie as far around 1.
 */
export function randomWeights(specs: readonly RandomSpec[], seed: number): TensorToWrite[] {
  return specs
    .filter((spec) => spec.fallback === undefined)
    .map(({ name, shape }) => ({ name, shape, data: () => randomTensor(name, shape, seed) }))
}

export function randomTensor(name: string, shape: readonly number[], seed: number): Float32Array {
  const mean = shape.length > 1 || /(^|[._])(b|beta|bias\w*)$/i.test(name) ? 0 : 1
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1))
  const random = randomNumbers((hash(name) ^ Math.imul(seed, 0x9e3779b1)) >>> 0)
  for (let i = 0; i < values.length; i++) values[i] = mean + 0.02 * almostNormal(random)
  return values
}

/**
 * Mean 0, variance 1, within ±3.5: the sum of four numbers of 16 bits. Box and Muller's method would need logarithms, whose last bits
 * differ between engines.
 */
function almostNormal(random: () => number): number {
  const a = random() * 2 ** 32
  const b = random() * 2 ** 32
  const low = (a % 65536) + (b % 65536)
  const high = Math.floor(a / 65536) + Math.floor(b / 65536)
  return (low + high - 2 * 65535) * deviation
}
/** 1 / √(4 · (65536² − 1) / 12) */
const deviation = 1 / 37837.22732
/** FNV-1a. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h
}
