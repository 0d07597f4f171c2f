/** Stage kernels written by hand, for the tests of this folder. */
import type { Buffer } from '../../src/kernel/buffer.ts'
import { newBuffer } from '../../src/kernel/buffer.ts'
import type { Expr, Fold, Scalar } from '../../src/kernel/expr.ts'
import { bin, cast, constant, dataIndex, index, load, select, un } from '../../src/kernel/expr.ts'
import type { KernelArg, Stage, StageKernel } from '../../src/kernel/stage.ts'
import { extentOf, loopSymbol } from '../../src/kernel/walk.ts'
import type { IxLike, Sym } from '../../src/types/ix.ts'
import { add, mod, mul, of, sub, sym } from '../../src/types/ix.ts'

export const T = sym('T', { lo: 1 })
export const P = sym('P', { lo: 0 })

export const f = (x: number): Expr => constant(x)
export const plus = (a: Expr, b: Expr): Expr => bin('add', a, b)
export const minus = (a: Expr, b: Expr): Expr => bin('sub', a, b)
export const times = (a: Expr, b: Expr): Expr => bin('mul', a, b)
export const over = (a: Expr, b: Expr): Expr => bin('div', a, b)
export const at = (b: Buffer, ...xs: IxLike[]): Expr => load(b, xs.map(of))

export const global = (name: string, shape: readonly IxLike[], type: Scalar = 'f32'): Buffer =>
  newBuffer(name, type, 'global', shape.map(of))
export const virtual = (name: string, domain: readonly Sym[], type: Scalar = 'f32'): Buffer =>
  newBuffer(name, type, 'virtual', domain.map(extentOf))

export const map = (out: Buffer, domain: readonly Sym[], e: Expr, more: Partial<Stage> = {}): Stage => ({
  name: out.name,
  out,
  domain,
  body: { k: 'map', e },
  ...more,
})
export const reduce = (
  out: Buffer,
  domain: readonly Sym[],
  fold: Fold,
  axes: readonly Sym[],
  e: Expr,
  where?: Expr,
  empty = 0,
): Stage => ({
  name: out.name,
  out,
  domain,
  body: { k: 'reduce', fold, axes, e, empty, ...(where ? { where } : {}) },
})

export function kernel(
  name: string,
  stages: readonly Stage[],
  reads: readonly Buffer[],
  writes: readonly Buffer[],
  params: readonly Sym[] = [T],
): StageKernel {
  const args: KernelArg[] = [
    ...reads.map((buffer): KernelArg => ({ buffer, access: 'read', role: 'activation' })),
    ...writes.map((buffer): KernelArg => ({ buffer, access: 'write', role: 'activation' })),
  ]
  return { name, doc: [], stages, args, params }
}

export interface Example {
  readonly kernel: StageKernel
  readonly symbols: Readonly<Record<string, Sym>>
}

/** relu(x @ w + b), and the sum before relu as a second result without its last column. */
export function matmul(M: IxLike = T, N: IxLike = 6, K: IxLike = 5): Example {
  const [x, w, b] = [global('x', [M, K]), global('w', [K, N]), global('b', [N])]
  const [y, z] = [global('y', [M, N]), global('z', [sub(N, 1), M])]
  const [m, n, k] = [loopSymbol('m', of(M)), loopSymbol('n', of(N)), loopSymbol('k', of(K))]
  const dot = virtual('dot', [m, n])
  const sum = plus(at(dot, m, n), at(b, n))
  const stages = [
    reduce(dot, [m, n], 'add', [k], times(at(x, m, k), at(w, k, n))),
    map(y, [m, n], bin('max', sum, f(0))),
    map(z, [m, n], sum, { at: [of(n), of(m)], guard: bin('lt', index(of(n)), index(sub(N, 1))) }),
  ]
  return { kernel: kernel('matmul', stages, [x, w, b], [y, z]), symbols: { m, n, k } }
}

