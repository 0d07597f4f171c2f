/** Names and positions of kernels and stages, from the source. */
import type { StageOrigin } from '../kernel/stage.ts'
import { lineOf } from '../diagnostics/span.ts'
import type { Node } from '../ir/types.ts'

/** 'h.{i}.attn.c_attn (gpt2.tfm:9)' as data. */
export function describe(node: Node): StageOrigin {
  const { scope, name, span } = node.origin
  const label = scope !== '' ? scope : (name ?? node.op)
  return { label, file: span.file.path, line: lineOf(span) }
}

/** An identifier from a scope template and variable name: 'h.{i}.attn' gives `h_attn`. */
export function identifier(text: string): string {
  const cleaned = text
    .replace(/\{[^}]*\}/g, '')
    .replace(/[^A-Za-z0-9_]+/g, '_')
    .replace(/_+/g, '_')
    .replace(/^_|_$/g, '')
  return /^[A-Za-z_]/.test(cleaned) ? cleaned : `k_${cleaned}`
}

/** Gives each name once: `attn`, `attn_2`, … */
export function uniqueNames(): (wish: string) => string {
  const used = new Map<string, number>()
  return (wish) => {
    const count = (used.get(wish) ?? 0) + 1
    used.set(wish, count)
    if (count === 1) return wish
    return used.has(`${wish}_${count}`) ? uniqueFrom(used, wish, count) : reserve(used, `${wish}_${count}`)
  }
}
const reserve = (used: Map<string, number>, name: string): string => {
  used.set(name, 1)
  return name
}
function uniqueFrom(used: Map<string, number>, wish: string, from: number): string {
  let i = from
  while (used.has(`${wish}_${i}`)) i++
  return reserve(used, `${wish}_${i}`)
}
