/** The TypeScript target: one self-contained module, as `.ts`, or as `.js` with `.d.ts`. */
import type { Artifact, EmitOptions, Target } from '../../src/target.ts'
import type { Module } from '../../src/program/types.ts'
import { floats } from './floats.ts'
import { printModule } from './host.ts'
import { panelLayout } from './layout.ts'

async function emit(module: Module, options: EmitOptions): Promise<readonly Artifact[]> {
  const { text, declarations } = printModule(module, options)
  const name = module.name.replace(/[^A-Za-z0-9_-]+/g, '_') || 'model'
  if (options.language === 'ts') return [{ path: `${name}.ts`, text }]
  return [
    { path: `${name}.js`, text },
    { path: `${name}.d.ts`, text: declarations },
  ]
}

export const typescript: Target = {
  name: 'typescript',
  description: 'a self-contained module of plain typed-array loops, as .ts or as .js with .d.ts',
  floats,
  panelLayout,
  emit,
}
