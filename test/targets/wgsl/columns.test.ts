/** Results of several columns in one kernel (law 8): gated units and rotations, with few rows and in a model's steps. */
import { describe, expect, test } from 'vitest'
import { compile } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { columnSets } from '../../../src/kernel/columns.ts'
import { inlineStages } from '../../../src/kernel/inline.ts'
import { splitPrologue } from '../../../src/kernel/prologue.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { structureOf } from '../../../src/kernel/structure.ts'
import { verify, webgpuLimits } from '../../../src/kernel/verify.ts'
import { mostBuffers } from '../../../src/lower/buffers.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { schedule } from '../../../targets/wgsl/recipes.ts'
import { interpret } from '../../../src/interpret/index.ts'
import type { Tensor } from '../../../src/types/tensor.ts'
import { writeSafetensors } from '../../../src/weights/write.ts'
import { loadEmitted } from '../../support/emitted.ts'
import { weightsOf } from '../../support/stepping.ts'
import { barriers, withoutBarrier } from './nests.ts'

interface Shape {
  readonly d?: number
  readonly heads?: number
  readonly kv?: number
  readonly e?: number
  readonly ff?: number
  readonly bias?: boolean
  /** Whether one matrix has all three projections, stored by rows, and one both of the unit. */
  readonly whole?: boolean
  /** More of the rotation's arguments. */
  readonly rope?: string
  readonly unit?: string
}
/** A layer as Llama has it. */
const llama = ({ d = 16, heads = 4, kv = 2, e = 8, ff = 20, bias = false, whole, rope = '', unit }: Shape): string => {
  const linear = (n: string, name: string): string => `linear(${n}, bias = ${bias}, name = "${name}")`
  const separate = [`heads * e`, `kv * e`, `kv * e`].map((n, i) => `x |> ${linear(n, 'qkv'[i])}`)
  const together = `x |> ${linear('(heads + 2 * kv) * e', 'qkv')} |> split([heads * e, kv * e, kv * e])`
  const turned = (x: string): string => `rope(${x}, positions = place${rope})`
  const halves = whole
    ? `g, u = x |> ${linear('2 * ff', 'gate_up')} |> split(2)\n    `
    : `g = x |> ${linear('ff', 'gate')}\n    u = x |> ${linear('ff', 'up')}\n    `
  return `model small(vocab = 11, d = ${d}, heads = ${heads}, kv = ${kv}, e = ${e}, ff = ${ff}) {
  sequence T
  block attn(x: f32[B, T, d], place: i32[B, T], mask: bool[...]) {
    q, k, v = ${whole ? together : `[${separate.join(', ')}]`}
    keys = ${turned('split_heads(k, heads = kv)')}
    y = attention(${turned('split_heads(q)')}, keys, split_heads(v, heads = kv), mask = mask) |> merge_heads
    return linear(y, d, bias = false, name = "out")
  }
  block unit(x: f32[B, T, d]) {
    ${halves}return linear(${unit ?? 'silu(g) * u'}, d, bias = false, name = "down")
  }
  input ids: i32[B, T]
  input start: i32[B] = zeros([B])
  param wte: f32[vocab, d]
  place = padded_positions(start, T)
  x = wte[ids]
  repeat 1 as i scope "h.{i}" {
    x = residual(attn(rmsnorm(x, name = "ln"), place, causal(T) and padded(start, T), name = "attn"))
    x = residual(unit(rmsnorm(x, name = "ln2"), name = "mlp"))
  }
  output logits = rmsnorm(x, name = "ln_f") @ transpose(wte)
}`.replace(/q, k, v = \[(.*)\]/, (_, list: string) => {
    const [q, k, v] = list.split(', x |>')
    return `q = ${q}\n    k = x |>${k}\n    v = x |>${v}`
  })
}
const ids = [[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 10, 7]] // prettier-ignore
/** A prefill and steps of two rows, one of them padded, against the interpreter. */
async function agrees(text: string): Promise<void> {
  const file = sourceFile('small.tfm', text)
  const made = compile(file, wgsl)
  const weights = weightsOf(made.graph)
  const input = (data: readonly number[], ...shape: number[]): Tensor => ({
    dtype: 'i32',
    shape,
    data: Float64Array.from(data),
  })
  const inputs = new Map([
    ['ids', input(ids.flat(), 2, ids[0].length)],
    ['start', input([0, 2], 2)],
  ])
  const want = interpret(made.graph, { inputs, params: weights }).outputs.get('logits')!
  const bytes = writeSafetensors(
    [...weights].map(([name, t]) => ({ name, shape: t.shape, data: Float32Array.from(t.data) })),
  )
  const model = await loadEmitted(wgsl, made, bytes)
  const columns = (from: number, to: number): Int32Array => Int32Array.from(ids.flatMap((row) => row.slice(from, to)))
  let from = 0
  for (const size of [5, 1, 1]) {
    const data = columns(from, from + size)
    const call = size === 1 ? model.step : model.prefill
    const got = await call({
      ids: { data, shape: [2, size] },
      ...(from === 0 ? { start: { data: Int32Array.of(0, 2), shape: [2] } } : {}),
    })
    for (const [b, row] of ids.entries())
      for (let t = 0; t < size; t++)
        for (let v = 0; v < 11; v++) {
          if (b === 1 && from + t < 2) continue
          const w = want.data[(b * row.length + from + t) * 11 + v]
          expect(Math.abs(got.logits.data[(b * size + t) * 11 + v] - w)).toBeLessThan(1e-4 * (1 + Math.abs(w)))
        }
    from += size
  }
  model.dispose()
}

