/** The GPU of this process, opened when it is needed. */

let opened: Promise<{ device: GPUDevice; description: string; software: boolean; close: () => void }> | undefined

/** The GPU, opened once: Dawn must not be opened and closed at will. */
export function device() {
  opened ??= (async () => {
    const { openGpu } = await import('../gpu/dawn.ts')
    const gpu = await openGpu({ uninitialisedWorkgroupMemory: true, preciseTimestamps: true })
    return {
      device: await gpu.device(),
      description: gpu.description,
      software: gpu.software,
      close: () => gpu.close(),
    }
  })()
  return opened
}

/** Frees the GPU at the end of the process. */
export async function closeDevice(): Promise<void> {
  const held = await opened?.catch(() => undefined)
  opened = undefined
  held?.close()
}
