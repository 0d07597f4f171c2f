import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tuningStore } from '../../src/cli/tuning-store.ts'
import { recall, remember } from '../../targets/wgsl/runtime/tune.ts'

test('what was measured is in a file of the cache; other keys, damage and a folder that is none are no choice', async () => {
  const home = mkdtempSync(join(tmpdir(), 'tfm-tuning-'))
  try {
    const store = tuningStore({ XDG_CACHE_HOME: home })
    const key = 'tfm tuning 1: ../../etc//x: 1f'
    expect(await recall(store, key)).toBeUndefined()
    await remember(store, key, ['few', 'rows'])
    expect(await recall(store, key)).toEqual(['few', 'rows'])
    expect(await recall(store, `${key}0`)).toBeUndefined()
    const folder = join(home, 'tfm', 'tuning')
    const [name, ...more] = readdirSync(folder)
    expect([name, more]).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.txt$/), []])
    expect(readFileSync(join(folder, name), 'utf8')).toBe(`${key}\ntaken few rows`)
    writeFileSync(join(folder, name), 'other\ntaken few')
    expect(await recall(store, key)).toBeUndefined()
    const none = tuningStore({ XDG_CACHE_HOME: join(folder, name) })
    await remember(none, key, [])
    expect(await recall(none, key)).toBeUndefined()
  } finally {
    rmSync(home, { recursive: true })
  }
})
