// Which register tile and which form of its loop V8 compiles best, on right operands packed in panels of 16 columns.
// `node [--experimental-wasm-revectorize] bench/experiments/wasm-tiles.mjs [tiles|peak|matvec]`. Variants take turns; each one's fastest round counts.
// Results: docs/decisions/0011-wasm-tiles.md.
import v8 from 'node:v8'
if (process.versions.node.startsWith('20.')) v8.setFlagsFromString('--experimental-wasm-relaxed-simd')
const { default: binaryen } = await import('binaryen')

const F = binaryen.Features
const range = (n) => Array.from({ length: n }, (_, i) => i)
const MEMORY = 4000

export function assemble(funcs) {
  const m = binaryen.parseText(`(module (import "e" "m" (memory ${MEMORY} 65536)) ${funcs.join('\n')})`)
  m.setFeatures(F.SIMD128 | F.RelaxedSIMD | F.MutableGlobals)
  return m.emitBinary()
}
const mad = (fused, acc, a, b) =>
  fused ? `(f32x4.relaxed_madd ${a} ${b} ${acc})` : `(f32x4.add ${acc} (f32x4.mul ${a} ${b}))`

/**
 * C[M,N] = A[M,K] B. A tile of R rows by V vectors of a panel.
 * order: 'b' loads all of B first, then rows; 'r' loads one row's scalar, then multiplies with B named; 'v' goes vector by vector.
 * loop: 'ptr' steps two pointers, ends on one; 'down' counts k down; 'index' adds k to bases.
 */
