/** What is the same in several texts of one prompt and seed. */
import { titles, type Generated, type TargetName } from './protocol.ts'

/** In words; `at` is the first token in which not all agree. */
export function differenceOf(results: ReadonlyMap<TargetName, Generated>): {
  readonly summary: string
  readonly at?: number
} {
  const all = [...results]
  const shortest = Math.min(...all.map(([, r]) => r.ids.length))
  const longest = Math.max(...all.map(([, r]) => r.ids.length))
  let at = 0
  while (at < shortest && all.every(([, r]) => r.ids[at] === all[0][1].ids[at])) at++
  if (at === longest) return { summary: `All ${all.length} targets give the same ${at} tokens.` }
  const each = all.map(
    ([target, { ids, tokens }]) => `${titles[target]} ${at < ids.length ? JSON.stringify(tokens[at]) : 'ends'}`,
  )
  return { summary: `The first token that differs is number ${at + 1}: ${each.join(', ')}.`, at }
}

/** The text, with what begins at token `at` marked. */
export function marked(before: string, tokens: readonly string[], text: string, at: number): Node[] {
  const start = Math.min(tokens.slice(0, at).join('').length, text.length)
  const mark = document.createElement('mark')
  mark.textContent = text.slice(start)
  return [document.createTextNode(before + text.slice(0, start)), mark]
}
