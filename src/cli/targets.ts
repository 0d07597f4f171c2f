/** Targets by name, loaded when they are needed. */
import type { Target } from '../target.ts'
import { UsageError } from './context.ts'

const registry: Readonly<Record<Target['name'], () => Promise<Target>>> = {
  typescript: async () => (await import('../../targets/typescript/index.ts')).typescript,
  wgsl: async () => (await import('../../targets/wgsl/index.ts')).wgsl,
  wasm: async () => (await import('../../targets/wasm/index.ts')).wasm,
}
export type TargetName = Target['name']

export const targetNames = Object.keys(registry) as readonly TargetName[]

export const isTargetName = (name: string): name is TargetName => Object.hasOwn(registry, name)

export const targetOf = (name: TargetName): Promise<Target> => registry[name]()

/** `typescript,wgsl` as a list, each one of `allowed`. */
export function targetList<T extends string>(text: string, allowed: readonly T[]): T[] {
  const names = text.split(',').map((name) => name.trim())
  for (const name of names)
    if (!(allowed as readonly string[]).includes(name))
      throw new UsageError(`there is no target '${name}'; choose among ${allowed.join(', ')}`)
  return [...new Set(names)] as T[]
}
