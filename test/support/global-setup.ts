import { openGpu } from '../../src/gpu/dawn.ts'

/**
 * Opens WebGPU once before the workers start: SwiftShader is then unpacked, and the environment (which a worker thread
 * cannot change for native code) names it. Throws, and so fails the run, when there is no WebGPU: tests do not skip.
 */
export default async function setup(): Promise<void> {
  const opened = await openGpu()
  console.log(`WebGPU: ${opened.description}${opened.software ? ' (software)' : ''}`)
  opened.close()
}
