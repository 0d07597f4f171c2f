/** Names that count: `h.0.w`, `h.1.w`, … as one template over a layer variable. */
import { quote, template } from './text.ts'

const pieces = (name: string): string[] => name.split(/(\d+)/)

/** The text of the template, or undefined when the names differ in more than a number that counts up by one. */
export function rolledName(names: readonly string[], variable: string): string | undefined {
  const all = names.map(pieces)
  const first = all[0]
  if (names.length < 2 || all.some((p) => p.length !== first.length)) return undefined
  const base = first.map((text, i) => {
    if (all.every((p) => p[i] === text)) return undefined
    const start = Number(text)
    return i % 2 === 1 && all.every((p, layer) => p[i] === String(start + layer)) ? start : NaN
  })
  const starts = new Set(base.filter((b) => b !== undefined))
  const [start] = starts
  if (starts.size !== 1 || start === undefined || Number.isNaN(start)) return undefined
  const parts: string[] = ['']
  first.forEach((text, i) => {
    if (base[i] === undefined) parts[parts.length - 1] += text
    else parts.push('')
  })
  return template(parts, start === 0 ? variable : `${variable} + ${start}`)
}

/** An expression for name `variable` of a list: a template, or a look-up. */
export const layerName = (names: readonly string[], variable: string): string => {
  if (names.every((n) => n === names[0])) return quote(names[0])
  return rolledName(names, variable) ?? `[${names.map(quote).join(', ')}][${variable}]`
}
