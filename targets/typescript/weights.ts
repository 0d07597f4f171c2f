/** Tables of checkpoint tensors and weight slots; entries that differ only in a layer's number become one entry of a loop. */
import type { Module } from '../../src/program/types.ts'
import { isConst } from '../../src/types/ix.ts'
import { rolledName } from './rolled.ts'
import { indent, quote } from './text.ts'

interface Entry {
  readonly names: readonly string[]
  /** The text of the entry, given the text of each name. */
  readonly text: (names: readonly string[]) => string
}

export function specLines(module: Module): string[] {
  return rolledEntries(
    module.params.map((p) => ({
      names: p.fallback === undefined ? [p.name] : [p.name, p.fallback],
      text: ([name, fallback]) =>
        `{ name: ${name}, shape: [${p.shape.join(', ')}]${fallback === undefined ? '' : `, fallback: ${fallback}`} },`,
    })),
  )
}

/** `pack` gives the name of the function that fills a slot, where it is not the tensor as it is. */
export function slotLines(module: Module, pack: (slot: number) => string | undefined): string[] {
  return rolledEntries(
    module.weights.map((slot, i) => {
      const packed = pack(i)
      const plain = slot.from.length === 1 && slot.from[0] === slot.name
      const size = packed === undefined ? '' : `, pack: ${packed}, length: ${isConst(slot.layout.size)}`
      return {
        names: plain ? [slot.name] : [slot.name, ...slot.from],
        text: ([name, ...from]) => `{ name: ${name}${plain ? '' : `, from: [${from.join(', ')}]`}${size} },`,
      }
    }),
  )
}

function rolledEntries(entries: readonly Entry[]): string[] {
  const groups = new Map<string, Entry[]>()
  for (const e of entries) {
    // Layers are the first number of a name; others (`ln_1`, `ln_2`) tell tensors of a layer apart.
    const key = e.text(e.names.map((n) => n.replace(/\d+/, '#')))
    groups.set(key, [...(groups.get(key) ?? []), e])
  }
  const single: string[] = []
  const loops = new Map<number, string[]>()
  for (const group of groups.values()) {
    const names = group[0].names.map((_, i) =>
      rolledName(
        group.map((e) => e.names[i]),
        'i',
      ),
    )
    if (group.length < 2 || names.some((n) => n === undefined))
      single.push(...group.map((e) => e.text(e.names.map(quote))))
    else loops.set(group.length, [...(loops.get(group.length) ?? []), group[0].text(names.map((n) => n!))])
  }
  return [
    ...single,
    ...[...loops].flatMap(([count, lines]) => [`...layers(${count}, (i) => [`, ...indent(lines), ']),']),
  ]
}
