/** Single kernels of a module, run on their arguments: what `tfmc diff` compares one by one. */
import type { Compiled } from '../compile.ts'
import type { Subject } from '../diff/diff.ts'
import type { DeviceProfile } from '../program/profiles.ts'
import { evaluate, type Sym } from '../types/ix.ts'
import { importText } from './emitted.ts'

type KernelRunner = NonNullable<Subject['kernel']>
type Kernel = (...args: readonly unknown[]) => void

/** Of the TypeScript target: each kernel is a function. */
export async function typescriptKernels(compiled: Compiled): Promise<KernelRunner> {
  const { emitKernelsOnly } = await import('../../targets/typescript/host.ts')
  const text = emitKernelsOnly(compiled.lowered.module.kernels, 'js')
  const names = /export \{ (.*) \}\s*$/.exec(text)![1].split(', ')
  const functions = (await importText(text)) as Readonly<Record<string, Kernel>>
  return (index, args, params) => {
    functions[names[index]](...args, ...params)
    return Promise.resolve()
  }
}

/** Of the WebAssembly target, on one thread: arguments are copied in and back out. */
export async function wasmKernels(compiled: Compiled): Promise<KernelRunner> {
  const { kernelsBinary } = await import('../../targets/wasm/wat.ts')
  const { keptBytes } = await import('../../targets/wasm/kept.ts')
  const { keepWeights } = await import('../../targets/wasm/runtime/keep.ts')
  const { names, scratch, bytes } = await kernelsBinary(compiled.lowered.module.kernels)
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true })
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } })
  const functions = instance.exports as Readonly<Record<string, (...args: readonly number[]) => void>>
  const aligned = (n: number): number => Math.ceil(n / 64) * 64
  const start = 1024
  functions.place(0, 1, start)
  return (index, given, params) => {
    const kept = compiled.lowered.module.kernels[index].args.map((a) => a.buffer.layout?.kept?.as)
    const args = given.map((a, i) => {
      const as = kept[i]
      if (!as || !(a instanceof Float32Array)) return a
      const bytes = new Uint8Array(keptBytes(as, a.length))
      keepWeights(a, bytes, as)
      return bytes
    })
    let end = start + aligned(scratch)
    const places = args.map(({ byteLength }) => {
      const at = end
      end += aligned(byteLength)
      return at
    })
    const missing = Math.ceil((end + 64 - memory.buffer.byteLength) / 65536)
    if (missing > 0) memory.grow(missing)
    const bytesAt = (i: number): Uint8Array => new Uint8Array(memory.buffer, places[i], args[i].byteLength)
    args.forEach((a, i) => bytesAt(i).set(new Uint8Array(a.buffer, a.byteOffset, a.byteLength)))
    functions[names[index]](...places, ...params)
    args.forEach((a, i) => kept[i] ?? new Uint8Array(a.buffer, a.byteOffset, a.byteLength).set(bytesAt(i)))
    return Promise.resolve()
  }
}

