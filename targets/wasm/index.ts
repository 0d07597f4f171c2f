/** The WebAssembly target: a binary with SIMD and threads, its text, and a host module that imports nothing. */
import type { Artifact, EmitOptions, Target } from '../../src/target.ts'
import type { Module } from '../../src/program/types.ts'
import { assemble } from './assemble.ts'
import { floats } from './floats.ts'
import { printModule } from './host.ts'
import { keptLayout } from './kept.ts'
import { panelLayout } from './panels.ts'
import { workerText } from './worker.ts'

async function emit(module: Module, options: EmitOptions): Promise<readonly Artifact[]> {
  const name = module.name.replace(/[^A-Za-z0-9_-]+/g, '_') || 'model'
  const { text, declarations, wat, relaxed, runtime } = printModule(module, name, options)
  const binary = async (path: string, text: string): Promise<Artifact> => ({
    path,
    text: '',
    bytes: await assemble(text),
  })
  return [
    { path: `${name}.${options.language}`, text },
    ...(options.language === 'ts' ? [] : [{ path: `${name}.d.ts`, text: declarations }]),
    await binary(`${name}.wasm`, wat),
    ...(relaxed === undefined ? [] : [await binary(`${name}.relaxed.wasm`, relaxed)]),
    { path: `${name}.wat`, text: wat },
    { path: `${name}.worker.js`, text: workerText },
    ...runtime.map((a) => ({ ...a, runtime: true })),
  ]
}

export const wasm: Target = {
  name: 'wasm',
  description: 'WebAssembly with SIMD and threads: a binary, its text, and a host module, for browsers and Node',
  floats,
  keeps: true,
  panelLayout: (k, n, as = 'f32') => (as === 'f32' ? undefined : keptLayout(k, n, as)) ?? panelLayout(k, n),
  emit,
}
