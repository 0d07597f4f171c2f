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

/** Lines of a table, and the places in the module of what they list, in the order of the list. */
export interface Listed {
  readonly lines: string[]
  readonly order: readonly number[]
}
/** `pack` gives the function that fills a slot, where it is not the tensor as it is: then tensors say how they are packed. */
export const specLines = (module: Module, pack: Pack = () => undefined): string[] => listSpecs(module, pack).lines
/** `more` gives further fields of a tensor. */
export function listSpecs(module: Module, pack: Pack, more: (param: number) => string = () => ''): Listed {
  return rolledEntries(
    module.params.map((p, i) => {
      const slot = module.weights.findIndex((w) => isOwn(w) && w.name === p.name)
      const packed = slot < 0 ? undefined : pack(slot)
      const length = slot < 0 ? 0 : isConst(module.weights[slot].layout.size)
      const size = p.shape.reduce((a, b) => a * b, 1) === length ? '' : `, length: ${length}`
      const rest = (packed === undefined ? '' : `, pack: ${packed}${size}`) + more(i)
      return {
        names: p.fallback === undefined ? [p.name] : [p.name, p.fallback],
        text: ([name, fallback]) =>
          `{ name: ${name}, shape: [${p.shape.join(', ')}]${fallback === undefined ? '' : `, fallback: ${fallback}`}${rest} },`,
      }
    }),
  )
}

export const slotLines = (
  module: Module,
  pack: Pack,
  only?: readonly number[],
  more?: (slot: number) => string,
): string[] => listSlots(module, pack, only, more).lines
/** `more` gives further fields of a slot. */
export function listSlots(
  module: Module,
  pack: Pack,
  only: readonly number[] = module.weights.map((_, i) => i),
  more: (slot: number) => string = () => '',
): Listed {
  const listed = rolledEntries(
    only.map((i) => {
      const slot = module.weights[i]
      const packed = pack(i)
      const size = (packed === undefined ? '' : `, pack: ${packed}, length: ${isConst(slot.layout.size)}`) + more(i)
      return {
        names: isOwn(slot) ? [slot.name] : [slot.name, ...slot.from],
        text: ([name, ...from]) => `{ name: ${name}${isOwn(slot) ? '' : `, from: [${from.join(', ')}]`}${size} },`,
      }
    }),
  )
  return { lines: listed.lines, order: listed.order.map((i) => only[i]) }
}
type Pack = (slot: number) => string | undefined

function rolledEntries(entries: readonly Entry[]): Listed {
  const groups = new Map<string, Entry[]>()
  for (const e of entries) {
    // Layers are the first number of a name; others (`ln_1`, `ln_2`) tell tensors of a layer apart.
    const key = e.text(e.names.map((n) => n.replace(/\d+/, '#')))
    groups.set(key, [...(groups.get(key) ?? []), e])
  }
  const single: string[] = []
  const order: number[] = []
  const loops = new Map<number, { readonly lines: string[]; readonly groups: (readonly Entry[])[] }>()
  for (const group of groups.values()) {
    const names = group[0].names.map((_, i) =>
      rolledName(
        group.map((e) => e.names[i]),
        'i',
      ),
    )
    if (group.length < 2 || names.some((n) => n === undefined)) {
      single.push(...group.map((e) => e.text(e.names.map(quote))))
      order.push(...group.map((e) => entries.indexOf(e)))
    } else {
      const loop = loops.get(group.length) ?? { lines: [], groups: [] }
      loops.set(group.length, loop)
      loop.lines.push(group[0].text(names.map((n) => n!)))
      loop.groups.push(group)
    }
  }
  for (const [count, { groups }] of loops)
    for (let i = 0; i < count; i++) order.push(...groups.map((g) => entries.indexOf(g[i])))
  const looped = [...loops].flatMap(([count, { lines }]) => [`...layers(${count}, (i) => [`, ...indent(lines), ']),'])
  return { lines: [...single, ...looped], order }
}
