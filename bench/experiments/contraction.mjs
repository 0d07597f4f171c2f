// Which form of a blocked matmul runs best in V8. Plain JavaScript, no imports: `node bench/experiments/contraction.mjs [rows]`.
// C[M,N] = A[M,K] B[N,K]. Variants take turns in slices of milliseconds; each one's fastest is printed. Results:
// docs/decisions/0004-typescript-register-tile.md.

const K = 768
const M = Number(process.argv[2] ?? 48)
const N = 192
const each = (n, f) => Array.from({ length: n }, (_, i) => f(i))
const load = (text) => import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)

/** R x C sums that read f32 arrays given as parameters: every access loads the array's place and length, and converts. */
const direct = (R, C) => `
export function run(x, w, y, M, N) {
  for (let i = 0; i < M; i += ${R}) for (let j = 0; j < N; j += ${C}) {
    let ${each(R, (r) => each(C, (c) => `s${r}_${c} = 0`).join(', ')).join(', ')}
    ${each(R, (r) => `const p${r} = (i + ${r}) * ${K}`).join('\n')}
    ${each(C, (c) => `const q${c} = (j + ${c}) * ${K}`).join('\n')}
    for (let k = 0; k < ${K}; k++) {
      ${each(R, (r) => `const a${r} = x[(p${r} + k) | 0]`).join('\n')}
      ${each(C, (c) => `const b${c} = w[(q${c} + k) | 0]`).join('\n')}
      ${each(R, (r) => each(C, (c) => `s${r}_${c} += a${r} * b${c}`).join('\n')).join('\n')}
    }
    ${each(R, (r) => each(C, (c) => `y[(i + ${r}) * N + j + ${c}] = s${r}_${c}`).join('\n')).join('\n')}
  }
}`

/** Columns (and R rows) in scratch of constant size; \`high\`: where addresses do not fit into an instruction. */
const scratch = (C, R = 1, { views = true, high = true, of = 'Float64Array', tiles = 16 } = {}) => `
const columnsBuffer = new ArrayBuffer(${high ? 1 << 24 : C * tiles * K * 8})
const columns = new Float64Array(columnsBuffer, 0, ${C * tiles * K})
${each(C, (c) => `const w${c} = new Float64Array(columnsBuffer, ${c * K * 8}, ${(tiles * C - C + 1) * K})`).join('\n')}
const rowBuffer = new ArrayBuffer(${high ? 1 << 22 : R * K * 8})
const row = new ${of}(rowBuffer, 0, ${R * K})
${each(R, (r) => `const x${r} = row.subarray(${r * K}, ${r * K + K})`).join('\n')}
const tile = new Float64Array(64)
function sums(at) {
  let ${each(R, (r) => each(C, (c) => `s${r}_${c} = 0`).join(', ')).join(', ')}
  for (let k = 0; k < ${K}; k++) {
    const i = (at + k) | 0
    ${each(R, (r) => `const a${r} = x${r}[k]`).join('\n')}
    ${each(C, (c) => `const b${c} = ${views ? `w${c}[i]` : `columns[(i + ${c * K}) | 0]`}`).join('\n')}
    ${each(R, (r) => each(C, (c) => `s${r}_${c} += b${c} * a${r}`).join('\n')).join('\n')}
  }
  ${each(R, (r) => each(C, (c) => `tile[${r * C + c}] = s${r}_${c}`).join('\n')).join('\n')}
}
export function run(x, w, y, M, N) {
  for (let j = 0; j < N; j += ${C * tiles}) {
    const end = Math.min(j + ${C * tiles}, N)
    columns.set(w.subarray(j * ${K}, end * ${K}))
    for (let i = 0; i < M; i += ${R}) {
      row.set(x.subarray(i * ${K}, (i + ${R}) * ${K}))
      for (let t = j; t < end; t += ${C}) {
        sums((t - j) * ${K})
        for (let r = 0; r < ${R}; r++)
          for (let c = 0, at = (i + r) * N + t, n = Math.min(${C}, end - t); c < n; c++) y[at + c] = tile[r * ${C} + c]
      }
    }
  }
}`

const shapes = [[4, 4], [3, 4], [3, 3], [3, 2], [2, 4], [6, 1]] // prettier-ignore
const variants = [
  ...shapes.map(([R, C]) => [`f32 arrays, ${R} x ${C}`, direct(R, C)]),
  ...[3, 4, 5, 6, 7].map((C) => [`scratch, 1 x ${C}`, scratch(C)]),
  ...[[2, 2], [2, 3], [2, 4], [4, 4]].map(([R, C]) => [`scratch, ${R} x ${C}`, scratch(C, R)]), // prettier-ignore
  ['scratch, 1 x 4, the row as f32', scratch(4, 1, { of: 'Float32Array' })],
  ['scratch, 1 x 4, 4 tiles held', scratch(4, 1, { tiles: 4 })],
  ['scratch, 1 x 4, low addresses', scratch(4, 1, { high: false })],
  ['scratch, 1 x 6, low addresses', scratch(6, 1, { high: false, tiles: 3 })],
  ['scratch, 1 x 4, without views', scratch(4, 1, { views: false })],
]
const noise = (n) => Float32Array.from({ length: n }, () => Math.random() - 0.5)
const [x, w, y] = [noise(M * K), noise(N * K), new Float32Array(M * N)]
const all = []
for (const [name, text] of variants) all.push({ name, best: Infinity, run: (await load(text)).run })
for (const v of all) for (let i = 0; i < 20; i++) v.run(x, w, y, M, N)
for (let round = 0; round < 100; round++)
  for (const v of all) {
    const from = performance.now()
    v.run(x, w, y, M, N)
    v.best = Math.min(v.best, performance.now() - from)
  }
console.log(`${M} x ${K} x ${N}, Node ${process.versions.node}`)
for (const v of all.sort((a, b) => a.best - b.best))
  console.log(`${((2 * M * K * N) / v.best / 1e6).toFixed(2).padStart(6)} GFLOP/s  ${v.name}`)
