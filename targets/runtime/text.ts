import { TfmError } from './errors.ts'

export interface TextOptions {
  /** The text of token ids: that of all that were generated is asked for, so that it may differ from the texts of single ids. */
  decode: (ids: readonly number[]) => string
  /** Texts that end it; no part of them is given out. */
  stopStrings?: readonly string[]
}

/** Pieces of text, as soon as they cannot become a part of a stop string or of an unfinished character. */
export async function* textOf(
  tokens: AsyncIterable<number>,
  { decode, stopStrings = [] }: TextOptions,
): AsyncGenerator<string, void> {
  if (stopStrings.includes('')) throw new TfmError('TFM2020', 'bad options: an empty text in stopStrings')
  const ids: number[] = []
  let [text, shown] = ['', 0]
  for await (const id of tokens) {
    ids.push(id)
    text = decode(ids)
    const found = stopStrings.map((s) => text.indexOf(s, shown)).filter((at) => at >= 0)
    let end = Math.min(text.length, ...found)
    if (found.length === 0) {
      while (text[end - 1] === '\uFFFD') end--
      for (let at = shown; at < end; at++) if (stopStrings.some((s) => s.startsWith(text.slice(at, end)))) end = at
    }
    if (end > shown) yield text.slice(shown, end)
    if (found.length > 0) return
    shown = Math.max(shown, end)
  }
  if (text.length > shown) yield text.slice(shown)
}