/** s = a + h, y = layernorm(s): two results, statistics between them. */
export function layernorm(D = 7): Example {
  const [a, h, g, b] = [global('a', [T, D]), global('h', [T, D]), global('g', [D]), global('b', [D])]
  const [s, y] = [global('s', [T, D]), global('y', [T, D])]
  const [r, c] = [loopSymbol('r', of(T)), loopSymbol('c', D)]
  const axes = (): Sym => loopSymbol('c', D)
  const [r1, r2, r3] = [loopSymbol('r', of(T)), loopSymbol('r', of(T)), loopSymbol('r', of(T))]
  const [c1, c2] = [axes(), axes()]
  const [total, mean, spread] = [virtual('total', [r1]), virtual('mean', [r2]), virtual('spread', [r3])]
  const centred = (r: Sym, c: Sym): Expr => minus(at(s, r, c), at(mean, r))
  const stages = [
    map(s, [r, c], plus(at(a, r, c), at(h, r, c))),
    reduce(total, [r1], 'add', [c1], at(s, r1, c1)),
    map(mean, [r2], over(at(total, r2), f(D))),
    reduce(spread, [r3], 'add', [c2], times(centred(r3, c2), centred(r3, c2))),
    map(
      y,
      [r, c],
      plus(times(over(centred(r, c), un('sqrt', plus(over(at(spread, r), f(D)), f(1e-5)))), at(g, c)), at(b, c)),
    ),
  ]
  return { kernel: kernel('layernorm', stages, [a, h, g, b], [s, y]), symbols: { r, c } }
}

/** s = a + h, y = layernorm(s), z = relu(y @ w + b): a norm that the contraction makes itself, and its sum as a second result. */
export function normed(D = 7, N = 6): Example {
  const [a, h, g, w, b] = [global('a', [T, D]), global('h', [T, D]), global('g', [D]), global('w', [D, N]), global('b', [N])] // prettier-ignore
  const [stored, z] = [global('stored', [T, D]), global('z', [T, N])]
  const [r, m, n, k, c, c1, c2, c3] = [loopSymbol('r', of(T)), loopSymbol('m', of(T)), loopSymbol('n', of(N)), loopSymbol('k', of(D)), ...[0, 1, 2, 3].map(() => loopSymbol('c', D))] // prettier-ignore
  const [r1, r2, r3] = [loopSymbol('r', of(T)), loopSymbol('r', of(T)), loopSymbol('r', of(T))]
  const [s, total, mean, spread] = [virtual('s', [r, c]), virtual('total', [r1]), virtual('mean', [r2]), virtual('spread', [r3])] // prettier-ignore
  const [y, dot] = [virtual('y', [r, c]), virtual('dot', [m, n])]
  const centred = (r: Sym, c: Sym): Expr => minus(at(s, r, c), at(mean, r))
  const scale = un('sqrt', plus(over(at(spread, r), f(D)), f(1e-5)))
  const stages = [
    map(s, [r, c], plus(at(a, r, c), at(h, r, c))),
    reduce(total, [r1], 'add', [c1], at(s, r1, c1)),
    map(mean, [r2], over(at(total, r2), f(D))),
    reduce(spread, [r3], 'add', [c2], times(centred(r3, c2), centred(r3, c2))),
    map(y, [r, c], times(over(centred(r, c), scale), at(g, c))),
    reduce(dot, [m, n], 'add', [k], times(at(y, m, k), at(w, k, n))),
    map(stored, [r, c3], at(s, r, c3)),
    map(z, [m, n], bin('max', plus(at(dot, m, n), at(b, n)), f(0))),
  ]
  return { kernel: kernel('normed', stages, [a, h, g, w, b], [stored, z]), symbols: { m, n, k } }
}

/** Softmax of rows of D elements, and their largest one as a second result. */
export function rowSoftmax(D: number): Example {
  const [x, y, top] = [global('x', [T, D]), global('y', [T, D]), global('top', [T])]
  const [i, i1, i2] = [0, 1, 2].map(() => loopSymbol('i', of(T)))
  const [j, j1, j2] = [0, 1, 2].map(() => loopSymbol('j', D))
  const total = virtual('total', [i2])
  const p = (i: Sym, j: Sym): Expr => un('exp', minus(at(x, i, j), at(top, i)))
  const stages = [
    reduce(top, [i1], 'max', [j1], at(x, i1, j1)),
    reduce(total, [i2], 'add', [j2], p(i2, j2)),
    map(y, [i, j], over(p(i, j), at(total, i))),
  ]
  return { kernel: kernel('rowSoftmax', stages, [x], [top, y]), symbols: { i, j } }
}

