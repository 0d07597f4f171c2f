/** Emitted modules brought to life in this process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { contentsOf, type Artifact } from '../target.ts'

/** A module from its text. */
export const importText = (text: string): Promise<unknown> =>
  import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)

export interface Imported {
  readonly module: unknown
  /** To be called when the module is loaded and will read no more of its files. */
  readonly close: () => void
}

/** The JavaScript of `artifacts`, imported: from memory, if it reads no file beside it. */
export async function importArtifacts(artifacts: readonly Artifact[]): Promise<Imported> {
  if (artifacts.some((a) => a.bytes)) return importFromFolder(artifacts)
  return { module: await importText(mainOf(artifacts).text), close: () => {} }
}

/** The same from a folder of its own among temporary files. */
export async function importFromFolder(artifacts: readonly Artifact[]): Promise<Imported> {
  const folder = mkdtempSync(join(tmpdir(), 'tfm-'))
  const close = (): void => {
    process.off('exit', close)
    rmSync(folder, { recursive: true, force: true })
  }
  process.on('exit', close)
  try {
    const files = [
      ...artifacts.map((a) => [a.path, contentsOf(a)] as const),
      ['package.json', '{"type":"module"}'] as const,
    ]
    for (const [path, contents] of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), contents)
    }
    const url = pathToFileURL(join(folder, mainOf(artifacts).path)).href
    return { module: await import(/* @vite-ignore */ url), close }
  } catch (thrown) {
    close()
    throw thrown
  }
}

function mainOf(artifacts: readonly Artifact[]): Artifact {
  const main = artifacts.find((a) => a.path.endsWith('.js'))
  if (!main) throw new Error('internal: no JavaScript was emitted')
  return main
}
