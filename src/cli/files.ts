/** Sources, configs and folders, as the user names them. */
import { readFileSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fail, say, sourceFile, type SourceFile } from '../diagnostics/index.ts'
import type { Resolve } from '../frontend/index.ts'
import { systemError } from './errors.ts'
import type { Io } from './io.ts'

/** The largest source that is read. */
const mostBytes = 4_000_000

/** A `.tfm` source; its path in messages is the one that was given. Throws TFM1101 and TFM1104. */
export function readSource(io: Pick<Io, 'cwd'>, path: string): SourceFile {
  const text = readText(resolve(io.cwd, path), path)
  if (text === undefined) fail(say.fileNotFound(undefined, path))
  return sourceFile(path, text)
}

/** Finds imported files; their paths are relative to the same folder as the main file's. */
export const importsFrom =
  (io: Pick<Io, 'cwd'>): Resolve =>
  (path) =>
    readText(resolve(io.cwd, path), path)

function readText(file: string, shown: string): string | undefined {
  try {
    const { size } = statSync(file)
    if (size > mostBytes) fail(say.unreadableFile(undefined, shown, `it has ${size} bytes, more than ${mostBytes}`))
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (thrown) {
    if (!(thrown instanceof Error) || !('code' in thrown)) throw thrown
    if (thrown.code === 'ENOENT') return undefined
    if (thrown.code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      fail(say.unreadableFile(undefined, shown, 'it is not UTF-8 text'))
    const why = systemError(thrown.code)
    return why === undefined ? undefined : fail(say.unreadableFile(undefined, shown, why))
  }
}

export const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (s) => s.isFile(),
    () => false,
  )
export const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (s) => s.isDirectory(),
    () => false,
  )

/** The folders in which what belongs to a model may lie: beside its weights, then beside its source. As the user would write them. */
export async function foldersOf(io: Io, model: string, weights?: string): Promise<string[]> {
  const places = weights === undefined ? [] : [(await isFolder(resolve(io.cwd, weights))) ? weights : dirname(weights)]
  return [...new Set([...places, dirname(model)])]
}

/** The first of `names` that lies in one of `folders`. */
export async function findBeside(
  io: Io,
  folders: readonly string[],
  names: readonly string[],
): Promise<string | undefined> {
  for (const folder of folders)
    for (const name of names) if (await isFile(resolve(io.cwd, folder, name))) return join(folder, name)
  return undefined
}
