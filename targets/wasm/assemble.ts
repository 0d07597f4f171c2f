/** From the text of a module to its binary, by binaryen. */

/**
 * The binary of a module of the text format, with its name section and no optimisation: V8 compiles what is written, in the order in
 * which it is written. Text that is not valid is a mistake of the printer: an internal error that quotes the line.
 */
export async function assemble(text: string): Promise<Uint8Array<ArrayBuffer>> {
  // 0.3 s to load: only where a binary is asked for.
  const { default: binaryen } = await import('binaryen')
  let module
  try {
    module = binaryen.parseText(text)
  } catch (cause) {
    const { message = String(cause) } = cause as { readonly message?: string }
    throw new Error(`internal: ${lineOf(text, message)}`)
  }
  try {
    module.setFeatures(binaryen.Features.All)
    // What it finds, binaryen writes to the console.
    if (!module.validate()) throw new Error('internal: binaryen finds the printed module invalid')
    binaryen.setDebugInfo(true)
    return module.emitBinary() as Uint8Array<ArrayBuffer>
  } finally {
    module.dispose()
  }
}

/** The message with the line that it names. */
function lineOf(text: string, message: string): string {
  const at = /(\d+):(\d+)/.exec(message)
  const line = at === null ? undefined : text.split('\n')[Number(at[1]) - 1]
  return line === undefined ? message : `${message}\n${line}`
}
