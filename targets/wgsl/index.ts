/**
 * The WGSL target: compute kernels and a host module on the WebGPU API. The host module carries the kernels' code, so that it runs as one file; the
 * same code is written to `kernels/` for reading and comparing.
 */
import type { Artifact, Target } from '../../src/target.ts'
import { floats } from './floats.ts'
import { printModule } from './host.ts'
import { panelLayout } from './layout.ts'

export const wgsl: Target = {
  name: 'wgsl',
  description: 'WGSL kernels and a host module on the WebGPU API: browsers, and Node with the package webgpu',
  floats,
  panelLayout,
  emit: (module, { language }) => {
    const { text, declarations, kernels } = printModule(module, { language })
    const files: Artifact[] = kernels.map((k) => ({ path: `kernels/${k.name}.wgsl`, text: k.code }))
    const host: Artifact[] = language === 'ts' ? [{ path: 'model.ts', text }] : [{ path: 'model.js', text }, { path: 'model.d.ts', text: declarations }] // prettier-ignore
    return [...host, ...files]
  },
}
