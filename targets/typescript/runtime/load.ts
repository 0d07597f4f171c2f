// Weights: streamed tensor by tensor, each packed into its slot as soon as all that it is made of has come.
import type { LoadOptions, WeightRules, WeightSpec } from '../../runtime/weights.ts'
import { loadWeights } from '../../runtime/weights.ts'
import type { readTensors, WeightSource } from '../../runtime/source.ts'
import { Store } from './session.ts'

/** How a slot is filled from tensors, where it is not the tensor as it is; `length` where it differs from the tensor's. */
interface Packing {
  pack?: (...arrays: Float32Array[]) => void
  length?: number
}
/** A tensor, and the slot of that name; none, if slots of other names are made of it, unless it says `pack`. */
export type PackedSpec = WeightSpec & Packing
/** A slot that is not one tensor. */
export type WeightSlot = Packing & { name: string; from?: readonly string[] }

export async function loadSlots(
  specs: readonly PackedSpec[],
  rules: WeightRules,
  options: LoadOptions & { readonly weights: WeightSource },
  slots: readonly WeightSlot[] = [],
  read?: typeof readTensors,
): Promise<Store> {
  const store = new Store()
  const raw = new Map<string, Float32Array>()
  const sources = (slot: WeightSlot) => slot.from ?? [slot.name]
  const elsewhere = new Set(slots.flatMap(sources))
  const open = new Set<WeightSlot>([...slots, ...specs.filter((s) => s.pack || !elsewhere.has(s.name))])
  const tied = new Set(specs.map((s) => s.fallback))
  const settle = () => {
    for (const slot of open) {
      const arrays = sources(slot).map((name) => raw.get(name)!)
      if (!arrays.every(Boolean)) continue
      const to = slot.pack ? new Float32Array(slot.length ?? arrays[0].length) : arrays[0]
      slot.pack?.(...arrays, to)
      store.arrays[slot.name] = to
      open.delete(slot)
    }
    const wanted = new Set([...tied, ...[...open].flatMap(sources)])
    for (const name of raw.keys()) if (!wanted.has(name)) raw.delete(name)
  }
  settle()
  const keep = ({ name }: WeightSpec, data: Float32Array) => {
    raw.set(name, data)
    settle()
  }
  for (const [name, other] of await loadWeights(options.weights, specs, rules, keep, options, read)) {
    raw.set(name, raw.get(other)!)
    settle()
  }
  return store
}
