/** Devices that are listened to: everything is heard, nothing is changed. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { countCalls, timeDispatches, timeSubmits } from '../../src/gpu/listen.ts'
import { nullGpu, openGpu, type OpenGpu } from '../../src/gpu/dawn.ts'

let gpu: OpenGpu
let device: GPUDevice
beforeAll(async () => {
  gpu = await openGpu({ preciseTimestamps: true })
  device = await gpu.device()
})
afterAll(() => gpu.close())

const code = `
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(4) fn twice(@builtin(global_invocation_id) at: vec3u) { x[at.x] *= 2; }
@compute @workgroup_size(4) fn more(@builtin(global_invocation_id) at: vec3u) { x[at.x] += 1; }`

/** x → 2 x + 1 of eight numbers, in two dispatches of one pass. */
async function call(on: GPUDevice): Promise<Float32Array> {
  const module = on.createShaderModule({ code })
  const layout = on.createBindGroupLayout({ entries: [{ binding: 0, visibility: 4, buffer: { type: 'storage' } }] })
  const pipelineLayout = on.createPipelineLayout({ bindGroupLayouts: [layout] })
  const pipelines = [
    on.createComputePipeline({ label: 'double', layout: pipelineLayout, compute: { module, entryPoint: 'twice' } }),
    await on.createComputePipelineAsync({ layout: pipelineLayout, compute: { module, entryPoint: 'more' } }),
  ]
  const x = on.createBuffer({ size: 32, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST }) // prettier-ignore
  const back = on.createBuffer({ size: 32, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
  on.queue.writeBuffer(
    x,
    0,
    Float32Array.from({ length: 8 }, (_, i) => i),
  )
  const group = on.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: x } }] })
  const encoder = on.createCommandEncoder()
  const pass = encoder.beginComputePass({ label: 'all' })
  pass.setBindGroup(0, group)
  for (const pipeline of pipelines) {
    pass.setPipeline(pipeline)
    pass.dispatchWorkgroups(2)
  }
  pass.end()
  encoder.copyBufferToBuffer(x, 0, back, 0, 32)
  on.queue.submit([encoder.finish()])
  await back.mapAsync(GPUMapMode.READ)
  const result = new Float32Array(back.getMappedRange().slice(0))
  back.unmap()
  return result
}
const expected = Float32Array.from({ length: 8 }, (_, i) => 2 * i + 1)

test('each dispatch is timed, with the name of its pipeline and its entry point', async () => {
  const timer = timeDispatches(device)
  try {
    expect(await call(device)).toEqual(expected)
    timer.start()
    expect(await timer.take()).toEqual([])
    for (let i = 0; i < 2; i++) {
      timer.start()
      expect(await call(device)).toEqual(expected)
      const dispatches = await timer.take()
      expect(dispatches.map(({ label, entryPoint, groups }) => [label, entryPoint, groups])).toEqual([
        ['double', 'twice', [2, 1, 1]],
        ['more', 'more', [2, 1, 1]],
      ])
      for (const d of dispatches) expect(d.milliseconds).toBeGreaterThanOrEqual(0)
      expect(dispatches.some((d) => d.milliseconds > 0)).toBe(true)
    }
    expect(await call(device)).toEqual(expected)
  } finally {
    timer.stop()
  }
})

test('more dispatches than a set of queries has room for', async () => {
  const timer = timeDispatches(device)
  try {
    const module = device.createShaderModule({ code: '@compute @workgroup_size(1) fn main() {}' })
    const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
    timer.start()
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    pass.setPipeline(pipeline)
    for (let i = 0; i < 2100; i++) pass.dispatchWorkgroups(1)
    pass.end()
    device.queue.submit([encoder.finish()])
    const dispatches = await timer.take()
    expect(dispatches).toHaveLength(2100)
    expect(dispatches.every((d) => Number.isFinite(d.milliseconds))).toBe(true)
  } finally {
    timer.stop()
  }
})

test('calls are counted, on a device that runs nothing too', async () => {
  const none = await nullGpu()
  for (const on of [device, await none.device()]) {
    const counter = countCalls(on)
    await call(on)
    expect(counter.counts).toEqual({
      dispatches: 2, bound: 64, passes: 1, submits: 1, pipelines: 2, bindGroups: 1, buffers: 2, bufferBytes: 64, written: 32, copied: 32, reads: 1, read: 32,
    }) // prettier-ignore
    expect(counter.names).toEqual(['double', 'more'])
    counter.reset()
    expect(counter.counts.dispatches).toBe(0)
    counter.stop()
    await call(on)
    expect(counter.counts.dispatches).toBe(0)
  }
  none.close()
})

test('without timestamps submissions are timed', async () => {
  const timer = timeSubmits(device)
  timer.start()
  expect(await call(device)).toEqual(expected)
  const submits = await timer.take()
  expect(submits.map((s) => s.dispatches)).toEqual([2])
  expect(submits[0].milliseconds).toBeGreaterThan(0)
  timer.stop()
  expect(Object.hasOwn(device, 'createCommandEncoder')).toBe(false)
})