export function tile(
  name,
  {
    R,
    V,
    fused = false,
    unroll = 1,
    order = 'b',
    loop = 'ptr',
    splat = 'load',
    rows = 'imm',
    split = 0,
    cutK = false,
    M,
    K,
    N,
  },
) {
  const L = []
  const at = (ptr, off) => `offset=${off} ${ptr}`
  const aPtr = (r) => (rows === 'imm' ? '(local.get $pa)' : `(local.get $pa${r})`)
  const aOff = (r, u) => (rows === 'imm' ? r * K * 4 : 0) + u * 4
  const loadA = (r, u) =>
    splat === 'load'
      ? `(v128.load32_splat ${at(aPtr(r), aOff(r, u))})`
      : `(f32x4.splat (f32.load ${at(aPtr(r), aOff(r, u))}))`
  const loadB = (v, u) => `(v128.load ${at('(local.get $pb)', u * 64 + v * 16)})`
  const acc = (r, v) => `$c${r}_${v}`
  const step = (u) => {
    const o = []
    const cut = (i, n) =>
      split && (i + 1) % split === 0 && i + 1 < n ? `(br_if $done (i32.eq (local.get $end) (i32.const ${u})))` : ''
    if (order === 'b') {
      for (const v of range(V)) o.push(`(local.set $b${v} ${loadB(v, u)})`)
      for (const r of range(R)) {
        o.push(`(local.set $a ${loadA(r, u)})`)
        for (const v of range(V))
          o.push(
            `(local.set ${acc(r, v)} ${mad(fused, `(local.get ${acc(r, v)})`, '(local.get $a)', `(local.get $b${v})`)})`,
          )
        o.push(cut(r, R))
      }
    } else if (order === 'v') {
      for (const r of range(R)) o.push(`(local.set $a${r} ${loadA(r, u)})`)
      for (const v of range(V)) {
        o.push(`(local.set $b ${loadB(v, u)})`)
        for (const r of range(R))
          o.push(
            `(local.set ${acc(r, v)} ${mad(fused, `(local.get ${acc(r, v)})`, `(local.get $a${r})`, '(local.get $b)')})`,
          )
        o.push(cut(v, V))
      }
    } else {
      for (const r of range(R)) {
        o.push(`(local.set $a ${loadA(r, u)})`)
        for (const v of range(V))
          o.push(`(local.set ${acc(r, v)} ${mad(fused, `(local.get ${acc(r, v)})`, '(local.get $a)', loadB(v, u))})`)
      }
    }
    return o.join('\n')
  }
  const inner = `
   ${range(R)
     .flatMap((r) => range(V).map((v) => `(local.set ${acc(r, v)} (v128.const f32x4 0 0 0 0))`))
     .join('\n')}
   (local.set $pa (i32.add (local.get $A) (i32.mul (local.get $i) (i32.const ${K * 4}))))
   ${
     rows === 'imm'
       ? ''
       : range(R)
           .map((r) => `(local.set $pa${r} (i32.add (local.get $pa) (i32.const ${r * K * 4})))`)
           .join('\n')
   }
   (local.set $pb (i32.add (local.get $bp) (i32.const 0)))
   (local.set $end (i32.add (local.get $pb) (i32.const ${K * 64})))
   (local.set $k (i32.const ${K / unroll}))
   (block $done (loop $k
     ${range(unroll)
       .map(step)
       .join(cutK ? `(br_if $done (i32.eqz (local.get $C)))` : '\n')}
     ${
       rows === 'imm'
         ? `(local.set $pa (i32.add (local.get $pa) (i32.const ${4 * unroll})))`
         : range(R)
             .map((r) => `(local.set $pa${r} (i32.add (local.get $pa${r}) (i32.const ${4 * unroll})))`)
             .join('\n')
     }
     (local.set $pb (i32.add (local.get $pb) (i32.const ${64 * unroll})))
     ${
       loop === 'down'
         ? `(br_if $k (local.tee $k (i32.sub (local.get $k) (i32.const 1))))`
         : `(br_if $k (i32.lt_u (local.get $pb) (local.get $end)))`
     }))
   (local.set $pc (i32.add (local.get $C) (i32.add (i32.mul (local.get $i) (i32.const ${N * 4})) (local.get $n4))))
   ${range(R)
     .flatMap((r) =>
       range(V).map((v) => `(v128.store offset=${r * N * 4 + v * 16} (local.get $pc) (local.get ${acc(r, v)}))`),
     )
     .join('\n')}`
  L.push(`(func (export "${name}") (param $A i32) (param $B i32) (param $C i32) (param $M i32)
  (local $i i32) (local $n4 i32) (local $bp i32) (local $pa i32) (local $pb i32) (local $pc i32) (local $end i32) (local $k i32)
  ${range(R)
    .map((r) => `(local $pa${r} i32) (local $a${r} v128)`)
    .join(' ')} (local $a v128) (local $b v128) ${range(V)
    .map((v) => `(local $b${v} v128)`)
    .join(' ')}
  ${range(R)
    .flatMap((r) => range(V).map((v) => `(local ${acc(r, v)} v128)`))
    .join(' ')}
  (local.set $n4 (i32.const 0))
  (loop $p
    (local.set $bp (i32.add (local.get $B) (i32.add (i32.mul (i32.shr_u (local.get $n4) (i32.const 6)) (i32.const ${K * 64})) (i32.and (local.get $n4) (i32.const 63)))))
    (local.set $i (i32.const 0))
    (loop $i
      ${inner}
      (br_if $i (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const ${R}))) (local.get $M))))
    (br_if $p (i32.lt_u (local.tee $n4 (i32.add (local.get $n4) (i32.const ${V * 16}))) (i32.const ${N * 4})))))`)
  return { name, wat: L.join('\n') }
}

/** 8 or 12 chains of multiply and add in registers, nothing loaded: the peak. */
export function peak(name, fused, chains = 12) {
  return {
    name,
    wat: `(func (export "${name}") (param $n i32) (param $out i32) (local $x v128) (local $y v128) ${range(chains)
      .map((c) => `(local $c${c} v128)`)
      .join(' ')}
    (local.set $x (v128.load (i32.const 1024))) (local.set $y (v128.load (i32.const 1040)))
    (loop $l
      ${range(2)
        .map(() =>
          range(chains)
            .map(
              (c) =>
                `(local.set $c${c} ${mad(fused, `(local.get $c${c})`, c % 2 ? '(local.get $x)' : '(local.get $y)', '(local.get $y)')})`,
            )
            .join('\n'),
        )
        .join('\n')}
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    ${range(chains)
      .map((c) => `(v128.store offset=${16 * c} (local.get $out) (local.get $c${c}))`)
      .join('\n')})`,
    flops: (n) => n * 2 * chains * 8,
  }
}

