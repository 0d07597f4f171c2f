/** Facts that depend only on a node's op, attributes and types: layers repeat them, so they are computed once per structure. */
import { attrsKey } from './attrs.ts'
import type { Node } from './types.ts'

/** Beyond this many nodes a memo starts anew, so that none grows with the number of compilations. */
const capacity = 1 << 14
const keys = new Map<Node, string>()

/** Equal for nodes of equal op, attributes and operand types. */
export function structuralKey(n: Node): string {
  let key = keys.get(n)
  if (key === undefined) {
    key = `${n.op}|${attrsKey(n.attrs)}`
    for (const { type } of n.inputs) {
      key += `;${type.dtype}`
      for (const d of type.shape) key += `,${d.id}`
    }
    if (keys.size >= capacity) keys.clear()
    keys.set(n, key)
  }
  return key
}

export function memoByStructure<X>(f: (n: Node) => X): (n: Node) => X {
  const byNode = new Map<Node, { readonly value: X }>()
  const byKey = new Map<string, { readonly value: X }>()
  return (n) => {
    let found = byNode.get(n)
    if (found === undefined) {
      const key = structuralKey(n)
      found = byKey.get(key)
      if (found === undefined) {
        if (byKey.size >= capacity) byKey.clear()
        byKey.set(key, (found = { value: f(n) }))
      }
      if (byNode.size >= capacity) byNode.clear()
      byNode.set(n, found)
    }
    return found.value
  }
}
