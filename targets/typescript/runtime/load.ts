// Weights: streamed tensor by tensor, each packed into its slot as soon as all that it is made of has come.
import type { LoadOptions, WeightRules, WeightSpec } from '../../runtime/weights.ts'
import { loadWeights } from '../../runtime/weights.ts'
import type { WeightSource } from '../../runtime/source.ts'
import { Store } from './session.ts'

export interface WeightSlot {
  readonly name: string
  /** The tensors it is made of; itself when absent. */
  readonly from?: readonly string[]
  /** Fills the slot (`length` elements) from the tensors. Absent: the tensor as it is. */
  readonly pack?: (...arrays: Float32Array[]) => void
  readonly length?: number
}

export async function loadSlots(
  source: WeightSource,
  specs: readonly WeightSpec[],
  rules: WeightRules,
  slots: readonly WeightSlot[],
  options: LoadOptions,
): Promise<Store> {
  const store = new Store()
  const raw = new Map<string, Float32Array | Int32Array>()
  const open = new Set(slots)
  const tied = new Set(specs.map((s) => s.fallback))
  const settle = (name: string): void => {
    for (const slot of open) {
      const from = slot.from ?? [slot.name]
      if (!from.includes(name) || !from.every((n) => raw.has(n))) continue
      const arrays = from.map((n) => raw.get(n)!)
      store.arrays[slot.name] = arrays[0]
      if (slot.pack) {
        const packed = new Float32Array(slot.length ?? arrays[0].length)
        slot.pack(...(arrays as Float32Array[]), packed)
        store.arrays[slot.name] = packed
      }
      open.delete(slot)
    }
    for (const n of raw.keys())
      if (!tied.has(n) && ![...open].some((s) => (s.from ?? [s.name]).includes(n))) raw.delete(n)
  }
  const aliases = await loadWeights(
    source,
    specs,
    rules,
    ({ name }, data) => {
      raw.set(name, data)
      settle(name)
    },
    options,
  )
  for (const [name, other] of aliases) {
    raw.set(name, raw.get(other)!)
    settle(name)
  }
  // Constant tables are made of nothing.
  for (const slot of open)
    if (slot.from?.length === 0) slot.pack?.((store.arrays[slot.name] = new Float32Array(slot.length ?? 0)))
  return store
}