/** Row softmax of x[T, T] under a causal mask. */
export function softmax(): Example {
  const [x, y] = [global('x', [T, T]), global('y', [T, T])]
  const [i, j, j1, j2] = [
    loopSymbol('i', of(T)),
    loopSymbol('j', of(T)),
    loopSymbol('j', of(T)),
    loopSymbol('j', of(T)),
  ]
  const [top, total] = [virtual('top', [i]), virtual('total', [i])]
  const p = (j: Sym): Expr => un('exp', minus(at(x, i, j), at(top, i)))
  const seen = (j: Sym): Expr => bin('le', index(of(j)), index(of(i)))
  const stages = [
    reduce(top, [i], 'max', [j1], at(x, i, j1), seen(j1), -3e38),
    reduce(total, [i], 'add', [j2], p(j2), seen(j2)),
    map(y, [i, j], select(seen(j), over(p(j), at(total, i)), f(0))),
  ]
  return { kernel: kernel('softmax', stages, [x], [y]), symbols: { i, j } }
}

/** Causal attention of T queries after P past keys, stored as [T, H, E]. */
export function attention(H = 2, E = 3): Example {
  const S = add(P, T)
  const [q, k, v] = [global('q', [H, T, E]), global('k', [H, S, E]), global('v', [H, S, E])]
  const out = global('out', [T, H, E])
  const [h, i, e, j] = [loopSymbol('h', H), loopSymbol('i', of(T)), loopSymbol('e', E), loopSymbol('j', S)]
  const inner = loopSymbol('e', E)
  const part = (name: string, domain: readonly Sym[]): Buffer => virtual(name, domain)
  const [s, m1, p, l1, o1] = [part('s', [j]), part('mj', []), part('p', [j]), part('lj', []), part('oj', [e])]
  const [m, l, o] = [part('m', []), part('l', []), part('o', [e])]
  const chunk = [
    reduce(s, [j], 'add', [inner], times(times(f(0.5), at(q, h, i, inner)), at(k, h, j, inner))),
    reduce(m1, [], 'max', [j], at(s, j), undefined, -3e38),
    map(p, [j], un('exp', minus(at(s, j), at(m1)))),
    reduce(l1, [], 'add', [j], at(p, j)),
    reduce(o1, [e], 'add', [j], times(at(p, j), at(v, h, j, e))),
  ]
  const top = bin('max', at(m), at(m1))
  const [old, fresh] = [un('exp', minus(at(m), top)), un('exp', minus(at(m1), top))]
  const joined = (a: Expr, b: Expr): Expr => plus(times(a, old), times(b, fresh))
  const stage: Stage = {
    name: 'attention',
    out,
    domain: [h, i, e],
    at: [of(i), of(h), of(e)],
    body: {
      k: 'carried',
      axis: j,
      where: bin('le', index(of(j)), index(add(i, P))),
      columns: [e],
      chunk,
      carries: [
        { running: m, axes: [], init: -3e38, chunk: m1, merge: top },
        { running: l, axes: [], init: 0, chunk: l1, merge: joined(at(l), at(l1)) },
        { running: o, axes: [e], init: 0, chunk: o1, merge: joined(at(o, e), at(o1, e)) },
      ],
      finish: over(at(o, e), at(l)),
    },
  }
  return { kernel: kernel('attention', [stage], [q, k, v], [out], [T, P]), symbols: { h, i, e, j } }
}

/** table[ids[t], c] + positions[t, c], and the largest column per row. */
export function embedding(V = 9, D = 4): Example {
  const [ids, table, positions] = [global('ids', [T], 'i32'), global('table', [V, D]), global('positions', [64, D])]
  const [y, best] = [global('y', [T, D]), global('best', [T], 'i32')]
  const [t, c, c1] = [loopSymbol('t', of(T)), loopSymbol('c', D), loopSymbol('c', D)]
  const row = dataIndex(at(ids, t), 0, V - 1)
  const e = (c: Sym): Expr => plus(at(table, row, c), at(positions, t, c))
  const stages = [map(y, [t, c], e(c)), reduce(best, [t], 'argmax', [c1], e(c1))]
  return { kernel: kernel('embedding', stages, [ids, table, positions], [y, best]), symbols: { t, c } }
}

/** Permuted loads, a reshaped store and a guard. */
export function permuted(): Example {
  const [x, y] = [global('x', [3, T]), global('y', [mul(T, 3)])]
  const evens = global('evens', [T, 2])
  const [t, c] = [loopSymbol('t', of(T)), loopSymbol('c', 3)]
  const value = plus(times(at(x, c, t), f(2)), cast('f32', index(add(t, c))))
  const stages = [
    map(y, [t, c], value, { at: [add(mul(t, 3), c)] }),
    map(evens, [t, c], un('neg', value), { at: [of(t), mod(c, 2)], guard: bin('lt', index(of(c)), index(of(2))) }),
  ]
  return { kernel: kernel('permuted', stages, [x], [y, evens]), symbols: { t, c } }
}
