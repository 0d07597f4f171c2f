import { describe, expect, test } from 'vitest'
import { naiveNest } from '../../src/kernel/build.ts'
import { newBuffer } from '../../src/kernel/buffer.ts'
import type { Expr } from '../../src/kernel/expr.ts'
import { across, bin, index, lane, load, local, newLocal, select, splat, un, vec } from '../../src/kernel/expr.ts'
import { expandLanes } from '../../src/kernel/lanes.ts'
import type { LoopKind, NestKernel, Stmt } from '../../src/kernel/nest.ts'
import { printNest } from '../../src/kernel/print.ts'
import {
  cse,
  foldLanes,
  hoist,
  IllegalSchedule,
  lanes,
  mapTo,
  scalarise,
  simplify,
  split,
} from '../../src/kernel/schedule/index.ts'
import { verify } from '../../src/kernel/verify.ts'
import { loopsOf, loopSymbol } from '../../src/kernel/walk.ts'
import type { Sym } from '../../src/types/ix.ts'
import { add, con, floorDiv, mod, mul, of } from '../../src/types/ix.ts'
import {
  at,
  attention,
  embedding,
  f,
  global,
  kernel,
  layernorm,
  map,
  matmul,
  permuted,
  plus,
  reduce,
  softmax,
  T,
  times,
} from './kernels.ts'
import { expectSame } from './same.ts'

const tidy = (n: NestKernel): NestKernel => hoist(cse(simplify(n)))
const messages = (n: NestKernel): string[] => verify(n).map((i) => `${i.rule}: ${i.message}`)

describe.each(
  Object.entries({
    matmul: matmul(T, 9, 13),
    layernorm: layernorm(21),
    softmax: softmax(),
    attention: attention(2, 8),
    embedding: embedding(9, 7),
    permuted: permuted(),
  }),
)('%s', (_, { kernel }) => {
  const naive = naiveNest(kernel, { chunk: 8 })
  test('each loop that may be taken in strips keeps values', () => {
    const valid = verify(naive).length === 0
    let done = 0
    for (const l of loopsOf(naive.body)) {
      for (const chains of [1, 2, 4]) {
        let made: NestKernel
        try {
          made = foldLanes(naive, l.v, { lanes: 4, chains })
        } catch (e) {
          if (!(e instanceof IllegalSchedule)) throw e
          continue
        }
        done++
        if (valid) expect(verify(made), printNest(made)).toEqual([])
        const sizes = chains === 4 ? [1, 3, 16, 17, 33] : [1, 2, 4, 5, 7, 9]
        for (const n of [made, scalarise(tidy(made))]) for (const t of sizes) expectSame(naive, n, t, t % 4, {}, 1e-10)
      }
    }
    expect(done).toBeGreaterThan(0)
  })
})

/** One loop over `v` with a body, and what it stores. */
const nestOf = (
  v: Sym,
  hi: Parameters<typeof of>[0],
  body: readonly Stmt[],
  reads: Parameters<typeof kernel>[2],
  writes: Parameters<typeof kernel>[3],
  kind: LoopKind = 'serial',
): NestKernel => {
  const { stages: _, ...rest } = kernel('test', [], reads, writes)
  return { ...rest, body: [{ k: 'for', v, lo: con(0), hi: of(hi), step: 1, kind, body }] }
}
test('what lies side by side is one access, what is one element a scalar, all else four', () => {
  const [x, g, y] = [global('x', [8, 8]), global('g', [8]), global('y', [8, 8])]
  const [r, c] = [loopSymbol('r', 8), loopSymbol('c', 8)]
  const e = plus(times(at(x, r, c), at(x, c, r)), times(at(g, c), at(g, r)))
  const stages = [map(y, [r, c], e)]
  const parts = split(naiveNest(kernel('test', stages, [x, g], [y], [])), c, 4, 'exact')
  expect(printNest(lanes(parts.nest, parts.inner))).toMatchSnapshot()
  const rows = split(naiveNest(kernel('test', stages, [x, g], [y], [])), r, 4, 'exact')
  expect(printNest(lanes(rows.nest, rows.inner))).toMatchSnapshot()
})

test('a sum goes on in four vectors, and has no tail where the extent has none', () => {
  const [x, y] = [global('x', [T, 64]), global('y', [T])]
  const [r, c] = [loopSymbol('r', of(T)), loopSymbol('c', 64)]
  const nest = naiveNest(kernel('test', [reduce(y, [r], 'add', [c], times(at(x, r, c), at(x, r, c)))], [x], [y]))
  expect(printNest(foldLanes(nest, c, { lanes: 4, chains: 4 }))).toMatchSnapshot()
})

