/** What an emitted module asks of a device, for proofs before it runs: the kernels and sizes are those that `host.ts` prints. */
import type { DeviceProfile } from '../../src/program/profiles.ts'
import type { Module } from '../../src/program/types.ts'
import type { KernelNeeds, Needs } from '../../src/target.ts'
import { isConst } from '../../src/types/ix.ts'
import { dimsBytes, moduleOf, printKernels } from './host.ts'
import type { PrintedKernel } from './kernel.ts'
import { partBytes } from './parts.ts'

export function needs(given: Module, profile: DeviceProfile): Needs {
  const module = moduleOf(given)
  const { kernels, fields, split } = printKernels(module, profile)
  const most = partBytes(Math.min(profile.limits.maxStorageBufferBindingSize, profile.limits.maxBufferSize))
  return {
    module,
    kernels: kernels.map(kernelNeeds),
    weights: module.weights.map(({ name, layout }) => {
      const bytes = layout.kept?.bytes ?? 4 * isConst(layout.size)!
      const because = split.whole.get(name)
      const parts = bytes <= most || because || layout.kept ? 1 : Math.ceil(bytes / most)
      return {
        name,
        bytes,
        parts,
        largest: parts === 1 ? bytes : most,
        ...(because ? { whole: because } : {}),
      }
    }),
    uniform: { binding: 4 * fields.length, buffer: dimsBytes(module, fields) },
  }
}

const kernelNeeds = ({ name, split, rows, entries }: PrintedKernel): KernelNeeds => ({
  name,
  bindings: split.reduce((n, parts) => n + (parts?.length ?? 1), 0),
  ...(rows ? { rows } : {}),
  variants: entries.map(({ entry, groups, upTo, workgroupBytes, size }) => ({
    name: entry,
    groups,
    ...(upTo === undefined ? {} : { upTo }),
    workgroupBytes,
    threads: size,
  })),
})
