/** Facts that depend only on a node's op, attributes and types: layers repeat them, so they are computed once per structure. */
import { attrsKey } from './attrs.ts'
import type { Node } from './types.ts'

/** Of nodes of equal op, attributes and operand types: one object. */
interface Structure {
  readonly key: string
}
/** Beyond this many structures the memo starts anew, so that it does not grow with the number of compilations. */
const capacity = 1 << 14
const byKey = new Map<string, Structure>()
/** Models may have any number of nodes: those of a compilation that is over are not held. */
const byNode = new WeakMap<Node, Structure>()

function structureOf(n: Node): Structure {
  let found = byNode.get(n)
  if (found === undefined) {
    let key = `${n.op}|${attrsKey(n.attrs)}`
    for (const { type } of n.inputs) {
      key += `;${type.dtype}`
      for (const d of type.shape) key += `,${d.id}`
    }
    found = byKey.get(key)
    if (found === undefined) {
      if (byKey.size >= capacity) byKey.clear()
      byKey.set(key, (found = { key }))
    }
    byNode.set(n, found)
  }
  return found
}

export function memoByStructure<X>(f: (n: Node) => X): (n: Node) => X {
  const known = new WeakMap<Structure, { readonly value: X }>()
  return (n) => {
    const structure = structureOf(n)
    let found = known.get(structure)
    if (found === undefined) known.set(structure, (found = { value: f(n) }))
    return found.value
  }
}
