/** From the text of a module to its binary, by binaryen. */

/**
 * The binary of a module of the text format, with the names of its functions (for profiles; those of locals, a quarter of a module, are in the
 * text) and no optimisation: V8 compiles what is written, in the order in which it is written. Text that is not valid is a mistake of the printer: an internal error that quotes the line.
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
    return withoutLocalNames(module.emitBinary())
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

/** Kinds of sections, and of names in the section of names (WebAssembly Core 5.5, 7.4.1). */
const customSection = 0
const localNames = 2

/** A binary whose name section tells nothing of locals. */
export function withoutLocalNames(binary: Uint8Array): Uint8Array<ArrayBuffer> {
  const out: number[] = [...binary.subarray(0, 8)]
  for (const section of partsOf(binary.subarray(8))) {
    const size = section.body[0]
    const isNames = section.id === customSection && text(section.body.subarray(1, 1 + size)) === 'name'
    if (!isNames) for (const byte of section.whole) out.push(byte)
    else {
      const kept = partsOf(section.body.subarray(1 + size)).filter((part) => part.id !== localNames)
      const body = [...section.body.subarray(0, 1 + size), ...kept.flatMap((part) => [...part.whole])]
      out.push(customSection, ...unsigned(body.length))
      for (const byte of body) out.push(byte)
    }
  }
  return Uint8Array.from(out)
}
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

interface Part {
  readonly id: number
  readonly body: Uint8Array
  /** With its number and size. */
  readonly whole: Uint8Array
}
/** Sections, or what the section of names is made of: a number, a size, a body. */
function partsOf(bytes: Uint8Array): readonly Part[] {
  const parts: Part[] = []
  for (let at = 0; at < bytes.length;) {
    const from = at
    const id = bytes[at++]
    let size = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]
      size += (byte & 127) * 2 ** shift
      if (byte < 128) break
    }
    at += size
    parts.push({ id, body: bytes.subarray(at - size, at), whole: bytes.subarray(from, at) })
  }
  return parts
}
/** LEB128. */
function unsigned(n: number): readonly number[] {
  return n < 128 ? [n] : [(n % 128) + 128, ...unsigned(Math.floor(n / 128))]
}
