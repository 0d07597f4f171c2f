/** The process of one contender: it answers messages of the runner, and ends with the channel. */

export interface Failed {
  readonly k: 'failed'
  readonly message: string
}

export function serve<Request, Reply>(answer: (request: Request) => Promise<Reply>): void {
  process.on('message', (request: Request) => {
    void answer(request)
      .catch((thrown): Failed => ({ k: 'failed', message: thrown instanceof Error ? thrown.message : `${thrown}` }))
      .then((reply) => process.send!(reply))
  })
  process.on('disconnect', () => process.exit(0))
}

/** Milliseconds of calls, one after another, for so many milliseconds: one at least, and at most `limit`. */
export async function timesOf(run: () => Promise<unknown>, ms: number, limit = Infinity): Promise<readonly number[]> {
  const times: number[] = []
  const start = performance.now()
  for (let now = start; times.length === 0 || (now - start < ms && times.length < limit);) {
    await run()
    const end = performance.now()
    times.push(end - now)
    now = end
  }
  return times
}

/** Numbers as text for a message. */
export const encoded = (x: Float32Array): string => Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('base64')
