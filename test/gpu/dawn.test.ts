import { describe, expect, test, vi } from 'vitest'
import { nullGpu, openGpu } from '../../src/gpu/dawn.ts'
import { shaderErrors, testDevice } from '../support/gpu.ts'

const doubling = `
@group(0) @binding(0) var<storage, read_write> data: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&data)) { data[id.x] = data[id.x] * 2 + 1; }
}`

async function double(device: GPUDevice, values: Float32Array<ArrayBuffer>): Promise<Float32Array> {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST
  const data = device.createBuffer({ size: values.byteLength, usage })
  const back = device.createBuffer({
    size: values.byteLength,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  })
  device.queue.writeBuffer(data, 0, values)
  const module = device.createShaderModule({ code: doubling })
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } })
  const layout = pipeline.getBindGroupLayout(0)
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: data } }] }))
  pass.dispatchWorkgroups(Math.ceil(values.length / 64))
  pass.end()
  encoder.copyBufferToBuffer(data, 0, back, 0, values.byteLength)
  device.queue.submit([encoder.finish()])
  await back.mapAsync(GPUMapMode.READ)
  const result = new Float32Array(back.getMappedRange()).slice()
  back.unmap()
  return result
}

describe('openGpu', () => {
  const values = Float32Array.from({ length: 100 }, (_, i) => i)

  test('runs a compute shader', async () => {
    expect(await double(await testDevice(), values)).toEqual(values.map((value) => value * 2 + 1))
  })

  test('describes its adapter, gives all its limits, and more than one device', async () => {
    const opened = await openGpu({ uninitialisedWorkgroupMemory: true, preciseTimestamps: true })
    try {
      expect(opened.description).not.toBe('')
      if (/swiftshader/i.test(opened.description)) expect(opened.software).toBe(true)
      const [first, second] = [await opened.device(), await opened.device([])]
      expect(first.limits.maxStorageBufferBindingSize).toBe(opened.adapter.limits.maxStorageBufferBindingSize)
      expect(second.limits.maxStorageBuffersPerShaderStage).toBe(opened.adapter.limits.maxStorageBuffersPerShaderStage)
      expect(await double(second, values)).toEqual(values.map((value) => value * 2 + 1))
    } finally {
      opened.close()
    }
  })

  test('says what to do when the package is missing', async () => {
    vi.resetModules()
    vi.doMock('webgpu', () => {
      throw new Error('no such package')
    })
    try {
      const fresh = await import('../../src/gpu/dawn.ts')
      const error = await fresh.openGpu().catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(fresh.GpuUnavailable)
      expect(error).toMatchObject({ code: 'gpu-no-binding', help: expect.stringContaining('npm install') })
    } finally {
      vi.doUnmock('webgpu')
      vi.resetModules()
    }
  })
})

describe('nullGpu', () => {
  test('accepts a valid shader', async () => {
    expect(await shaderErrors(doubling)).toEqual([])
  })

  test('says where a wrong shader is wrong', async () => {
    const errors = await shaderErrors('@compute @workgroup_size(1) fn main() {\n  let x: f32 = 1u;\n}')
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(/^2:\d+ .*(u32|convert)/)
  })

  test('knows that a barrier must be uniform', async () => {
    const errors = await shaderErrors(`
      @compute @workgroup_size(8) fn main(@builtin(local_invocation_index) lane: u32) {
        if (lane < 4) { workgroupBarrier(); }
      }`)
    expect(errors.join()).toMatch(/uniform control flow/)
  })

  test('is not taken for a graphics card', async () => {
    const opened = await nullGpu()
    expect(opened.software).toBe(true)
    expect(opened.description).toContain('null')
  })
})
