/** Tables of checkpoint tensors and weight slots; entries that differ only in a layer's number become one entry of a loop. */
import type { Module, WeightSlot } from '../../src/program/types.ts'
import { isConst } from '../../src/types/ix.ts'
import { rolledName } from './rolled.ts'
import { indent, quote } from './text.ts'

interface Entry {
  readonly names: readonly string[]
  /** The text of the entry, given the text of each name. */
  readonly text: (names: readonly string[]) => string
}

/** Whether a slot is one tensor of the checkpoint under its own name: it is said with the tensor. */
const isOwn = (slot: WeightSlot): boolean => slot.from.length === 1 && slot.from[0] === slot.name
/** Slots with an entry of their own: made of several tensors, or of one that others are made of too. */
export const extraSlots = (module: Module): readonly number[] =>
  module.weights.flatMap((slot, i) => {
    const alone = module.weights.every((w) => w === slot || !w.from.includes(slot.name))
    return isOwn(slot) && (alone || slot.pack !== undefined) ? [] : [i]
  })

/** `pack` gives the function that fills a slot, where it is not the tensor as it is: then tensors say how they are packed. */
export function specLines(module: Module, pack: Pack = () => undefined): string[] {
  return rolledEntries(
    module.params.map((p) => {
      const slot = module.weights.findIndex((w) => isOwn(w) && w.name === p.name)
      const packed = slot < 0 ? undefined : pack(slot)
      const length = slot < 0 ? 0 : isConst(module.weights[slot].layout.size)
      const size = p.shape.reduce((a, b) => a * b, 1) === length ? '' : `, length: ${length}`
      const rest = packed === undefined ? '' : `, pack: ${packed}${size}`
      return {
        names: p.fallback === undefined ? [p.name] : [p.name, p.fallback],
        text: ([name, fallback]) =>
          `{ name: ${name}, shape: [${p.shape.join(', ')}]${fallback === undefined ? '' : `, fallback: ${fallback}`}${rest} },`,
      }
    }),
  )
}

export function slotLines(
  module: Module,
  pack: Pack,
  only: readonly number[] = module.weights.map((_, i) => i),
): string[] {
  return rolledEntries(
    only.map((i) => {
      const slot = module.weights[i]
      const packed = pack(i)
      const size = packed === undefined ? '' : `, pack: ${packed}, length: ${isConst(slot.layout.size)}`
      return {
        names: isOwn(slot) ? [slot.name] : [slot.name, ...slot.from],
        text: ([name, ...from]) => `{ name: ${name}${isOwn(slot) ? '' : `, from: [${from.join(', ')}]`}${size} },`,
      }
    }),
  )
}
type Pack = (slot: number) => string | undefined

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
