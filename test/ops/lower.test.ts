import { describe, expect, it } from 'vitest'
import { newBuffer } from '../../src/kernel/buffer.ts'
import { resolveAttrs } from '../../src/ir/attrs.ts'
import { makeNode } from '../../src/ir/build.ts'
import { printType } from '../../src/ir/print.ts'
import type { OpName } from '../../src/ops/table.ts'
import { opOf, ops } from '../../src/ops/table.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { evaluate } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { inputNode, origin, random } from '../support/nodes.ts'
import { evaluateStages } from '../support/stages.ts'
import { B, cases, dimSets, P, S, T, type Case, type Operand } from './cases.ts'

type Dims = ReadonlyMap<Sym, number>

function sample(x: Operand, shape: readonly number[], next: () => number): Tensor {
  const data = new Float64Array(shape.reduce((n, d) => n * d, 1)).map(() => {
    if (x.dtype === 'bool') return Number(next() < 0.6)
    const [lo, hi] = [x.lo ?? (x.dtype === 'i32' ? -4 : -2), x.hi ?? (x.dtype === 'i32' ? 4 : 2)]
    return x.dtype === 'i32' ? lo + Math.floor(next() * (hi - lo + 1)) : lo + next() * (hi - lo)
  })
  return { dtype: x.dtype, shape, data }
}

function run(op: OpName, c: Case, dims: Dims, seed: number, chunk: number): void {
  const next = random(seed)
  const env = (s: Sym): number => dims.get(s) as number
  const numbers = (shape: readonly Ix[]): number[] => shape.map((d) => evaluate(d, env))
  const nodes = c.inputs.map((x, i) => (x === undefined ? undefined : inputNode(`x${i}`, x.dtype, x.shape)))
  const node = makeNode(op, nodes, c.attrs ?? {}, origin)
  const operands = c.inputs.flatMap((x, i) =>
    x === undefined ? [] : [sample(x, numbers(nodes[i]?.type.shape ?? []), next)],
  )
  const shape = numbers(node.type.shape)
  const attrs = resolveAttrs(node.attrs, env)
  if (op === 'append') {
    const kept = shape.map((d, a) => (a === node.attrs.axis ? env(P) : d))
    operands.push(sample({ dtype: 'f32', shape: [] }, kept, next))
  }
  const result = opOf(op).evaluate(operands, attrs, [shape])
  const expected = 'dtype' in result ? result : result[0]
  expect(expected.dtype).toBe(node.type.dtype)
  expect(expected.shape).toEqual(shape)

  const buffers = node.inputs.map((n) => newBuffer(n.attrs.name as string, n.type.dtype, 'virtual', n.type.shape))
  const out = newBuffer('out', node.type.dtype, 'virtual', node.type.shape)
  const stages = opOf(op).lower?.({ inputs: buffers, out, attrs: node.attrs }) ?? []
  expect(stages.at(-1)?.out).toBe(out)
  const found = evaluateStages(stages, new Map(buffers.map((b, i) => [b, operands[i]])), dims, chunk)
  const size = op === 'append' || op === 'collect' ? operands[0].data.length : expected.data.length
  expect(found.length).toBe(size)
  for (const p of found) {
    const offset = p.at.reduce((o, i, a) => o * shape[a] + i, 0)
    const value = expected.data[offset]
    expect(Math.abs(p.value - value), `${op} of ${node.inputs.map((n) => printType(n.type)).join(', ')} at [${p.at.join()}]: ${p.value}, ${value}`).toBeLessThanOrEqual(1e-12 * Math.max(1, Math.abs(value))) // prettier-ignore
  }
}

describe('evaluate and the stages of lower agree', () => {
  for (const op of Object.keys(ops) as OpName[]) {
    if (ops[op].lower === undefined) continue
    it(op, () => {
      expect(cases[op].length).toBeGreaterThan(0)
      for (const [i, c] of cases[op].entries()) {
        for (const [j, set] of dimSets.entries()) {
          const dims = new Map([[B, set.B], [T, set.T], [S, set.S], [P, set.P]]) // prettier-ignore
          for (const chunk of [1, 2, 8]) run(op, c, dims, 1000 * i + 10 * j + chunk, chunk)
        }
      }
    })
  }
})
