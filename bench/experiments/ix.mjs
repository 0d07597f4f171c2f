// How long index polynomials take in a compile the size of GPT-2's: 12 layers of attention and feed-forward index maps,
// composed, tiled and proved in range. Run: npm run build && node bench/experiments/ix.mjs
const dist = process.argv[2] ?? new URL('../../dist', import.meta.url).pathname
const ix = await import(`${dist}/src/types/ix.js`)
const { delinearise, elements, linearise } = await import(`${dist}/src/types/shape.js`)

let calls = 0
const counted =
  (f) =>
  (...args) => (calls++, f(...args))
const { sym, con, of } = ix
const [add, sub, mul, floorDiv, min, substitute, proveLt, proveLe] = [
  ix.add,
  ix.sub,
  ix.mul,
  ix.floorDiv,
  ix.min,
  ix.substitute,
  ix.proveLt,
  ix.proveLe,
].map(counted)
const position = (coords, shape) => ((calls += 2 * shape.length), linearise(coords, shape))
const coordinates = (at, shape) => ((calls += 2 * shape.length), delinearise(at, shape))

function kernel(shape, via, tile) {
  const vars = shape.map((d, i) => sym(`i${i}`, { hi: sub(d, 1), role: 'loop' }))
  // A reshape and a transpose, as views compose.
  const mapped = coordinates(position(vars, shape), via)
  const back = coordinates(position(mapped, via), shape)
  if (back.some((x, i) => x !== of(vars[i]))) throw new Error(`left over: ${back}`)
  const at = position(mapped, via)
  if (!proveLt(at, elements(shape))) throw new Error(`unproved: ${at}`)
  // Split the last two axes, with a guarded tail.
  const map = new Map()
  for (const v of vars.slice(-2)) {
    const outer = sym('o', { hi: floorDiv(v.hi, tile), role: 'loop' })
    const inner = sym('n', { hi: tile - 1, role: 'loop' })
    map.set(v, min(add(mul(tile, outer), inner), v.hi))
  }
  const tiled = substitute(at, map)
  proveLe(tiled, sub(elements(shape), 1))
  for (let u = 0; u < 8; u++) add(tiled, mul(u, shape[shape.length - 1]))
  for (const v of vars) {
    ix.coefficientOf(at, v)
    ix.range(v)
    calls += 2
  }
}

function compile() {
  calls = 0
  const B = of(sym('B'))
  const T = of(sym('T', { hi: 1024 }))
  const d = con(768)
  for (let layer = 0; layer < 12; layer++) {
    for (let k = 0; k < 4; k++) {
      kernel([B, T, d], [mul(B, T), d], 8)
      kernel([B, T, con(2304)], [B, T, con(3), con(12), con(64)], 4)
      kernel([B, con(12), T, con(64)], [mul(B, 12), T, con(64)], 16)
      kernel([B, con(12), T, T], [mul(B, 12, T), T], 16)
      kernel([B, T, con(3072)], [mul(B, T), con(384), con(8)], 8)
      kernel([mul(B, T), d], [B, T, con(96), con(8)], 6)
      kernel([d, con(3072)], [d, con(384), con(8)], 8)
      kernel([B, T, d], [B, T, con(12), con(64)], 4)
    }
  }
}

// Processor time too: wall time means little on a busy machine.
for (let round = 0; round < 6; round++) {
  const start = performance.now()
  const before = process.cpuUsage()
  compile()
  const ms = performance.now() - start
  const used = process.cpuUsage(before)
  const cpu = (used.user + used.system) / 1000
  console.log(`${calls} calls in ${ms.toFixed(1)} ms, processor ${cpu.toFixed(1)} ms${round === 0 ? ' (cold)' : ''}`)
}
