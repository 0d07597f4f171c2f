/** An error that the caller can act on; `code` is explained in the error index of tfm. */
export class TfmError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(`${code}: ${message}`)
    this.name = 'TfmError'
    this.code = code
  }
}
