import { describe, expect, test } from 'vitest'
import { naiveNest } from '../../src/kernel/build.ts'
import type { Expr } from '../../src/kernel/expr.ts'
import { bin, index, load as loadAt } from '../../src/kernel/expr.ts'
import type { NestKernel, Stmt } from '../../src/kernel/nest.ts'
import { printNest } from '../../src/kernel/print.ts'
import {
  cse,
  hoist,
  jam,
  mapTo,
  reorder,
  simplify,
  split,
  stageWorkgroup,
  threadRows,
} from '../../src/kernel/schedule/index.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import { requireValid, verify, webgpuLimits } from '../../src/kernel/verify.ts'
import { mapExprs, mapper, mapStmts, visitStmts } from '../../src/kernel/walk.ts'
import { con, of, sub } from '../../src/types/ix.ts'
import type { Ix } from '../../src/types/ix.ts'
import type { Example } from './kernels.ts'
import { attention, embedding, layernorm, matmul, permuted, softmax, T } from './kernels.ts'
import { expectSame } from './same.ts'
import { tile4x4 } from './recipes.ts'

const examples = {
  matmul: matmul(),
  layernorm: layernorm(),
  softmax: softmax(),
  attention: attention(),
  embedding: embedding(),
  permuted: permuted(),
}
const given: Expr[] = [bin('le', index(of(T)), index(con(64)))]

describe.each(Object.entries(examples))('%s', (_, { kernel }) => {
  const naive = naiveNest(kernel, { chunk: 4 })
  test('its naive nest is valid', () => expect(verify(naive, { given })).toEqual([]))
  test('so are simple rewrites', () => expect(verify(simplify(cse(hoist(naive))), { given })).toEqual([]))
})

/** A tile of 8 x 8 results per workgroup of 4 x 2 threads, each 4 x 2 of them; operands staged in workgroup memory. */
export function workgroupMatmul(example: Example): NestKernel {
  const s = structureOf(example.kernel)
  if (s.k !== 'contraction') throw new Error('not a contraction')
  const [m, n, k] = [s.m[0], s.n[0], s.sum[0]]
  const m1 = split(naiveNest(example.kernel), m, 8, 'clamp')
  const m2 = split(m1.nest, m1.inner, 4, 'exact')
  const n1 = split(m2.nest, n, 8, 'clamp')
  const n2 = split(n1.nest, n1.inner, 2, 'exact')
  // m0 mt mr n0 nt nr  ->  m0 n0 mt nt mr nr
  let nest = n2.nest
  for (const [outer, inner] of [[m2.inner, n1.outer], [m2.outer, n1.outer], [m2.inner, n2.outer]] as const) nest = reorder(nest, outer, inner) // prettier-ignore
  nest = jam(jam(nest, n2.inner), m2.inner)
  const k1 = split(nest, k, 4, 'guard')
  nest = mapTo(mapTo(k1.nest, m1.outer, 'grid.y'), n1.outer, 'grid.x')
  nest = mapTo(mapTo(nest, m2.outer, 'local.y'), n2.outer, 'local.x')
  return cse(simplify(stageWorkgroup(nest, k1.outer, [s.a.buf, s.b.buf])))
}

