/** What a graphics card does at most, measured by kernels of the kernel IR: what `tfmc profile` holds kernels against. */
import { printKernel, dimsOf } from '../../targets/wgsl/kernel.ts'
import { schedule } from '../../targets/wgsl/recipes.ts'
import { forLoop, serial } from '../../targets/wgsl/recipes/kit.ts'
import { timeDispatches } from '../gpu/listen.ts'
import { newBuffer } from '../kernel/buffer.ts'
import { bin, constant, load, local, newLocal } from '../kernel/expr.ts'
import type { NestKernel, Stmt } from '../kernel/nest.ts'
import type { StageKernel } from '../kernel/stage.ts'
import { loopSymbol } from '../kernel/walk.ts'
import { add, con, isConst, mul, of } from '../types/ix.ts'

export interface Ceilings {
  /** Bytes read and written a second by a copy of `copied` bytes that no cache holds. */
  readonly copy: number
  readonly copied: number
  /** Floating-point operations a second of chains of f32 multiplications and additions in registers. */
  readonly arithmetic: number
}

const THREADS = 256
const CHAINS = 16
const MIB = 2 ** 20

/** `software`: the processor plays the card, and less work is enough. */
export async function measureCeilings(device: GPUDevice, software: boolean): Promise<Ceilings> {
  const { maxStorageBufferBindingSize, maxBufferSize } = device.limits
  const copied = Math.min((software ? 32 : 256) * MIB, maxStorageBufferBindingSize, maxBufferSize)
  const repeats = software ? 4 : 20
  const copying = await fastest(device, copyKernel(copied / 4), copied, copied, repeats)
  const [groups, rounds] = software ? [32, 256] : [4096, 4096]
  const { kernel, nest } = arithmeticKernel(groups, rounds)
  const scheduled = { variants: [{ suffix: '', schedule: 'each', nest } as const] }
  const computing = await fastest(device, kernel, 4 * THREADS, 4 * groups * THREADS, repeats, scheduled)
  return {
    copied,
    copy: (2 * copied) / seconds(copying),
    arithmetic: (2 * CHAINS * rounds * groups * THREADS) / seconds(computing),
  }
}
const seconds = (milliseconds: number): number => Math.max(milliseconds, 1e-6) / 1000

export function copyKernel(elements: number): StageKernel {
  const [x, y] = ['x', 'y'].map((name) => newBuffer(name, 'f32', 'global', [con(elements)]))
  const i = loopSymbol('i', elements)
  return {
    name: 'copy',
    doc: [],
    params: [],
    stages: [{ name: 'y', out: y, domain: [i], body: { k: 'map', e: load(x, [of(i)]) } }],
    args: [
      { buffer: x, access: 'read', role: 'activation' },
      { buffer: y, access: 'write', role: 'activation' },
    ],
  }
}

/** Each of `groups` × 256 threads: 16 chains of x · a + b, `rounds` long, in registers. */
export function arithmeticKernel(
  groups: number,
  rounds: number,
): { readonly kernel: StageKernel; readonly nest: NestKernel } {
  const x = newBuffer('x', 'f32', 'global', [con(THREADS)])
  const y = newBuffer('y', 'f32', 'global', [con(groups * THREADS)])
  const [group, lane, round] = [loopSymbol('group', groups), loopSymbol('lane', THREADS), loopSymbol('round', rounds)]
  const a = newLocal('a', 'f32')
  const chains = Array.from({ length: CHAINS }, (_, i) => newLocal(`chain_${i}`, 'f32'))
  const thread: Stmt[] = [
    { k: 'let', v: a, e: load(x, [of(lane)]) },
    ...chains.map((v, i): Stmt => ({ k: 'var', v, e: bin('add', local(a), constant(i)) })),
    {
      ...serial(round, chains.map((v): Stmt => ({ k: 'assign', v, e: bin('add', bin('mul', local(v), local(a)), local(a)) }))),
      reduces: true,
    },
    {
      k: 'store', buf: y, at: [add(mul(THREADS, of(group)), of(lane))],
      e: chains.map(local).reduce((sum, v) => bin('add', sum, v)),
    },
  ] // prettier-ignore
  const args = [
    { buffer: x, access: 'read', role: 'activation' },
    { buffer: y, access: 'write', role: 'activation' },
  ] as const
  const nest: NestKernel = {
    name: 'multiply_add',
    doc: [],
    args,
    params: [],
    body: [forLoop('grid.x', group, [forLoop('local.x', lane, thread)])],
  }
  return { nest, kernel: { name: nest.name, doc: [], params: [], stages: [], args } }
}

/** Milliseconds of the fastest dispatch of a kernel with one operand and one result, of so many bytes. */
async function fastest(
  device: GPUDevice,
  kernel: StageKernel,
  read: number,
  written: number,
  repeats: number,
  scheduled = schedule(kernel),
): Promise<number> {
  const printed = printKernel(kernel, scheduled, dimsOf([]))
  const { entry, groups } = printed.entries[printed.entries.length - 1]
  const timer = device.features.has('timestamp-query') ? timeDispatches(device) : undefined
  const [STORAGE, COPY_DST] = [128, 8]
  const buffers = [read, written].map((size) => device.createBuffer({ size, usage: STORAGE | COPY_DST }))
  try {
    // Numbers that stay numbers: near 1, and below.
    device.queue.writeBuffer(buffers[0], 0, new Float32Array(Math.min(read / 4, THREADS)).fill(0.5))
    const module = device.createShaderModule({ code: printed.code })
    const pipeline = await device.createComputePipelineAsync({
      layout: 'auto',
      compute: { module, entryPoint: entry },
    })
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } })),
    })
    const count = isConst(groups)!
    const y = Math.ceil(count / device.limits.maxComputeWorkgroupsPerDimension)
    const submit = (times: number): void => {
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, group)
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(Math.ceil(count / y), y)
      pass.end()
      device.queue.submit([encoder.finish()])
    }
    if (timer) {
      timer.start()
      submit(repeats + 1)
      return Math.min(...(await timer.take()).slice(1).map((d) => d.milliseconds))
    }
    const took = async (times: number): Promise<number> => {
      const start = performance.now()
      submit(times)
      await device.queue.onSubmittedWorkDone()
      return performance.now() - start
    }
    await took(1)
    const [one, many] = [await took(1), await took(repeats + 1)]
    return Math.max((many - one) / repeats, 1e-6)
  } finally {
    timer?.stop()
    for (const buffer of buffers) buffer.destroy()
  }
}
