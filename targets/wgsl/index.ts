/**
 * The WGSL target: compute kernels and a host module on the WebGPU API. The host module carries the kernels' code, so that it runs as one file; the
 * same code is written to `kernels/` for reading and comparing.
 */
import type { Artifact, Target } from '../../src/target.ts'
import { floats } from './floats.ts'
import type { KernelOptions } from './host.ts'
import { printModule } from './host.ts'
import { panelLayout } from './layout.ts'

export const wgsl: Target = wgslWith({})

/** The target with kernels scheduled in another way. */
export function wgslWith(kernels: KernelOptions): Target {
  return {
    name: 'wgsl',
    description: 'WGSL kernels and a host module on the WebGPU API: browsers, and Node with the package webgpu',
    floats,
    keeps: true,
    panelLayout,
    prologues: true,
    needs: async (module, profile) => (await import('./limits.ts')).needs(module, profile, kernels),
    emit: async (module, { language, generation, weights, profile, runtime }) => {
      const printed = printModule(module, {
        language,
        generation,
        kernels,
        ...(weights ? { weights } : {}),
        ...(profile ? { profile } : {}),
        ...(runtime === undefined ? {} : { runtime }),
      })
      const { text, declarations } = printed
      const name = module.name.replace(/[^A-Za-z0-9_-]+/g, '_') || 'model'
      const types: Artifact[] = language === 'ts' ? [] : [{ path: `${name}.d.ts`, text: declarations }]
      return [
        { path: `${name}.${language}`, text },
        ...types,
        ...printed.kernels.map((k): Artifact => ({ path: `kernels/${k.name}.wgsl`, text: k.code })),
        ...printed.runtime.map((a) => ({ ...a, runtime: true })),
      ]
    },
  }
}
