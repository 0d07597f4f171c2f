/**
 * Weights that are too large for one binding lie in several buffers, their parts, all of one size but the last. Floats are cut at multiples of 256
 * bytes, or at whole rows, so that no vector lies across a cut, and read through a function of the element's place; what is kept in fewer bits is cut
 * into ranges of columns, and its words are read through a function of their row and column (`kept.ts`).
 */
import { storageOf } from '../../src/kernel/address.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { KernelArg, StageKernel } from '../../src/kernel/stage.ts'
import type { DeviceProfile } from '../../src/program/profiles.ts'
import type { HostStep, Module } from '../../src/program/types.ts'
import { isConst } from '../../src/types/ix.ts'
import type { ByPart } from './by-part.ts'
import { byParts, rangesOf } from './by-part.ts'
import { COLUMNS, keptBytes } from './kept.ts'

const ALIGN = 256
const BYTES = 4

/** Bytes of each part of floats but the last, where a binding holds `most` bytes. */
export const partBytes = (most: number): number => Math.max(ALIGN, Math.floor(most / ALIGN) * ALIGN)

/**
 * Elements of each part (as the layout counts them: with padding), where a binding holds `most` bytes; undefined for what fits into one, for what is
 * no weight, and where not even four columns fit. With `whole`, floats are cut at whole rows where one fits, so that a part can be read by itself.
 */
export function partsOf(
  { buffer, role, access }: KernelArg,
  most: number,
  whole = false,
): readonly number[] | undefined {
  const size = isConst(storageOf(buffer))
  if (role !== 'weight' || access !== 'read' || size === undefined || storedBytes(buffer) <= most) return undefined
  const each = eachOf(buffer, size, most, whole)
  if (each === 0) return undefined
  return Array.from({ length: Math.ceil(size / each) }, (_, i) => Math.min(each, size - i * each))
}
function eachOf(buffer: Buffer, size: number, most: number, whole: boolean): number {
  const { kept } = buffer.layout ?? {}
  if (kept === undefined) {
    const each = partBytes(most) / BYTES
    const row = leastCommon(whole ? (rangesOf(buffer)?.each ?? 1) : 1, COLUMNS)
    return row <= each ? Math.floor(each / row) * row : each
  }
  const { rows, bytes } = kept
  const fours = size / rows / COLUMNS
  return Math.floor(most / (bytes / fours)) * COLUMNS * rows
}
function leastCommon(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y > 0) [x, y] = [y, x % y]
  return (a / x) * b
}
function storedBytes(buffer: Buffer): number {
  return buffer.layout?.kept?.bytes ?? BYTES * isConst(storageOf(buffer))!
}

/** Bytes of a part with so many elements. */
export function bytesOfPart({ layout }: KernelArg['buffer'], elements: number): number {
  const { kept } = layout ?? {}
  return kept ? keptBytes(kept.as, kept.rows, elements / kept.rows) : BYTES * elements
}

/** How a module's weights lie in buffers. */
export interface Split {
  /** The parts of an argument, where it has several. */
  readonly of: (kernel: number, argument: number) => readonly number[] | undefined
  /** The parts of weights that have several, and the argument that one is. */
  readonly parts: ReadonlyMap<string, { readonly lengths: readonly number[]; readonly as: KernelArg['buffer'] }>
  /** Kernels that take a weight one part at a time, as it has more parts than they could bind. */
  readonly byPart: ReadonlyMap<number, ByPart>
  /** Weights that are too large for a binding and yet in one: in parts, this kernel would need more bindings than there are. */
  readonly whole: ReadonlyMap<string, { readonly kernel: string; readonly bindings: number }>
}

/**
 * Which weights lie in parts within a profile: those too large for a binding, where all kernels that read them have bindings enough, or can take one
 * part at a time. One that no split makes fit stays in one piece, for devices whose bindings are larger.
 */
