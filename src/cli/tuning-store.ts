/** Where the command line keeps what WGSL modules measured of graphics cards: a file for each adapter and module in the user's cache. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { writeFilesAtomically } from '../fs-atomic.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The folder of caches that this system's users have. */
function cacheOf(env: Environment): string {
  if (env['XDG_CACHE_HOME']) return env['XDG_CACHE_HOME']
  if (process.platform === 'win32') return env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local')
  return join(homedir(), ...(process.platform === 'darwin' ? ['Library', 'Caches'] : ['.cache']))
}

/** What `load({ tuning })` takes. Where nothing can be read or written, it throws: then nothing is kept. */
export function tuningStore(env: Environment) {
  const folder = join(cacheOf(env), 'tfm', 'tuning')
  const nameOf = (key: string): string => `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.txt`
  return {
    async get(key: string): Promise<string | undefined> {
      const text = await readFile(join(folder, nameOf(key)), 'utf8')
      return text.startsWith(`${key}\n`) ? text.slice(key.length + 1) : undefined
    },
    set: (key: string, value: string): Promise<void> =>
      writeFilesAtomically(folder, new Map([[nameOf(key), `${key}\n${value}`]])),
  }
}
