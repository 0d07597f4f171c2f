import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { writeFilesAtomically } from '../src/fs-atomic.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tfm-test-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const listing = () => readdirSync(dir, { recursive: true }).map(String).sort()

describe('writeFilesAtomically', () => {
  test('writes text and bytes, makes folders, replaces, and leaves nothing else', async () => {
    writeFileSync(join(dir, 'old.txt'), 'old')
    const bytes = Uint8Array.of(0, 255, 128)
    await writeFilesAtomically(
      dir,
      new Map<string, string | Uint8Array>([
        ['old.txt', 'new'],
        ['a/b/weights.bin', bytes],
      ]),
    )
    expect(listing()).toEqual(['a', 'a/b', 'a/b/weights.bin', 'old.txt'])
    expect(readFileSync(join(dir, 'old.txt'), 'utf8')).toBe('new')
    expect(Uint8Array.from(readFileSync(join(dir, 'a/b/weights.bin')))).toEqual(bytes)
  })

  test('makes the folder itself', async () => {
    await writeFilesAtomically(join(dir, 'x/y'), new Map([['f', '1']]))
    expect(listing()).toEqual(['x', 'x/y', 'x/y/f'])
  })

  test('changes nothing when a folder cannot be made', async () => {
    writeFileSync(join(dir, 'file'), 'kept')
    const files = new Map([
      ['new/one', '1'],
      ['file/two', '2'],
    ])
    await expect(writeFilesAtomically(dir, files)).rejects.toThrow()
    expect(listing()).toEqual(['file'])
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('kept')
  })

  test('removes what it had renamed when a later rename fails', async () => {
    mkdirSync(join(dir, 'taken'))
    writeFileSync(join(dir, 'taken/inside'), 'kept')
    const files = new Map([
      ['deep/first', '1'],
      ['taken', '2'],
    ])
    await expect(writeFilesAtomically(dir, files)).rejects.toThrow()
    expect(listing()).toEqual(['taken', 'taken/inside'])
  })

  test.each(['../out', '/abs', '', '.', 'a/../..'])('refuses the path %j', async (path) => {
    await expect(writeFilesAtomically(join(dir, 'in'), new Map([[path, '']]))).rejects.toThrow('not a file inside')
    expect(listing()).toEqual([])
  })
})
