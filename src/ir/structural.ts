/** Facts that depend only on a node's op, attributes and types: layers repeat them, so they are computed once per structure. */
import { attrsKey } from './attrs.ts'
import type { Node } from './types.ts'

const keys = new WeakMap<Node, string>()

/** Equal for nodes of equal op, attributes and operand types. */
export function structuralKey(n: Node): string {
  let key = keys.get(n)
  if (key === undefined) {
    const types = n.inputs.map((x) => `${x.type.dtype}[${x.type.shape.map((d) => d.id).join()}]`)
    keys.set(n, (key = `${n.op}|${attrsKey(n.attrs)}|${types.join(';')}`))
  }
  return key
}

/** More structures than any model has; the memo starts anew beyond it, since dims are fresh symbols in each compilation. */
const capacity = 4096

export function memoByStructure<X>(f: (n: Node) => X): (n: Node) => X {
  const byNode = new WeakMap<Node, { readonly value: X }>()
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
      byNode.set(n, found)
    }
    return found.value
  }
}
