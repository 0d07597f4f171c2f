/**
 * Weights that are too large for one binding lie in several buffers, their parts: all of one size but the last, cut at multiples of 256 bytes, so
 * that no vector lies across a cut. Kernels read them through a function of the element's place.
 */
import { storageOf } from '../../src/kernel/address.ts'
import type { KernelArg } from '../../src/kernel/stage.ts'
import type { DeviceProfile } from '../../src/program/profiles.ts'
import type { HostStep, Module } from '../../src/program/types.ts'
import { isConst } from '../../src/types/ix.ts'

const ALIGN = 256
const BYTES = 4

/** Bytes of each part but the last, where a binding holds `most` bytes. What takes no more is in one piece: hosts know this number only. */
export const partBytes = (most: number): number => Math.max(ALIGN, Math.floor(most / ALIGN) * ALIGN)

/** Elements of each part; undefined for what one binding holds, and for what is no weight: only weights are split. */
export function partsOf({ buffer, role, access }: KernelArg, most: number): readonly number[] | undefined {
  const size = isConst(storageOf(buffer))
  if (
    buffer.layout?.kept ||
    role !== 'weight' ||
    access !== 'read' ||
    size === undefined ||
    size * BYTES <= partBytes(most)
  )
    return undefined
  const each = partBytes(most) / BYTES
  return Array.from({ length: Math.ceil(size / each) }, (_, i) => Math.min(each, size - i * each))
}

/** How a module's weights lie in buffers. */
export interface Split {
  /** The parts of an argument, where it has several. */
  readonly of: (kernel: number, argument: number) => readonly number[] | undefined
  /** Weights that are too large for a binding and yet in one: in parts, this kernel would need more bindings than there are. */
  readonly whole: ReadonlyMap<string, { readonly kernel: string; readonly bindings: number }>
}

/**
 * Which weights lie in parts within a profile: those too large for a binding, where all kernels that read them have bindings enough. One that no
 * split makes fit stays in one piece, for devices whose bindings are larger.
 */
export function splitOf({ kernels, programs }: Module, { limits }: DeviceProfile): Split {
  const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize)
  const parts = kernels.map((k) => k.args.map((a) => partsOf(a, most)))
  const whole = new Map<string, { kernel: string; bindings: number }>()
  const slots = kernels.map((k) => k.args.map(() => new Set<string>()))
  for (const { kernel, args } of programs.flatMap((p) => allDispatches(p.steps)))
    for (const [i, s] of args.entries())
      for (const name of s.k === 'perLayer' ? s.names : s.k === 'weight' ? [s.name] : []) slots[kernel][i].add(name)
  for (let before = -1; before < whole.size;) {
    before = whole.size
    for (const [k, args] of parts.entries()) {
      const bindings = args.reduce((n, p) => n + (p?.length ?? 1), 0)
      const because = { kernel: kernels[k].name, bindings }
      args.forEach((p, i) => {
        const known = [...slots[k][i]].find((name) => whole.has(name))
        if (!p || (known === undefined && bindings <= limits.maxStorageBuffersPerShaderStage)) return
        for (const name of slots[k][i])
          if (!whole.has(name)) whole.set(name, known === undefined ? because : whole.get(known)!)
      })
      parts[k] = args.map((p, i) => ([...slots[k][i]].some((name) => whole.has(name)) ? undefined : p))
    }
  }
  return { of: (k, a) => parts[k][a], whole }
}
const allDispatches = (steps: readonly HostStep[]): (HostStep & { k: 'dispatch' })[] =>
  steps.flatMap((s) => (s.k === 'dispatch' ? s : allDispatches(s.body)))

/** The function that reads an element of a weight in parts by its place: elements of the type `type`, each `lanes` numbers. */
export function readerLines(
  type: string,
  split: { readonly names: readonly string[]; readonly each: number; readonly read: string },
  lanes: 1 | 4,
): string[] {
  const { names, read } = split
  const each = split.each / lanes
  const last = names.length - 1
  if (last === 0) return [`fn ${read}(i: i32) -> ${type} { return ${names[0]}[i]; }`]
  return [
    `fn ${read}(i: i32) -> ${type} {`,
    ...names.map((name, n) => {
      const value = `return ${name}[${n === 0 ? 'i' : `i - ${n * each}`}];`
      return n === last ? `  ${value}` : `  if (i < ${(n + 1) * each}) { ${value} }`
    }),
    '}',
  ]
}
