import { describe, expect, test } from 'vitest'
import { untar } from '../../src/gpu/untar.ts'

/** A ustar archive of `files`, as `tar --format=ustar` writes it (without checksums, which are not read). */
function tar(files: readonly { name: string; contents: string; type?: string; prefix?: string }[]): Uint8Array {
  const blocks = files.flatMap(({ name, contents, type = '0', prefix = '' }) => {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write(contents.length.toString(8).padStart(11, '0'), 124)
    header.write(type, 156)
    header.write('ustar', 257)
    header.write(prefix, 345)
    const body = Buffer.alloc(Math.ceil(contents.length / 512) * 512)
    body.write(contents)
    return [header, body]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

const read = (archive: Uint8Array) =>
  Object.fromEntries([...untar(archive)].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]))

describe('untar', () => {
  test('gives the regular files, whatever their length', () => {
    const long = 'x'.repeat(513)
    const archive = tar([
      { name: 'empty', contents: '' },
      { name: 'folder/', contents: '', type: '5' },
      { name: 'block', contents: 'y'.repeat(512) },
      { name: 'long.txt', contents: long, prefix: 'deep/down' },
    ])
    expect(read(archive)).toEqual({ empty: '', block: 'y'.repeat(512), 'deep/down/long.txt': long })
  })

  test('refuses an archive that was cut off, and what is not one', () => {
    expect(() => untar(tar([{ name: 'a', contents: 'z'.repeat(600) }]).subarray(0, 1024))).toThrow('not a whole tar')
    expect(() => untar(Buffer.alloc(1024, 'no tar'))).toThrow('not a whole tar')
  })
})
