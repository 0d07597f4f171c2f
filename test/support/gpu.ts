import { afterEach } from 'vitest'
import { nullGpu, openGpu, type OpenGpu } from '../../src/gpu/dawn.ts'

interface Shared {
  readonly opened: OpenGpu
  readonly device: GPUDevice
}

const complaints: string[] = []
let real: Promise<Shared> | undefined
let empty: Promise<Shared> | undefined

/**
 * The device that the tests of a worker share, with all of the adapter's limits. Never undefined: without an adapter
 * this throws. An error that no error scope caught fails the test during which it was reported.
 */
export async function testDevice(): Promise<GPUDevice> {
  // Zeroing workgroup memory costs up to 30 times a pipeline's compilation on SwiftShader; kernels write it before they read it, which the
  // executor checks by poisoning.
  real ??= openGpu({ uninitialisedWorkgroupMemory: true }).then(share)
  return (await real).device
}

/** A shared device that validates shaders and pipelines and runs nothing; milliseconds to open, about 1 ms a shader. */
export async function validatingDevice(): Promise<GPUDevice> {
  empty ??= nullGpu().then(share)
  return (await empty).device
}

/** What Tint has to say about `code`: its errors as `line:column message`; none if it is valid. */
export async function shaderErrors(code: string): Promise<string[]> {
  const device = await validatingDevice()
  device.pushErrorScope('validation')
  const info = await device.createShaderModule({ code }).getCompilationInfo()
  await device.popErrorScope()
  return info.messages
    .filter((message) => message.type === 'error')
    .map((message) => `${message.lineNum}:${message.linePos} ${message.message}`)
}

async function share(opened: OpenGpu): Promise<Shared> {
  const device = await opened.device()
  device.addEventListener('uncapturederror', (event) => complaints.push(event.error.message))
  void device.lost.then((info) => complaints.push(`device lost: ${info.message}`))
  return { opened, device }
}

afterEach(() => {
  const said = complaints.splice(0)
  if (said.length > 0) throw new Error(`WebGPU reported:\n${said.join('\n')}`)
})