function hasSets(kernel: StageKernel): boolean {
  const { stages } = splitPrologue(kernel)?.rest ?? { stages: inlineStages(kernel.stages) }
  const s = structureOf({ ...kernel, stages })
  return s.k === 'contraction' && columnSets(s, s.epilogue) !== undefined
}

/** Dispatches of a layer in a step. */
function perLayer(text: string): number {
  const count = (layers: number): number => {
    const source = text.replace('repeat 1', `repeat ${layers}`)
    const { programs } = compile(sourceFile('small.tfm', source), wgsl).lowered
    return programs.find((p) => p.program.name === 'step')!.dispatches.length
  }
  return count(2) - count(1)
}

const cases: Record<string, readonly [Shape, number]> = {
  'separate projections': [{}, 5],
  'whole matrices, stored by rows': [{ whole: true }, 5],
  'an odd number of heads': [{ heads: 3, kv: 1, e: 4, d: 20 }, 5],
  'heads that are not made of fours': [{ heads: 2, kv: 2, e: 6, ff: 13 }, 5],
  'heads that are not made of fours, stored by rows': [{ heads: 3, kv: 3, e: 10, ff: 7, whole: true, d: 18 }, 5],
  neighbours: [{ rope: ', interleaved = true' }, 5],
  'neighbours, stored by rows': [{ rope: ', interleaved = true', whole: true, e: 6 }, 5],
  'biases, with rotations that compute their sines': [{ bias: true }, 5],
  'a unit that halves': [{ unit: 'relu(g - u) + 2 * u' }, 5],
}
describe.each(Object.entries(cases))('%s', (_, [shape, layer]) => {
  const text = llama(shape)
  test(`${layer} dispatches a layer`, () => expect(perLayer(text)).toBe(layer))
  test('kernels are well-formed, with no barrier to spare', () => {
    const { module, programs } = compile(sourceFile('small.tfm', text), wgsl).lowered
    const used = new Set(programs.find((p) => p.program.name === 'step')!.dispatches.map((d) => d.kernel))
    let found = 0
    for (const k of used) {
      expect(module.kernels[k].args.length).toBeLessThanOrEqual(mostBuffers)
      if (!hasSets(module.kernels[k])) continue
      found++
      for (const { nest } of schedule(module.kernels[k], { used: 'one' }).variants) {
        expect(verify(nest, { limits: webgpuLimits }).map((i) => i.message)).toEqual([])
        for (let n = 0; n < barriers(nest); n++)
          expect(verify(withoutBarrier(nest, n)).length, `without barrier ${n}`).toBeGreaterThan(0)
      }
    }
    expect(found).toBe(2)
  })
  test('steps give what a run gives', () => agrees(text))
})
test.each(['f16', 'int4'] as const)('weights kept as %s', async (as) => {
  const made = compile(sourceFile('small.tfm', llama({ d: 32, ff: 32 })), wgsl, { weights: () => as })
  const weights = [...weightsOf(made.graph)].map(([name, { shape, data }]) => ({ name, shape, data: Float32Array.from(data) })) // prettier-ignore
  const model = await loadEmitted(wgsl, made, writeSafetensors(weights), { weights: as })
  const whole = await model.run({ ids: ids[0] })
  await model.prefill({ ids: ids[0].slice(0, 6) })
  const last = await model.step({ ids: ids[0].slice(6) })
  const want = whole.logits.data.slice(66)
  for (const [v, x] of last.logits.data.entries())
    expect(Math.abs(x - want[v])).toBeLessThan(1e-4 * (1 + Math.abs(want[v])))
  model.dispose()
})
