/** Scans from text: what they mean to the reference, worked out here in plain numbers, and what is refused. */
import { describe, expect, test } from 'vitest'
import { printGraph } from '../../src/ir/print.ts'
import { regionsOf } from '../../src/ir/regions.ts'
import { nodesOf } from '../../src/ir/traverse.ts'
import { expectClose, f32, graphOfText, i32, messagesOf, run } from '../support/models.ts'

const x23 = f32([2, 3], [1, 2, 3, 10, 20, 30])
const model = (body: string, head = 'm'): string => `model ${head} { input x: f32[B, T]\n${body} }`
const outputs = (body: string, inputs: Record<string, ReturnType<typeof f32>> = { x: x23 }): Record<string, number[]> =>
  Object.fromEntries([...run(graphOfText(model(body)), inputs)].map(([name, { data }]) => [name, [...data]]))

describe('a scan', () => {
  test('stacks what it yields along its axis, and gives the last carry', () => {
    const sum = (options: string) =>
      outputs(`output y, h = scan t < T${options} carry h = zeros([B]) { h = h + x[:, t]; yield h }`)
    expect(sum('')).toEqual({ y: [1, 10, 3, 30, 6, 60], h: [6, 60] })
    expect(sum(', axis = 1')).toEqual({ y: [1, 3, 6, 10, 30, 60], h: [6, 60] })
    expect(sum(', axis = -1')).toEqual(sum(', axis = 1'))
  })
  test('runs from the end with `reverse`, storing at t', () => {
    const y = outputs(
      'output y, h = scan t < T, axis = 1, reverse = true carry h = zeros([B]) { h = h + x[:, t]; yield h }',
    )
    expect(y).toEqual({ y: [6, 5, 3, 60, 50, 30], h: [6, 60] })
  })
  test('gives all carries their next values at once', () => {
    const { y, a, b } = outputs(
      'output y, a, b = scan t < T carry a = i32(f32(1)), b = 1 { c = a; a = a + b; b = c; yield a }',
      { x: f32([1, 6], [0, 0, 0, 0, 0, 0]) },
    )
    expect([y, a, b]).toEqual([[2, 3, 5, 8, 13, 21], [21], [13]])
  })
  test('may carry nothing, carry what it does not assign, and yield several values', () => {
    expect(outputs('output y, z = scan t < T { yield x[:, t] * 2, f32(t) }').z).toEqual([0, 1, 2])
    expect(outputs('output y, h = scan t < T carry h = x[:, 0] { yield h + x[:, t] }').y).toEqual([2, 20, 3, 30, 4, 40])
    expect(outputs('output y, h = scan t < T carry h = x[:, 0] { h = x[:, t]; yield x }').h).toEqual([3, 30])
  })
  test('knows t as a number: in arithmetic, indices, comprehensions, conditions', () => {
    const { y } = outputs(`
      output y, n = scan t < T, axis = 1 carry n = 0 {
        n = n + 2 * t + 1
        back = x[:, T - 1 - t]
        seen = sum([for b < B, j < T: select(j <= t, x[b, j], 0)])
        yield select(t == 1, back + f32(n), seen)
      }`)
    expect(y).toEqual([1, 6, 6, 10, 24, 60])
  })
  test('nests', () => {
    // y[i, j] = y[i - 1, j] + y[i, j - 1] with ones at the borders: binomial coefficients.
    const { y } = outputs(`
      output y, r = scan i < 3 carry row = ones([4]) {
        next, last = scan j < 4 carry left = f32(0) { left = left + row[j]; yield left }
        row = next
        yield row
      }`)
    expect(y).toEqual([1, 2, 3, 4, 1, 3, 6, 10, 1, 4, 10, 20])
  })
  test('of one step, of a fixed number of steps, over another dim', () => {
    const one = { x: f32([2, 1], [5, 7]) }
    expect(outputs('output y, h = scan t < T carry h = zeros([B]) { h = h + x[:, t]; yield h }', one).h).toEqual([5, 7])
    expect(outputs('output y, h = scan t < 1 carry h = x { h = h * f32(t + 2); yield h[0, t] }').y).toEqual([2])
    expect(outputs('output y, h = scan b < B carry h = zeros([T]) { h = h + x[b]; yield h }').h).toEqual([11, 22, 33])
  })
  test('carries masks and indices', () => {
    const { any, at } = outputs(`
      y, any, at = scan t < T carry any = x[:, 0] > 5, at = i32(zeros([B])) {
        any = any or x[:, t] == 2
        at = at + i32(any) * t
        yield any
      }
      output any = any
      output at = at`)
    expect([any, at]).toEqual([[1, 1], [3, 3]]) // prettier-ignore
  })
  test('declares its parameters once, and leaves what does not change outside', () => {
    const graph = graphOfText(`model m(d = 2) {
      input x: f32[B, T, d]
      output y, h = scan t < T, axis = 1 carry h = zeros([B, d]) {
        all = linear(x, d, name = "in")
        h = all[:, t] + linear(h, d, name = "rec", bias = false)
        yield h
      }
    }`)
    expect(graph.params.map((p) => p.name)).toEqual(['in.weight', 'in.bias', 'rec.weight'])
    const nodes = nodesOf(graph)
    const regions = regionsOf(nodes)
    const products = nodes.filter((n) => n.op === 'matmul').map((n) => regions.of(n)?.key)
    expect(products).toEqual([undefined, 'scan.0'])
    expect(printGraph(graph)).toContain('loop t from 0 .. T - 1')
    const w = new Map([['in.weight', f32([2, 2], [1, 0, 0, 1])], ['in.bias', f32([2], [0, 0])], ['rec.weight', f32([2, 2], [2, 0, 0, 3])]]) // prettier-ignore
    const got = run(graph, { x: f32([1, 3, 2], [1, 1, 1, 1, 1, 1]) }, w)
    expectClose(got.get('y'), f32([1, 3, 2], [1, 1, 3, 4, 7, 13]), 0, 1e-12)
  })
  test('takes ids from data at each step', () => {
    const graph = graphOfText(`model m { input ids: i32[T]; input table: f32[5]
      output y, h = scan t < T carry h = f32(0) { h = h + table[ids[t]]; yield h } }`)
    const got = run(graph, { ids: i32([3], [4, 0, 4]), table: f32([5], [1, 2, 3, 4, 5]) })
    expect([...got.get('y')!.data]).toEqual([5, 6, 11])
  })
})

