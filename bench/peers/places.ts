/** Where the benchmark keeps what, and how it reaches packages that only it has installed. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../src/package-root.ts'

/** package.json, node_modules and cache of the benchmark: of this one, or of the one that TFM_BENCH names. */
export const here = join(packageRoot(), 'bench', process.env.TFM_BENCH ?? 'peers')
/** Checkpoints, graphs and emitted modules: made when they are missing. */
export const cache = join(here, '.cache', process.env.TFM_BENCH_CACHE ?? '')

export const requirePeer = createRequire(join(here, 'package.json'))

/** Imports a package from the benchmark's own node_modules, as `T` describes it: what a CommonJS one exports, or the names of a module. */
export async function peer<T>(name: string): Promise<T> {
  const imported = (await import(pathToFileURL(requirePeer.resolve(name)).href)) as T & { readonly default?: T }
  return imported.default ?? imported
}

/** The same of one file of a package, which its `exports` may hide. */
export async function peerFile<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(here, 'node_modules', path)).href)) as T
}

export const versionOf = (name: string): string =>
  (requirePeer(join(here, 'node_modules', name, 'package.json')) as { version: string }).version

/** The executable of the newer Node that `--wide` contenders run on, if one was installed for this machine. */
export function newerNode(): string | undefined {
  const path = join(
    here,
    'node_modules',
    `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`,
  )
  const binary = join(path, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  return existsSync(binary) ? binary : undefined
}