test('conditions: of aligned blocks they are one, others are masks', () => {
  const [x, y] = [global('x', [mul(T, 4)]), global('y', [mul(T, 4)])]
  const c = loopSymbol('c', mul(T, 4))
  const store = (e: Expr): Stmt => ({ k: 'store', buf: y, at: [of(c)], e })
  const under = (cond: Expr): NestKernel =>
    nestOf(c, mul(T, 4), [{ k: 'if', c: cond, body: [store(at(x, c))] }], [x], [y])
  const less = (n: Parameters<typeof of>[0]): Expr => bin('lt', index(of(c)), index(of(n)))
  for (const cond of [
    less(mul(T, 2)),
    less(8),
    less(add(T, 1)),
    bin('gt', at(x, c), f(0)),
    bin('or', less(3), less(T)),
  ]) {
    const made = foldLanes(under(cond), c, { lanes: 4, chains: 1 })
    expect(messages(made)).toEqual([])
    for (let t = 1; t <= 9; t++) expectSame(under(cond), made, t, 0)
  }
  expect(printNest(foldLanes(under(less(8)), c, { lanes: 4, chains: 1 }))).toContain('y[c:4] = x[c:4]')
  expect(printNest(foldLanes(under(less(add(T, 1))), c, { lanes: 4, chains: 1 }))).toContain('if mask.3')
  // What the condition keeps in range is not loaded by lanes where it fails.
  const shifted = load(x, [add(of(c), 1)])
  const inside = less(add(mul(T, 4), -1))
  const guarded = nestOf(c, mul(T, 4), [{ k: 'if', c: inside, body: [store(shifted)] }], [x], [y])
  expect(() => foldLanes(guarded, c, { lanes: 4, chains: 1 })).toThrow('keeps x in range')
  const chosen = nestOf(c, mul(T, 4), [store(select(inside, shifted, f(0)))], [x], [y])
  for (let t = 1; t <= 5; t++) expectSame(chosen, foldLanes(chosen, c, { lanes: 4, chains: 2 }), t, 0)
})

test('reasons for refusing', () => {
  const [x, y] = [global('x', [64]), global('y', [64])]
  const c = loopSymbol('c', 63)
  const store = (i: Parameters<typeof of>[0], e: Expr): Stmt => ({ k: 'store', buf: y, at: [of(i)], e })
  const strip = (body: readonly Stmt[]) => () => foldLanes(nestOf(c, 63, body, [x], [y]), c, { lanes: 4, chains: 1 })
  expect(strip([store(add(of(c), 1), at(y, c))])).toThrow('same element of y')
  expect(strip([store(floorDiv(of(c), 2), at(x, c)), store(c, at(x, c))])).toThrow('same element of y')
  expect(strip([store(c, plus(at(y, c), f(1)))])).not.toThrow()
  const k = loopSymbol('k', 2)
  const inner: Stmt = { k: 'for', v: k, lo: con(0), hi: con(2), step: 1, kind: 'serial', body: [store(add(of(c), k), at(x, c))] } // prettier-ignore
  expect(strip([inner])).toThrow('same element of y')
  const v = newLocal('v', 'f32')
  expect(strip([{ k: 'assign', v, e: times(plus(local(v), at(x, c)), f(2)) }])).toThrow('one associative function')
  const triangle: Stmt = { ...inner, hi: add(of(c), 1), body: [store(c, at(x, k))] }
  expect(strip([triangle])).toThrow('differ between the lanes')
  expect(() => foldLanes(nestOf(loopSymbol('d', 3), 3, [], [x], [y]), c, { lanes: 4, chains: 1 })).toThrow()
})

test('private storage and locals of an iteration are vectors', () => {
  const [x, y] = [global('x', [T, 8]), global('y', [T])]
  const r = loopSymbol('r', of(T))
  const own = newBuffer('own', 'f32', 'private', [con(8)])
  const [k, j] = [loopSymbol('k', 8), loopSymbol('j', 8)]
  const sum = newLocal('sum', 'f32')
  const over = (v: Sym, body: readonly Stmt[]): Stmt => ({ k: 'for', v, lo: con(0), hi: con(8), step: 1, kind: 'serial', body }) // prettier-ignore
  const body: readonly Stmt[] = [
    { k: 'alloc', buf: own },
    over(k, [{ k: 'store', buf: own, at: [of(k)], e: un('exp', at(x, r, k)) }]),
    { k: 'var', v: sum, e: f(0) },
    over(j, [{ k: 'assign', v: sum, e: plus(local(sum), times(at(own, j), at(x, r, j))) }]),
    { k: 'store', buf: y, at: [of(r)], e: local(sum) },
  ]
  const nest = nestOf(r, T, body, [x], [y])
  const made = foldLanes(nest, r, { lanes: 4, chains: 1 })
  expect(printNest(made)).toMatchSnapshot()
  for (let t = 1; t <= 9; t++) expectSame(nest, made, t, 0, {}, 1e-10)
})