describe('refused', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['a carry that changes its type', 'y, h = scan t < T carry h = x { h = sum(h); yield h }', /TFM1603 carry `h` starts as f32\[B, T\] and becomes f32\[B\]/],
    ['a whole number that becomes f32', 'y, h = scan t < T carry h = 0 { h = h + sum(x); yield h }', /TFM1801/],
    ['no yield', 'y, h = scan t < T carry h = x { h = h + 1 }', /TFM1219 this `scan` has no `yield`/],
    ['a variable from outside', 's = x\ny = scan t < T { s = s + 1; yield s }', /TFM1606 `s` is a variable from outside/],
    ['a size that depends on t', 'y = scan t < T { yield sum(x[:, 0:t]) }', /TFM1607 .*depends on `t`/],
    ['a condition that depends on t', 'y = scan t < T { yield x[:, t / 2] }', /TFM1607 .*depends on `t`/],
    ['a bound that may be 0', 'y = scan t < T - 1 { yield x[:, t] }', /TFM1208 the bound of `scan` must be at least 1 for all values of its dims, not `T - 1`/],
    ['a bound that is no number', 'y = scan t < x { yield x[:, t] }', /TFM1208 the bound of `scan`/],
    ['t beyond an axis', 'y = scan t < T { yield x[t] }', /TFM1410/],
    ['t + 1 beyond an axis', 'y = scan t < T { yield x[:, t + 1] }', /TFM1410/],
    ['an unknown option', 'y = scan t < T, axes = 1 { yield x[:, t] }', /TFM1205 `scan` has no parameter `axes`/],
    ['a whole number that becomes a sum', 'y, h = scan t < T carry h = 0 { h = sum(x[:, t]); yield h }', /TFM1603 carry `h` starts as i32\[\] and becomes f32\[\]/],
    ['an axis beyond the result', 'y = scan t < T, axis = 3 { yield x[:, t] }', /TFM1208 `axis` must be from -2 to 1/],
    ['`reverse` of a number', 'y = scan t < T, reverse = 1 { yield x[:, t] }', /TFM1208 `reverse` must be `true` or `false`/],
    ['`if` on t', 'y = scan t < T { if t == 0 { z = x } else { z = x + 1 }\nyield z }', /TFM1208 the condition of `if`/],
    ['two carries of one name', 'y, a, b = scan t < T carry h = x, h = x { yield h }', /TFM1208 the name of a carry/],
    ['an output in the body', 'y = scan t < T { output z = x[:, t]; yield z }', /TFM1218 `output` does not stand in a scan/],
    ['t in a path', 'y = scan t < T { param w: f32[3] = "w.{t}"; yield w }', /TFM1208 what stands in a string/],
    ['a scan in a comprehension', 'y = [for i < 3: scan t < T { yield x[:, t] }]', /TFM1208/],
  ] // prettier-ignore
  for (const [what, body, message] of cases) {
    test(what, () => expect(messagesOf(model(`${body}\noutput z = x`))[0]).toMatch(message))
  }
})