export function splitOf({ kernels, programs }: Module, { limits }: DeviceProfile): Split {
  const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize)
  const bindable = limits.maxStorageBuffersPerShaderStage
  const slots = kernels.map((k) => k.args.map(() => new Set<string>()))
  for (const { kernel, args } of programs.flatMap((p) => allDispatches(p.steps)))
    for (const [i, s] of args.entries())
      for (const name of s.k === 'perLayer' ? s.names : s.k === 'weight' ? [s.name] : []) slots[kernel][i].add(name)

  /** Weights that are cut at whole rows, and the kernels that need it. */
  const cutAtRows = new Set<string>()
  const byPart = new Map<number, ByPart>()
  const whole = new Map<string, { kernel: string; bindings: number }>()
  const parts: (readonly number[] | undefined)[][] = []
  for (let before = -1; before < cutAtRows.size + whole.size;) {
    before = cutAtRows.size + whole.size
    for (const [k, { name, args }] of kernels.entries()) {
      const lengths = args.map((a, i) => {
        const names = [...slots[k][i]]
        // Weights that one dispatch reads in turn, layer by layer, lie alike.
        const because = names.map((n) => whole.get(n)).find((x) => x)
        if (because) for (const n of names) whole.set(n, whole.get(n) ?? because)
        const atRows = names.some((n) => cutAtRows.has(n))
        if (atRows) for (const n of names) cutAtRows.add(n)
        return because ? undefined : partsOf(a, most, atRows)
      })
      parts[k] = lengths
      byPart.delete(k)
      const bindings = lengths.reduce((n, p) => n + (p?.length ?? 1), 0)
      if (bindings <= bindable) continue
      const i = largestOf(lengths)
      const found = i < 0 ? undefined : onePart(kernels[k], i, lengths, most, bindable)
      if (found) {
        byPart.set(k, found)
        for (const n of slots[k][i]) cutAtRows.add(n)
      } else
        for (const [i, p] of lengths.entries())
          if (p) for (const n of slots[k][i]) whole.set(n, whole.get(n) ?? { kernel: name, bindings })
    }
  }
  const split = parts.flatMap((args, k) =>
    args.flatMap((lengths, i) =>
      lengths ? [...slots[k][i]].map((name) => [name, { lengths, as: kernels[k].args[i].buffer }] as const) : [],
    ),
  )
  return { of: (k, a) => parts[k][a], parts: new Map(split), byPart, whole }
}
/** The argument of most parts; -1 where none has any. */
const largestOf = (parts: readonly (readonly number[] | undefined)[]): number =>
  parts.reduce((best, p, i) => (p && p.length > (parts[best]?.length ?? 0) ? i : best), -1)
/** A kernel that takes an argument one part at a time, where it has bindings enough for that. */
function onePart(
  kernel: StageKernel,
  argument: number,
  lengths: readonly (readonly number[] | undefined)[],
  most: number,
  bindable: number,
): ByPart | undefined {
  const { buffer } = kernel.args[argument]
  const found = byParts(kernel, buffer, partsOf(kernel.args[argument], most, true)!)
  const count = (b: Buffer): number => lengths[kernel.args.findIndex((a) => a.buffer === b)]?.length ?? 1
  const fits = found?.list.every((x) => x.kernel.args.reduce((n, a) => n + count(a.buffer), 0) <= bindable)
  return fits ? found : undefined
}
const allDispatches = (steps: readonly HostStep[]): (HostStep & { k: 'dispatch' })[] =>
  steps.flatMap((s) => (s.k === 'dispatch' ? s : allDispatches(s.body)))

/** How a weight is declared that is read through a function: the parts' names, the elements in each but the last (of what is kept: words in a row), and the function. */
export interface Parts {
  readonly names: readonly string[]
  readonly each: number
  readonly last: number
  readonly read: string
}

/** The function that reads an element by its place: elements of the type `type`, each `lanes` numbers. */
export function elementReader(type: string, parts: Parts, lanes: 1 | 4): string[] {
  const each = parts.each / lanes
  return readerLines(`${parts.read}(i: i32) -> ${type}`, 'i', each, parts, (name, n) => `${name}[${less('i', n * each)}]`) // prettier-ignore
}

/** The function that reads a word of what is kept by its row and column. */
export function wordReader(parts: Parts): string[] {
  const { each, last, names } = parts
  return readerLines(`${parts.read}(row: i32, four: i32) -> vec4u`, 'four', each, parts, (name, n) => {
    const length = n === names.length - 1 ? last : each
    return `${name}[row * ${length} + ${less('four', n * each)}]`
  })
}
const less = (x: string, by: number): string => (by === 0 ? x : `${x} - ${by}`)

function readerLines(
  head: string,
  by: string,
  each: number,
  { names }: Parts,
  element: (name: string, part: number) => string,
): string[] {
  if (names.length === 1) return [`fn ${head} { return ${element(names[0], 0)}; }`]
  return [
    `fn ${head} {`,
    ...names.map((name, n) => {
      const value = `return ${element(name, n)};`
      return n === names.length - 1 ? `  ${value}` : `  if (${by} < ${(n + 1) * each}) { ${value} }`
    }),
    '}',
  ]
}
