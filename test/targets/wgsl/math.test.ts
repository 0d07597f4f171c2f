import { expect, test } from 'vitest'
import { erf } from '../../../src/ops/special.ts'
import { mathHelpers, withNeeds } from '../../../targets/wgsl/math.ts'
import type { MathHelper } from '../../../targets/wgsl/math.ts'
import { floats } from '../../../targets/wgsl/floats.ts'
import { testDevice } from '../../support/gpu.ts'

interface Row {
  readonly h: MathHelper
  readonly f: (x: number) => number
  readonly from: number
  readonly to: number
  /** Errors are measured against this where given, else against the result. */
  readonly scale?: number
  readonly log?: boolean
}
const rows: readonly Row[] = [
  { h: 'exp', f: Math.exp, from: -87, to: 88.7 },
  { h: 'expm1', f: Math.expm1, from: -20, to: 20 },
  { h: 'expm1', f: Math.expm1, from: -1, to: 1 },
  { h: 'log', f: Math.log, from: 1e-37, to: 1e38, log: true },
  { h: 'log', f: Math.log, from: 0.5, to: 2 },
  { h: 'log1p', f: Math.log1p, from: -0.9, to: 2 },
  { h: 'log1p', f: Math.log1p, from: 1e-6, to: 1e6, log: true },
  { h: 'tanh', f: Math.tanh, from: -12, to: 12 },
  { h: 'tanh', f: Math.tanh, from: -0.7, to: 0.7 },
  { h: 'erf', f: erf, from: -5, to: 5 },
  { h: 'erf', f: erf, from: -1.1, to: 1.1 },
  { h: 'sin', f: Math.sin, from: -10, to: 10, scale: 1 },
  { h: 'sin', f: Math.sin, from: -8192, to: 8192, scale: 1 },
  { h: 'cos', f: Math.cos, from: -8192, to: 8192, scale: 1 },
  { h: 'sin', f: Math.sin, from: -0.8, to: 0.8 },
]
const builtin: Partial<Record<MathHelper, string>> = { exp: 'exp', log: 'log', tanh: 'tanh', sin: 'sin', cos: 'cos' }
const N = 65536

async function run(code: string, xs: Float32Array): Promise<Float32Array> {
  const device = await testDevice()
  const make = (usage: number): GPUBuffer => device.createBuffer({ size: xs.byteLength, usage })
  const [input, output, back] = [
    make(GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST),
    make(GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC),
    make(GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST),
  ]
  device.queue.writeBuffer(input, 0, xs as Float32Array<ArrayBuffer>)
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }) },
  })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: input } },
        { binding: 1, resource: { buffer: output } },
      ],
    }),
  )
  pass.dispatchWorkgroups(xs.length / 64)
  pass.end()
  encoder.copyBufferToBuffer(output, 0, back, 0, xs.byteLength)
  device.queue.submit([encoder.finish()])
  await back.mapAsync(GPUMapMode.READ)
  const got = new Float32Array(back.getMappedRange().slice(0))
  for (const b of [input, output, back]) b.destroy()
  return got
}
const program = (helpers: readonly MathHelper[], call: string): string => {
  const text = helpers.map((h) => {
    const { name, params, result, body } = mathHelpers[h]
    return `fn ${name}(${params}) -> ${result} {\n${body.map((l) => l.replace(/\$(\w+)/g, (_, n: string) => mathHelpers[n as MathHelper].name)).join('\n')}\n}`
  })
  return `${text.join('\n')}
@group(0) @binding(0) var<storage, read> xs: array<f32>;
@group(0) @binding(1) var<storage, read_write> ys: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { let x = xs[id.x]; ys[id.x] = ${call}; }`
}

test('functions are as accurate as they say, and as the bounds assume', async () => {
  const lines: string[] = []
  for (const { h, f, from, to, scale, log } of rows) {
    const xs = Float32Array.from({ length: N }, (_, i) =>
      log
        ? Math.exp(Math.log(from) + ((Math.log(to) - Math.log(from)) * i) / (N - 1))
        : from + ((to - from) * i) / (N - 1),
    )
    const worst = (got: Float32Array): number => {
      let most = 0
      for (let i = 0; i < N; i++) {
        const want = f(xs[i])
        if (want === 0 || Math.abs(want) < 1e-37) continue
        most = Math.max(most, Math.abs(got[i] - want) / (scale ?? Math.abs(want)))
      }
      return most
    }
    const own = worst(await run(program(withNeeds([h]), `${mathHelpers[h].name}(x)`), xs))
    const theirs = builtin[h] === undefined ? undefined : worst(await run(program([], `${builtin[h]}(x)`), xs))
    lines.push(`${h} [${from}, ${to}] ${own.toExponential(1)} builtin ${theirs?.toExponential(1) ?? '-'}`)
    expect(own, `${h} over ${from} … ${to}`).toBeLessThan(4e-7)
    expect(own).toBeLessThan((floats.ulp[h] ?? 1) * floats.roundoff)
  }
  if (process.env.TFM_SHOW) console.log(lines.join('\n'))
})

test('powers', async () => {
  const xs = Float32Array.from({ length: 64 }, (_, i) => (i - 20) / 4)
  const at = async (y: string): Promise<Float32Array> => run(program(withNeeds(['pow']), `pow_f32(x, ${y})`), xs)
  expect([...(await at('2.0'))]).toEqual([...xs].map((x) => Math.fround(x * x)))
  for (const [i, x] of (await at('3.0')).entries())
    expect(Math.abs(x - xs[i] ** 3)).toBeLessThan(1e-5 * Math.abs(xs[i] ** 3) + 1e-9)
  expect([...(await at('0.0'))]).toEqual([...xs].map(() => 1))
  expect((await at('-0.5'))[24]).toBeCloseTo(1, 5)
})