test('vectors taken apart', () => {
  const [x, y] = [global('x', [T, 8]), global('y', [T, 8])]
  const r = loopSymbol('r', of(T))
  const v = newLocal('v', 'f32', 4)
  const four = load(x, [of(r), con(4)], { lanes: 4, axis: 1 })
  const nest = nestOf(
    r,
    T,
    [
      { k: 'var', v, e: four },
      // Each lane reads lanes that are assigned with it.
      { k: 'assign', v, e: vec([lane(local(v), 3), lane(local(v), 0), across('max', local(v)), across('add', four)]) },
      { k: 'store', buf: y, at: [of(r), con(2)], e: bin('mul', local(v), splat(f(2), 4)), axis: 1 },
    ],
    [x],
    [y],
  )
  expect(messages(nest)).toEqual([])
  expect(printNest(expandLanes(nest))).toMatchSnapshot()
  const far = load(x, [of(r), con(5)], { lanes: 4, axis: 1 })
  const tall = load(x, [of(r), con(5)], { lanes: 4, axis: 0 })
  const store = (e: Expr): Stmt => ({ k: 'store', buf: y, at: [of(r), con(0)], e, axis: 1 })
  expect(messages(nestOf(r, T, [store(far)], [x], [y]))).toEqual([expect.stringContaining('x[r, 8] may leave axis 1')])
  expect(messages(nestOf(r, T, [store(tall)], [x], [y]))).toContainEqual(
    'lanes: x[r:4, 5] are not known to be neighbours in storage',
  )
})

describe('loops shared out among threads', () => {
  const [x, y] = [global('x', [T, 8]), global('y', [T, 8])]
  const [r, c] = [loopSymbol('r', of(T)), loopSymbol('c', 8)]
  const nestWith = (stores: readonly Stmt[]): NestKernel => {
    const inner: Stmt = { k: 'for', v: c, lo: con(0), hi: con(8), step: 1, kind: 'serial', body: stores }
    return nestOf(r, T, [inner], [x], [y], 'thread')
  }
  const store = (at0: Parameters<typeof of>[0], e: Expr): Stmt => ({ k: 'store', buf: y, at: [of(at0), of(c)], e })
  test('write their own elements', () => {
    expect(messages(nestWith([store(r, at(x, r, c))]))).toEqual([])
    expect(messages(nestWith([store(0, at(x, r, c))]))).toEqual([expect.stringContaining('different iterations of r')])
    expect(messages(nestWith([store(floorDiv(of(r), 2), at(x, r, c))]))).not.toEqual([])
  })
  test('read nothing that others write', () => {
    expect(messages(nestWith([store(r, plus(at(y, r, c), f(1)))]))).toEqual([])
    expect(messages(nestWith([store(r, plus(at(y, 0, c), f(1)))]))).toEqual([expect.stringContaining('may read what')])
    expect(messages(nestWith([store(r, at(y, mod(of(r), 2), c))]))).toEqual([expect.stringContaining('may read what')])
  })
  test('do not nest, and hold every store', () => {
    const nest = naiveNest(layernorm().kernel)
    const [outer] = nest.body
    if (outer.k !== 'for') throw new Error('no loop')
    const shared = mapTo(nest, outer.v, 'thread')
    expect(messages(shared)).toEqual([])
    for (let t = 1; t <= 9; t++) expectSame(nest, shared, t, 0, { threads: 'backward' })
    const last = loopsOf(nest.body).at(-1)!
    expect(messages(mapTo(nest, last.v, 'thread'))).toContainEqual(expect.stringContaining('every thread stores s'))
    expect(messages(mapTo(shared, last.v, 'thread.each'))).toContainEqual(expect.stringContaining('inside of r'))
  })
  test('an iteration that needs the one before', () => {
    const nest = nestOf(r, T, [{ k: 'if', c: bin('gt', index(of(r)), index(con(0))), body: [{ k: 'store', buf: y, at: [of(r), con(0)], e: load(y, [add(r, -1), con(0)]) }] }, { k: 'store', buf: y, at: [of(r), con(1)], e: f(1) }], [x], [y], 'thread') // prettier-ignore
    expect(messages(nest)).toContainEqual(expect.stringContaining('may read what another iteration'))
  })
})