/** y[N] = x[K] B: P panels at once, k unrolled by U, each with its own sums. */
export function matvec(name, { P, U = 1, fused = false, chains = U, loop = 'ptr', K, N }) {
  const acc = (u, p, v) => `$c${u % chains}_${p}_${v}`
  const sums = range(chains).flatMap((u) => range(P).flatMap((p) => range(4).map((v) => acc(u, p, v))))
  const step = (u) =>
    [
      `(local.set $a (v128.load32_splat offset=${4 * u} (local.get $pa)))`,
      ...range(P).flatMap((p) =>
        range(4).map(
          (v) =>
            `(local.set ${acc(u, p, v)} ${mad(fused, `(local.get ${acc(u, p, v)})`, '(local.get $a)', `(v128.load offset=${p * K * 64 + u * 64 + v * 16} (local.get $pb))`)})`,
        ),
      ),
    ].join('\n')
  return {
    name,
    wat: `(func (export "${name}") (param $A i32) (param $B i32) (param $C i32) (param $panels i32)
  (local $i i32) (local $pa i32) (local $pb i32) (local $end i32) (local $k i32) (local $a v128)
  ${sums.map((x) => `(local ${x} v128)`).join(' ')}
  (loop $p
    ${sums.map((x) => `(local.set ${x} (v128.const f32x4 0 0 0 0))`).join('\n')}
    (local.set $pa (local.get $A)) (local.set $pb (local.get $B)) (local.set $end (i32.add (local.get $pa) (i32.const ${4 * K})))
    (loop $k
      ${range(U).map(step).join('\n')}
      (local.set $pb (i32.add (local.get $pb) (i32.const ${64 * U})))
      (br_if $k (i32.lt_u (local.tee $pa (i32.add (local.get $pa) (i32.const ${4 * U}))) (local.get $end))))
    ${range(P)
      .flatMap((p) =>
        range(4).map(
          (v) =>
            `(v128.store offset=${p * 64 + v * 16} (local.get $C) ${range(chains)
              .map((u) => `(local.get ${acc(u, p, v)})`)
              .reduce((a, b) => `(f32x4.add ${a} ${b})`)})`,
        ),
      )
      .join('\n')}
    (local.set $C (i32.add (local.get $C) (i32.const ${64 * P})))
    (local.set $B (i32.add (local.get $B) (i32.const ${K * 64 * P})))
    (br_if $p (local.tee $panels (i32.sub (local.get $panels) (i32.const ${P}))))))`,
  }
}
/** Adds up all of a range of memory: as fast as it can be read. */
export function reader(name, U = 8) {
  return {
    name,
    wat: `(func (export "${name}") (param $p i32) (param $end i32) (result f32) ${range(U)
      .map((u) => `(local $c${u} v128)`)
      .join(' ')}
   (loop $l ${range(U)
     .map((u) => `(local.set $c${u} (f32x4.add (local.get $c${u}) (v128.load offset=${16 * u} (local.get $p))))`)
     .join('\n')}
    (br_if $l (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const ${16 * U}))) (local.get $end))))
   (f32x4.extract_lane 0 ${range(U)
     .map((u) => `(local.get $c${u})`)
     .reduce((a, b) => `(f32x4.add ${a} ${b})`)}))`,
  }
}

async function matvecs([K, N], seconds) {
  const variants = []
  for (const fused of [false, true]) {
    const f = fused ? ' fma' : ''
    for (const [P, U, chains = U] of [
      [1, 1],
      [1, 2],
      [1, 4],
      [1, 4, 1],
      [1, 4, 2],
      [1, 2, 1],
      [2, 1],
      [2, 2],
      [2, 2, 1],
      [2, 4, 1],
      [3, 1],
      [3, 2, 1],
      [4, 1],
    ])
      variants.push(matvec(`${P} panels, k by ${U}, ${chains} sums${f}`, { P, U, chains, fused, K, N }))
  }
  const readers = [reader('read 8', 8), reader('read 4', 4)]
  const { memory, f } = await instantiate([...variants, ...readers])
  const x = new Float32Array(memory.buffer)
  const A = 4096
  const B = 1 << 20
  const C = 1 << 16
  for (let i = 0; i < K; i++) x[A / 4 + i] = i % 7
  for (let i = 0; i < K * N; i++) x[B / 4 + i] = i % 5
  const cases = [
    ...readers.map((r) => () => f[r.name](B, B + K * N * 4)),
    ...variants.map((v) => () => f[v.name](A, B, C, N / 16)),
  ]
  const best = turns(cases, seconds)
  console.log(`node ${process.version} ${process.execArgv.join(' ')} 1x${K}x${N}`)
  ;[...readers, ...variants].forEach((v, i) => console.log(v.name.padEnd(28), ((K * N * 4) / best[i] / 1e6).toFixed(1)))
}

