/** The TypeScript target: one self-contained module, as `.ts`, or as `.js` with `.d.ts`. */
import type { Artifact, EmitOptions, Target } from '../../src/target.ts'
import type { Module } from '../../src/program/types.ts'
import { printModule } from './host.ts'
import { panelLayout } from './layout.ts'

function emit(module: Module, options: EmitOptions): readonly Artifact[] {
  const { text, declarations } = printModule(module, options)
  const name = module.name.replace(/[^A-Za-z0-9_-]+/g, '_') || 'model'
  if (options.language === 'ts') return [{ path: `${name}.ts`, text }]
  return [
    { path: `${name}.js`, text },
    { path: `${name}.d.ts`, text: declarations },
  ]
}

/**
 * Floats: every value between a load and a store is float64; stores round to float32. V8's transcendental functions are fdlibm's, within
 * 1 ulp of float64; erf is our own, 2e-10 (`math.ts`), stated here in units of the f32 roundoff at the store.
 */
export const typescript: Target = {
  name: 'typescript',
  description: 'a self-contained module of plain typed-array loops, as .ts or as .js with .d.ts',
  floats: { roundoff: 2 ** -24, accumulate: 2 ** -53, ulp: { erf: 0.004 }, expSlope: 0, flush: 0 },
  panelLayout,
  emit,
}
