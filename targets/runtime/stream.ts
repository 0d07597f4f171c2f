export interface StreamOptions {
  /** Gives out the prompt first. */
  echo?: boolean
  /** Called with each token that is given out; `row` is its place in a batch. */
  onToken?: (id: number, row: number) => void
}

/** The tokens, after the prompt where it is wanted, told as they come. */
export async function* streamed(
  tokens: AsyncIterable<number>,
  prompt: ArrayLike<number>,
  { echo, onToken }: StreamOptions,
): AsyncGenerator<number, void> {
  const tell = (id: number) => {
    onToken?.(id, 0)
    return id
  }
  if (echo) for (const id of Array.from(prompt)) yield tell(id)
  for await (const id of tokens) yield tell(id)
}