/** Of the WGSL target, on a device. Pipelines are made when a kernel first runs. */
export async function wgslKernels(
  compiled: Compiled,
  device: GPUDevice,
  profile?: DeviceProfile,
): Promise<KernelRunner> {
  const { printKernels } = await import('../../targets/wgsl/host.ts')
  const { keptBytes } = await import('../../targets/wgsl/kept.ts')
  const { entryAt, partsTaken, passesOf, runsOf } = await import('../../targets/wgsl/passes.ts')
  const { codeFor } = await import('../../targets/wgsl/kernel.ts')
  const features = (['subgroups', 'shader-f16'] as const).filter((f) => device.features.has(f))
  const { keepMatrix } = await import('../../targets/wgsl/runtime/keep.ts')
  const { module } = compiled.lowered
  const { kernels, fields } = printKernels(module, profile)
  const { COMPUTE } = GPUShaderStage
  const { STORAGE, COPY_SRC, COPY_DST, UNIFORM, MAP_READ } = GPUBufferUsage
  const made = new Map<string, Promise<{ pipeline: GPUComputePipeline; layout: GPUBindGroupLayout }>>()

  const pipelineOf = (printed: (typeof kernels)[number], entry: number) => {
    const key = `${printed.name}.${entry}`
    const known = made.get(key)
    if (known) return known
    const layout = device.createBindGroupLayout({
      entries: [
        ...(printed.usesDims ? [{ binding: 0, visibility: COMPUTE, buffer: { type: 'uniform' } } as const] : []),
        ...printed.written
          .flatMap((written, i) => (printed.split[i] ?? [0]).map(() => written))
          .map(
            (written, i) =>
              ({
                binding: i + 1,
                visibility: COMPUTE,
                buffer: { type: written ? 'storage' : 'read-only-storage' },
              }) as const,
          ),
      ],
    })
    const compute = {
      module: device.createShaderModule({ code: codeFor(printed, features) }),
      entryPoint: printed.entries[entry].entry,
    }
    const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] })
    const making = device
      .createComputePipelineAsync({ layout: pipelineLayout, compute })
      .then((pipeline) => ({ pipeline, layout }))
    made.set(key, making)
    return making
  }

  return async (index, given, params) => {
    const printed = kernels[index]
    /** Arguments, or the parts of those that are in several. */
    const args = given.map((whole, i) => {
      const { kept } = module.kernels[index].args[i].buffer.layout ?? {}
      const lengths = printed.split[i] ?? [whole.length]
      if (kept && whole instanceof Float32Array) {
        const [n, cut] = [whole.length / kept.rows, lengths[0] / kept.rows]
        const parts = lengths.map((n) => new ArrayBuffer(keptBytes(kept.as, kept.rows, n / kept.rows)))
        keepMatrix({ as: kept.as, k: kept.rows, n, cut }, parts, whole)
        return parts.map((bytes) => new Int32Array(bytes))
      }
      let start = 0
      return lengths.map((length) => whole.slice(start, (start += length)))
    })
    const symbols = module.kernels[index].params
    const valueOf = (s: Sym): number => params[symbols.findIndex((p) => p.name === s.name)]
    const runs = runsOf(printed, valueOf)
    const pipelines = await Promise.all(runs.map((r) => pipelineOf(r.printed, entryAt(r.printed, valueOf))))
    const buffers = args.map((parts) =>
      parts.map((data) => {
        const buffer = device.createBuffer({ size: Math.max(4, data.byteLength), usage: STORAGE | COPY_SRC | COPY_DST })
        device.queue.writeBuffer(buffer, 0, data)
        return buffer
      }),
    )
    const dims = device.createBuffer({ size: Math.max(16, 4 * fields.length), usage: UNIFORM | COPY_DST })
    const sizes = fields.map((name) => params[symbols.findIndex((p) => p.name === name)] ?? 0)
    device.queue.writeBuffer(dims, 0, Int32Array.from(sizes))
    const scratch = passesOf(printed)
      .flatMap((x) => x.scratch)
      .map((x) => device.createBuffer({ size: Math.max(16, 4 * evaluate(x, valueOf)), usage: STORAGE }))
    const all = [...buffers, ...scratch.map((b) => [b])]
    const widest = device.limits.maxComputeWorkgroupsPerDimension
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    for (const [n, run] of runs.entries()) {
      const { printed, args } = run
      const { pipeline, layout } = pipelines[n]
      const group = device.createBindGroup({
        layout,
        entries: [
          ...(printed.usesDims ? [{ binding: 0, resource: { buffer: dims } }] : []),
          ...args
            .flatMap((a) => partsTaken(run, a, all[a].length).map((part) => all[a][part]))
            .map((buffer, i) => ({ binding: i + 1, resource: { buffer } })),
        ],
      })
      const groups = evaluate(printed.entries[entryAt(printed, valueOf)].groups, valueOf)
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, group)
      pass.dispatchWorkgroups(Math.min(groups, widest), Math.ceil(groups / widest))
    }
    pass.end()
    const results = given.flatMap((data, i) => {
      if (module.kernels[index].args[i].access === 'read' || data.byteLength === 0) return []
      const copy = device.createBuffer({ size: data.byteLength, usage: MAP_READ | COPY_DST })
      encoder.copyBufferToBuffer(buffers[i][0], 0, copy, 0, data.byteLength)
      return [{ data, copy }]
    })
    device.queue.submit([encoder.finish()])
    for (const { data, copy } of results) {
      await copy.mapAsync(GPUMapMode.READ)
      const bytes = copy.getMappedRange()
      data.set(data instanceof Float32Array ? new Float32Array(bytes) : new Int32Array(bytes))
    }
    for (const buffer of [dims, ...all.flat(), ...results.map((r) => r.copy)]) buffer.destroy()
  }
}