export async function instantiate(variants) {
  const memory = new WebAssembly.Memory({ initial: MEMORY, maximum: 65536 })
  const binary = assemble(variants.map((v) => v.wat))
  const { instance } = await WebAssembly.instantiate(binary, { e: { m: memory } })
  return { memory, f: instance.exports }
}

/** Fastest of many rounds of each, in turns. ms */
export function turns(cases, seconds = 4) {
  const best = cases.map(() => Infinity)
  for (const c of cases) for (let i = 0; i < 3; i++) c()
  const until = performance.now() + seconds * 1000
  let rounds = 0
  while (performance.now() < until || rounds < 5) {
    rounds++
    cases.forEach((c, i) => {
      const t = performance.now()
      c()
      const ms = performance.now() - t
      if (ms < best[i]) best[i] = ms
    })
  }
  return best
}

async function tiles([M, K, N], seconds) {
  const s = { M, K, N }
  const variants = []
  const add = (name, o) => variants.push(tile(name, { ...s, ...o }))
  for (const fused of [false, true]) {
    const f = fused ? ' fma' : ''
    const both = (R, V, o = {}, label = '') => {
      add(`${R}x${4 * V} b${label}${f}`, { R, V, fused, order: 'b', ...o })
      add(`${R}x${4 * V} v${label}${f}`, { R, V, fused, order: 'v', ...o })
    }
    for (const [R, V] of [
      [2, 4],
      [3, 4],
      [4, 4],
      [2, 3],
      [3, 3],
      [4, 3],
      [2, 2],
      [3, 2],
      [4, 2],
      [5, 2],
      [6, 2],
      [4, 1],
      [6, 1],
      [8, 1],
    ])
      both(R, V)
    for (const [R, V] of [
      [2, 4],
      [3, 4],
      [3, 3],
      [4, 2],
      [5, 2],
      [6, 2],
    ]) {
      both(R, V, { split: 1 }, ' s1')
      if (R > 2 || V > 2) both(R, V, { split: 2 }, ' s2')
    }
  }
  const peaks = [peak('mul+add', false), peak('madd', true), peak('mul+add 6', false, 6)]
  const { memory, f } = await instantiate([...variants, ...peaks])
  const x = new Float32Array(memory.buffer)
  for (let i = 256; i < x.length; i++) x[i] = ((i * 7919) % 1000) / 1000 - 0.5
  const A = 4096
  const B = A + M * K * 4 + 4096
  const C = B + K * N * 4 + 4096
  const n = 100000
  const cases = [
    ...peaks.map((p) => () => f[p.name](n, 2048)),
    ...variants.map((v) => () => f[v.name](A, B, C, M - (M % +v.name[0]))),
  ]
  const work = [...peaks.map((p) => p.flops(n)), ...variants.map((v) => 2 * (M - (M % +v.name[0])) * K * N)]
  const best = turns(cases, seconds)
  console.log(`node ${process.version} ${process.execArgv.join(' ')} ${M}x${K}x${N}`)
  ;[...peaks, ...variants].forEach((v, i) => console.log(v.name.padEnd(28), (work[i] / best[i] / 1e6).toFixed(1)))
}
if (process.argv[1]?.endsWith('wasm-tiles.mjs')) {
  const [what = 'tiles', shape = '24x768x128', seconds = '10'] = process.argv.slice(2)
  const run = { tiles, matvec: matvecs }[what]
  await run(shape.split('x').map(Number), +seconds)
}
