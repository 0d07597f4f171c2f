/** The TypeScript target: one self-contained module, as `.ts`, or as `.js` with `.d.ts`. */
import type { Artifact, EmitOptions, Target } from '../../src/target.ts'
import type { Module } from '../../src/program/types.ts'
import { floats } from './floats.ts'
import { printModule } from './host.ts'
import { panelLayout } from './layout.ts'

async function emit(module: Module, options: EmitOptions): Promise<readonly Artifact[]> {
  const { text, declarations, runtime } = printModule(module, options)
  const name = module.name.replace(/[^A-Za-z0-9_-]+/g, '_') || 'model'
  return [
    { path: `${name}.${options.language}`, text },
    ...(options.language === 'ts' ? [] : [{ path: `${name}.d.ts`, text: declarations }]),
    ...runtime.map((a) => ({ ...a, runtime: true })),
  ]
}

export const typescript: Target = {
  name: 'typescript',
  description: 'a self-contained module of plain typed-array loops, as .ts or as .js with .d.ts',
  floats,
  panelLayout,
  emit,
}
