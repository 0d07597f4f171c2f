/** Texts that differ in names and numbers only, and what a function of these would save. */

/** What functions have at most for parameters: with more the text is easier to read where it is. */
export const PARAMETERS = 6

/** Names and numbers of a text, and what is around them. */
export interface Cut {
  readonly text: string
  readonly name: string
  readonly words: readonly string[]
  readonly between: readonly string[]
}
export function cut(name: string, text: string): Cut {
  const words: string[] = []
  const between: string[] = []
  let from = 0
  for (const { 0: word, index } of text.matchAll(/(?<![\w.])\d[\w.]*(?:(?<=[\d.]e)[-+]\d+)?|[A-Za-z_]\w*/g)) {
    between.push(text.slice(from, index))
    words.push(word)
    from = index + word.length
  }
  return { text, name, words, between: [...between, text.slice(from)] }
}
const isType = (word: string): boolean => /^(vec[234][fiu]|[fiu]32|f16|vec4h)$/.test(word)
export const wishOf = (word: string): string => (isNumber(word) ? 'n' : isType(word) ? 'element' : word)
export const isNumber = (word: string): boolean => /^\d/.test(word)

/** Texts that differ in words at the same places; `parameters` are the lists of words that do, each once. */
export interface Family {
  readonly members: readonly Cut[]
  readonly parameters: readonly (readonly string[])[]
}
export const column = ({ members }: Pick<Family, 'members'>, i: number): readonly string[] =>
  members.map((m) => m.words[i])
const varies = (list: readonly string[]): boolean => list.some((w) => w !== list[0])
export function familyOf(members: readonly Cut[]): Family {
  const parameters = new Map<string, readonly string[]>()
  members[0].words.forEach((_, i) => {
    const list = column({ members }, i)
    if (varies(list)) parameters.set(list.join(), list)
  })
  return { members, parameters: [...parameters.values()] }
}
/** Characters that a member less would save. */
export const saved = ({ members, parameters }: Family): number =>
  members[0].text.length - parameters.reduce((n, [first]) => n + first.length + 12, 40)
