const BLOCK = 512

/**
 * The regular files of an uncompressed ustar archive, by name. Links, folders and extended headers are passed over.
 * Format: POSIX.1-1988 ustar; name at 0 (100 bytes), size in octal at 124 (12), type at 156, prefix at 345 (155).
 */
export function untar(archive: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  for (let at = 0; at + BLOCK <= archive.length && archive[at] !== 0;) {
    const header = archive.subarray(at, at + BLOCK)
    const size = parseInt(text(header, 124, 12), 8)
    if (!(size >= 0) || at + BLOCK + size > archive.length)
      throw new Error(`not a whole tar archive: bad entry at ${at}`)
    const prefix = text(header, 345, 155)
    const name = (prefix === '' ? '' : `${prefix}/`) + text(header, 0, 100)
    const type = header[156]
    if (type === 0 || type === 0x30) files.set(name, archive.subarray(at + BLOCK, at + BLOCK + size))
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  return files
}

function text(header: Uint8Array, start: number, length: number): string {
  const field = header.subarray(start, start + length)
  const end = field.indexOf(0)
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end)).trim()
}