describe('a matmul in workgroup memory', () => {
  const example = matmul(T, 13, 7)
  const nest = workgroupMatmul(example)
  test('prints', () => expect(printNest(nest)).toMatchSnapshot())
  test('is valid', () => requireValid(nest, { limits: webgpuLimits }))
  test('keeps values at every size', () => {
    for (const k of [2, 3, 4, 7, 8]) {
      const e = matmul(T, 13, k)
      const [naive, made] = [naiveNest(e.kernel), workgroupMatmul(e)]
      for (let t = 1; t <= 17; t++) expectSame(naive, made, t, 0)
    }
    for (let t = 1; t <= 17; t++) expectSame(naiveNest(example.kernel), nest, t, 0, { threads: 'backward' })
  })
  const count = (f: (s: Stmt) => boolean): number => {
    let n = 0
    visitStmts(nest.body, (s) => void (n += f(s) ? 1 : 0))
    return n
  }
  /** The nest with the i-th statement of a kind replaced. */
  const mutant = (i: number, f: (s: Stmt) => boolean, to: (s: Stmt) => readonly Stmt[]): NestKernel => {
    let n = 0
    return { ...nest, body: mapStmts(nest.body, (s) => (f(s) && n++ === i ? to(s) : [s])) }
  }
  const barrier = (s: Stmt): boolean => s.k === 'barrier'
  test('each barrier is missed', () => {
    expect(count(barrier)).toBe(2)
    for (let i = 0; i < 2; i++) expect(verify(mutant(i, barrier, () => [])).map((x) => x.rule)).toContain('barrier')
  })
  test('each guard is missed', () => {
    const guard = (s: Stmt): boolean => s.k === 'if'
    expect(count(guard)).toBeGreaterThan(4)
    for (let i = 0; i < count(guard); i++) {
      const made = mutant(i, guard, (s) => (s.k === 'if' ? s.body : [s]))
      const stores = JSON.stringify(verify(made).map((x) => x.rule))
      // The guard of the k tail keeps out what is not there; without it values change.
      if (stores === '[]') expect(() => expectSame(naiveNest(example.kernel), made, 9, 0)).toThrow()
    }
  })
  test('each clamp is missed', () => {
    const unclamp = (x: Ix): Ix =>
      x.terms.length === 1 && x.terms[0].atoms[0]?.k === 'min' ? x.terms[0].atoms[0].a : x
    const bare = (x: Ix): Ix => {
      const y = unclamp(x)
      return y === x || y === sub(T, 1) ? (x.terms[0]?.atoms[0]?.k === 'min' ? x.terms[0].atoms[0].b : x) : y
    }
    const without = {
      ...nest,
      body: mapExprs(nest.body, { ...mapper({}), ix: (x) => x, expr: (e) => mapLoads(e, bare) }),
    }
    expect(verify(without).map((x) => x.rule)).toContain('range')
  })
  test('overlapping writes are found', () => {
    const store = (s: Stmt): boolean => s.k === 'store' && s.buf.space === 'global'
    const made = mutant(0, store, (s) =>
      s.k === 'store' ? [{ ...s, at: s.at.map((x, d) => (d === 0 ? con(0) : x)) }] : [s],
    )
    expect(verify(made).map((x) => x.rule)).toContain('disjoint')
  })
  test('limits', () => {
    expect(verify(nest, { limits: { threads: 4, workgroupBytes: 100, storageBuffers: 3 } }).map((x) => x.rule)).toEqual(
      ['limit', 'limit', 'limit'],
    )
  })
})

function mapLoads(e: Expr, ix: (x: Ix) => Ix): Expr {
  return mapper({ load: (b, at) => loadAt(b, at.map(ix)) }).expr(e)
}

describe('rows by threads of a workgroup', () => {
  const rows = { layernorm: layernorm(70), softmax: softmax() }
  test.each(Object.entries(rows))('%s', (name, { kernel }) => {
    const s = structureOf(kernel)
    if (s.k !== 'rows') throw new Error('not rows')
    const [row] = s.rows.outer
    const naive = naiveNest(kernel)
    const nest = threadRows(mapTo(naive, row, 'grid.x'), row, 8).nest
    expect(printNest(nest)).toMatchSnapshot()
    requireValid(nest, { limits: webgpuLimits })
    for (let t = 1; t <= 17; t++) {
      expectSame(naive, nest, t, 0)
      expectSame(naive, nest, t, 0, { threads: 'backward' })
    }
    let n = 0
    visitStmts(nest.body, (s) => void (n += s.k === 'barrier' ? 1 : 0))
    for (let i = 0; i < n; i++) {
      let seen = 0
      const made = { ...nest, body: mapStmts(nest.body, (s) => (s.k === 'barrier' && seen++ === i ? [] : [s])) }
      expect(
        verify(made).map((x) => x.rule),
        `${name} without barrier ${i}`,
      ).toContain('barrier')
    }
  })
})

test('register tiles are valid', () => {
  for (const n of [12, 13]) requireValid(tile4x4(matmul(T, n, 5)))
})
test('scopes', () => {
  const nest = naiveNest(matmul().kernel)
  const twice = { ...nest, body: [...nest.body, ...nest.body] }
  expect(verify(twice).map((x) => x.rule)).toContain('scope')
  const loose = { ...nest, body: mapStmts(nest.body, (s) => (s.k === 'var' ? [] : [s])) }
  expect(verify(loose).map((x) => x.message)).toContain('dot is assigned but is no variable here')
})
