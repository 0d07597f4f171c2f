/** Models as a user has them: compiled, emitted as JavaScript, imported, loaded with a checkpoint. */
import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { importFromFolder } from '../../src/cli/emitted.ts'
import { compile } from '../../src/compile.ts'
import type { Compiled, CompileOptions } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import type { Json } from '../../src/frontend/index.ts'
import type { EmitOptions, Target } from '../../src/target.ts'
import { typescript } from '../../targets/typescript/index.ts'
import { wasm } from '../../targets/wasm/index.ts'
import { wgsl } from '../../targets/wgsl/index.ts'
import { testDevice } from './gpu.ts'
import { readText } from './models.ts'
import type { Result } from './tensors.ts'

type Call = (inputs: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, Result>>>
export interface Emitted {
  readonly run: Call
  readonly prepare?: Call
  readonly prefill: Call
  readonly step: Call
  readonly reset: () => void
  readonly past: number
  readonly generate: (
    ids: ArrayLike<number>,
    options?: Readonly<Record<string, unknown>>,
  ) => AsyncGenerator<number, void>
  readonly selftest: () => Promise<unknown>
  readonly dispose: () => void
}
interface Module {
  readonly load: (options: Readonly<Record<string, unknown>>) => Promise<Emitted>
}

export const targets: readonly Target[] = [typescript, wgsl, wasm]

/** How WebAssembly runs in the tests: on one thread without fused multiply-adds, unless the environment says otherwise. */
export const threads = Number(process.env.TFM_THREADS ?? 1)
const relaxed = process.env.TFM_RELAXED === '1'
if (relaxed) setFlagsFromString('--experimental-wasm-relaxed-simd')

export function compileFile(
  path: string,
  target: Target,
  config?: Json,
  options: CompileOptions & { readonly model?: string } = {},
): Compiled {
  const file = sourceFile(path, readText(path))
  return compile(file, target, { ...(config === undefined ? {} : { config }), ...options })
}

/** Emits for `target`, imports and loads with the checkpoint's bytes; WGSL on the tests' device. */
export async function loadEmitted(
  target: Target,
  compiled: Compiled,
  weights: string | Uint8Array,
  options: Partial<EmitOptions> = {},
): Promise<Emitted> {
  const artifacts = await target.emit(compiled.lowered.module, { language: 'js', relaxed, ...options })
  // From files, so that stack traces name a short place.
  const { module, close } = await importFromFolder(artifacts)
  const bytes = typeof weights === 'string' ? readFileSync(new URL(`../../${weights}`, import.meta.url)) : weights
  try {
    return await (module as Module).load({
      weights: bytes,
      // With workgroup memory, as on graphics cards; the forms without are tried beside (test/targets/wgsl).
      ...(target.name === 'wgsl' ? { device: await testDevice(), alternatives: [] } : {}),
      ...(target.name === 'wasm' ? { threads } : {}),
    })
  } finally {
    close()
  }
}
