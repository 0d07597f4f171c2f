// Which shape of a register-blocked matmul runs best in V8. Plain JavaScript, no imports: `node bench/experiments/contraction.mjs`.
// C[M,N] = A[M,K] B. Variants take turns; each one's fastest round is printed. Results: docs/decisions/typescript-contraction.md.

/** Generates a body of R rows by C columns. `packed`: B at (n/C, k, n%C); otherwise rows of B[N,K]. `unroll` steps of k per iteration. */
function variant(name, { R, C, packed, unroll = 1, order = 'ij', index = 'inc', fround = false, weight = true }) {
  const L = []
  const each = (n, f) => Array.from({ length: n }, (_, i) => f(i))
  L.push(`  const panels = N / ${C}`)
  const outer =
    order === 'ij'
      ? [`for (let i = 0; i < M; i += ${R}) {`, `for (let p = 0; p < panels; p++) {`]
      : [`for (let p = 0; p < panels; p++) {`, `for (let i = 0; i < M; i += ${R}) {`]
  L.push(...outer)
  L.push(
    each(R, (r) =>
      each(C, (c) => `let s${r}${c} = 0`)
        .join(', ')
        .replaceAll(', let', ','),
    ).join('\n'),
  )
  L.push(...each(R, (r) => `const a${r} = (i + ${r}) * K`))
  if (packed) L.push(`const b = p * K * ${C}`)
  else L.push(...each(C, (c) => `const b${c} = (p * ${C} + ${c}) * K`))
  const body = (k, u) => {
    const o = []
    for (let r = 0; r < R; r++) o.push(`const x${r} = A[${k(`a${r}`, u)}]`)
    for (let c = 0; c < C; c++) o.push(`const y${c} = B[${packed ? kb(c, u) : k(`b${c}`, u)}]`)
    for (let r = 0; r < R; r++)
      for (let c = 0; c < C; c++)
        o.push(
          fround ? `s${r}${c} = Math.fround(s${r}${c} + Math.fround(x${r} * y${c}))` : `s${r}${c} += x${r} * y${c}`,
        )
    return `{ ${o.join('; ')} }`
  }
  let kb
  if (index === 'inc') {
    L.push(packed ? `let q = b` : '')
    kb = (c, u) => `q${plus(c + u * C)}`
    L.push(`for (let k = 0; k < K; k += ${unroll}) {`)
    for (let u = 0; u < unroll; u++) L.push(body((base, u) => `${base} + k${plus(u)}`, u))
    if (packed) L.push(`q += ${C * unroll}`)
    L.push('}')
  } else if (index === 'mul') {
    kb = (c, u) => `b + k * ${C}${plus(c + u * C)}`
    L.push(`for (let k = 0; k < K; k += ${unroll}) {`)
    for (let u = 0; u < unroll; u++) L.push(body((base, u) => `${base} + k${plus(u)}`, u))
    L.push('}')
  } else if (index === 'ptr') {
    // every pointer is incremented
    L.push(...each(R, (r) => `let p${r} = a${r}`))
    L.push(...(packed ? ['let q = b'] : each(C, (c) => `let q${c} = b${c}`)))
    kb = (c, u) => `q${plus(c + u * C)}`
    L.push(`for (let k = 0; k < K; k += ${unroll}) {`)
    for (let u = 0; u < unroll; u++)
      L.push(body((base, u) => `${base.startsWith('a') ? 'p' + base.slice(1) : 'q' + base.slice(1)}${plus(u)}`, u))
    L.push(each(R, (r) => `p${r} += ${unroll}`).join('; '))
    L.push(packed ? `q += ${C * unroll}` : each(C, (c) => `q${c} += ${unroll}`).join('; '))
    L.push('}')
  } else if (index === 'end') {
    // the index of the first row is the loop variable
    L.push(packed ? `let q = b` : '')
    L.push(`const end = a0 + K`)
    kb = (c, u) => `q${plus(c + u * C)}`
    L.push(`for (let k = a0; k < end; k += ${unroll}) {`)
    for (let u = 0; u < unroll; u++)
      L.push(
        body(
          (base, u) =>
            `k${base.startsWith('a') && base !== 'a0' ? ` + K${base === 'a1' ? '' : ' * ' + base.slice(1)}` : ''}${plus(u)}`,
          u,
        ),
      )
    if (packed) L.push(`q += ${C * unroll}`)
    L.push('}')
  }
  for (let r = 0; r < R; r++) for (let c = 0; c < C; c++) L.push(`Y[(i + ${r}) * N + p * ${C} + ${c}] = s${r}${c}`)
  L.push('}}')
  return {
    name,
    R,
    C,
    packed,
    run: new Function('A', 'B', 'Y', 'M', 'K', 'N', L.join('\n').replaceAll('let s', 'let s')),
  }
}
const plus = (n) => (n === 0 ? '' : ` + ${n}`)

