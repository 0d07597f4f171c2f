/** What an emitted module asks of a device, for proofs before it runs: the kernels and sizes are those that `host.ts` prints. */
import type { StageKernel } from '../../src/kernel/stage.ts'
import type { DeviceProfile } from '../../src/program/profiles.ts'
import type { Module } from '../../src/program/types.ts'
import type { KernelNeeds, Needs } from '../../src/target.ts'
import { isConst } from '../../src/types/ix.ts'
import type { KernelOptions } from './host.ts'
import { dimsBytes, moduleOf, printKernels, withSampling } from './host.ts'
import type { PrintedKernel } from './kernel.ts'
import { bytesOfPart } from './parts.ts'
import { withScratch } from './passes.ts'
import { AHEAD } from './runtime/draw.ts'

export function needs(given: Module, profile: DeviceProfile, options: KernelOptions = {}): Needs {
  const module = moduleOf(given)
  const { module: all, sampling } = withSampling(module, 'basic')
  const { kernels, fields, split } = printKernels(all, profile, options)
  const needs = kernels.map((k, i) => kernelNeeds(k, all.kernels[i]))
  const own = module.kernels.length
  return {
    module: withScratch(module, kernels),
    kernels: needs.slice(0, own),
    weights: module.weights.map(({ name, layout }) => {
      const bytes = layout.kept?.bytes ?? 4 * isConst(layout.size)!
      const because = split.whole.get(name)
      const parts = split.parts.get(name)
      const [largest, count] = parts ? [bytesOfPart(parts.as, parts.lengths[0]), parts.lengths.length] : [bytes, 1]
      return { name, bytes, parts: count, largest, ...(because ? { whole: because } : {}) }
    }),
    ...(sampling
      ? {
          drawing: {
            kernels: needs.slice(own).map((k, i) => ({ needs: k, kernel: all.kernels[own + i] })),
            lists: sampling.lists,
            ids: sampling.ids,
            rows: sampling.rows,
            ahead: sampling.ahead ? AHEAD : 1,
          },
        }
      : {}),
    uniform: { binding: 4 * fields.length, buffer: dimsBytes(module, fields) },
  }
}

const kernelNeeds = (
  { name, split, rows, entries, passes, spread }: PrintedKernel,
  { args }: StageKernel,
): KernelNeeds => ({
  name,
  bindings: split.reduce((n, parts) => n + (parts?.length ?? 1), 0),
  split: split.map((parts, i) => parts && bytesOfPart(args[i].buffer, parts[0])),
  ...(rows ? { rows } : {}),
  variants: entries.map(({ entry, groups, upTo, when, workgroupBytes, size }) => ({
    name: entry,
    groups,
    ...(upTo === undefined ? {} : { upTo }),
    ...(when === undefined ? {} : { when }),
    workgroupBytes,
    threads: size,
  })),
  ...(spread
    ? {
        spread: {
          where: spread.where!,
          list: spread.list.map((x) => ({ ...kernelNeeds(x.printed, x.kernel), args: x.kernel.args })),
        },
      }
    : {}),
  ...(passes
    ? {
        passes: {
          ...(passes.where ? { where: passes.where } : {}),
          ...(passes.when ? { when: passes.when } : {}),
          list: passes.list.map((x) => ({ ...kernelNeeds(x.printed, x.kernel), args: x.kernel.args })),
        },
      }
    : {}),
})
