/** What the tests of published cases share: a case compiled and loaded on a target, and comparing within its tolerance. */
import { expect } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import type { Target } from '../../src/target.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { compileFile, loadEmitted, targets } from './emitted.ts'
import { goldenTensors } from './golden.ts'
import { expectClose, graphOfFile, modelOfCase, readText } from './models.ts'
import { loadReference, type Loaded } from './reference.ts'
import { deviationOf, given, positions, type Result, type Tolerance } from './tensors.ts'

interface Case extends Tolerance {
  readonly hyper: Readonly<Record<string, number>>
  readonly config?: Json
  readonly outputs: Readonly<Record<string, Partial<Tolerance>>>
}
/** What was compared, one line each: to print after all tests of a file. */
export const table: string[] = ['case · output · target: max error, share of tolerance']

/** Compares on a target, within a tolerance, and writes a line of the table. */
export function expectWithin(
  got: ArrayLike<number>,
  want: Tensor,
  tolerance: Tolerance,
  where: string,
  counts?: (i: number) => boolean,
): void {
  expect(got.length, where).toBe(want.data.length)
  const { error, share } = deviationOf(got, want.data, tolerance, counts)
  table.push(`${where}: ${error.toExponential(2)}, ${(100 * share).toFixed(2)} %`)
  expect(share, where).toBeLessThanOrEqual(1)
}

/** What a case says of itself, its tensors by name, and the tolerance of each output. */
export function caseOf(name: string) {
  const about = JSON.parse(readText(`test/golden/${name}/case.json`)) as Case
  const io = goldenTensors(name, 'io.safetensors')
  const side = (prefix: string): Map<string, Tensor> =>
    new Map([...io].flatMap(([key, t]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), t] as const] : [])))
  const [inputs, outputs] = [side('in.'), side('out.')]
  const tolerance = (key: string): Tolerance => ({ rtol: about.rtol, atol: about.atol, ...about.outputs[key] })
  const input = (key: string): Tensor => inputs.get(key)!
  const output = (key: string): Tensor => outputs.get(key)!
  return { about, inputs, input, output, tolerance }
}

/** What a case is held against: the reference, and each target. */
export const subjects: readonly (readonly [name: string, target: Target | undefined])[] = [
  ['reference', undefined],
  ...targets.map((t) => [t.name, t] as const),
]

/** The case of `test/golden/name`, compiled from `source`, by default its own model, and loaded on a target, or as the reference runs it. */
export async function open(
  name: string,
  target: Target | undefined,
  source = modelOfCase(name),
  weights = `test/golden/${name}/weights.safetensors`,
) {
  const golden = caseOf(name)
  const compiled = compileFile(source, target ?? targets[0], golden.about.config)
  const model: Loaded = target ? await loadEmitted(target, compiled, weights) : await loadReference(compiled, weights)
  const agree = (got: ArrayLike<number>, key: string): void =>
    expectWithin(got, golden.output(key), golden.tolerance(key), `${name} · ${key} · ${target?.name ?? 'reference'}`)
  return { ...golden, model, agree }
}

/** The same for the reference, with the graph and weights to run. */
export function openReference(name: string, source = modelOfCase(name)) {
  const golden = caseOf(name)
  const { config } = golden.about
  const graph = graphOfFile(source, config === undefined ? {} : { config })
  const weights = goldenTensors(name, 'weights.safetensors')
  const agree = (got: Tensor | undefined, key: string): void => {
    const { rtol, atol } = golden.tolerance(key)
    expect(got?.dtype === 'i32', key).toBe(golden.output(key).dtype === 'i32')
    expectClose(got, golden.output(key), rtol, atol)
  }
  return { ...golden, graph, weights, agree }
}

/** `logits` of a sequence of ids, `sizes[0]` positions at once and so on, pieces of one by `step`; the first call takes `others` too. */
export async function logitsOfPieces(
  model: Pick<Loaded, 'prefill' | 'step'>,
  name: string,
  ids: Tensor,
  sizes: readonly number[],
  others: Readonly<Record<string, unknown>> = {},
): Promise<Result[]> {
  const out: Result[] = []
  let at = 0
  for (const size of sizes) {
    const piece = { [name]: given(positions(ids, at, at + size)), ...(at === 0 ? others : {}) }
    out.push((await (at > 0 && size === 1 ? model.step(piece) : model.prefill(piece))).logits)
    at += size
  }
  return out
}
/** A prompt, then one position at a time. */
export const inSteps = (prompt: number, length: number): number[] => [
  prompt,
  ...Array.from({ length: length - prompt }, () => 1),
]