const M = Number(process.argv[2] ?? 64)
const K = 768
const N = 3072
const sets = {
  gemm: [
    variant('4x4 packed inc', { R: 4, C: 4, packed: true }),
    variant('4x4 packed inc panel-outer', { R: 4, C: 4, packed: true, order: 'ji' }),
    variant('4x4 packed mul', { R: 4, C: 4, packed: true, index: 'mul' }),
    variant('4x4 packed ptr', { R: 4, C: 4, packed: true, index: 'ptr' }),
    variant('4x4 packed end', { R: 4, C: 4, packed: true, index: 'end' }),
    variant('4x4 packed inc u2', { R: 4, C: 4, packed: true, unroll: 2 }),
    variant('4x4 packed mul panel-outer', { R: 4, C: 4, packed: true, index: 'mul', order: 'ji' }),
    variant('4x4 rows inc', { R: 4, C: 4, packed: false }),
    variant('4x4 rows inc panel-outer', { R: 4, C: 4, packed: false, order: 'ji' }),
    variant('4x4 rows ptr', { R: 4, C: 4, packed: false, index: 'ptr' }),
    variant('4x4 rows inc u2', { R: 4, C: 4, packed: false, unroll: 2 }),
    variant('2x4 packed inc', { R: 2, C: 4, packed: true }),
    variant('2x6 packed inc', { R: 2, C: 6, packed: true }),
    variant('3x4 packed inc', { R: 3, C: 4, packed: true }),
    variant('4x3 packed inc panel-outer', { R: 4, C: 3, packed: true, order: 'ji' }),
    variant('2x8 packed inc', { R: 2, C: 8, packed: true }),
    variant('1x8 packed inc', { R: 1, C: 8, packed: true }),
    variant('4x4 packed fround', { R: 4, C: 4, packed: true, fround: true }),
  ],
  gemv: [
    variant('1x1 rows', { R: 1, C: 1, packed: false }),
    variant('1x4 packed inc', { R: 1, C: 4, packed: true }),
    variant('1x4 packed mul', { R: 1, C: 4, packed: true, index: 'mul' }),
    variant('1x4 packed u2', { R: 1, C: 4, packed: true, unroll: 2 }),
    variant('1x4 packed u4', { R: 1, C: 4, packed: true, unroll: 4 }),
    variant('1x8 packed', { R: 1, C: 8, packed: true }),
    variant('1x8 packed u2', { R: 1, C: 8, packed: true, unroll: 2 }),
    variant('1x4 rows', { R: 1, C: 4, packed: false }),
    variant('1x4 rows u2', { R: 1, C: 4, packed: false, unroll: 2 }),
    variant('1x8 rows', { R: 1, C: 8, packed: false }),
  ],
}
function bench(title, list, M, rounds) {
  const A = Float32Array.from({ length: M * K }, () => Math.random() - 0.5)
  const W = Float32Array.from({ length: K * N }, () => Math.random() - 0.5)
  const packs = new Map()
  const pack = (v) => {
    const key = v.packed ? v.C : 0
    if (!packs.has(key)) {
      const out = new Float32Array(K * N)
      for (let n = 0; n < N; n++)
        for (let k = 0; k < K; k++)
          out[key ? (Math.floor(n / key) * K + k) * key + (n % key) : n * K + k] = W[k * N + n]
      packs.set(key, out)
    }
    return packs.get(key)
  }
  const Y = new Float32Array(M * N)
  const best = new Map(list.map((v) => [v, Infinity]))
  for (let round = 0; round < rounds; round++)
    for (const v of list) {
      const t = performance.now()
      v.run(A, pack(v), Y, M, K, N)
      best.set(v, Math.min(best.get(v), performance.now() - t))
    }
  console.log(`${title} ${M}x${K}x${N}`)
  for (const [v, ms] of best)
    console.log(
      `  ${v.name.padEnd(30)} ${ms.toFixed(2).padStart(8)} ms  ${((2 * M * N * K) / ms / 1e6).toFixed(2)} GFLOP/s`,
    )
}
bench(
  'matmul',
  sets.gemm.filter((v) => M % v.R === 0 && N % v.C === 0),
  M,
  20,
)
bench('matvec', sets.gemv, 1, 100)
