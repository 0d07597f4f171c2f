import { randomUUID } from 'node:crypto'
import { lstat, mkdir, open, rename, rm, rmdir, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, sep } from 'node:path'

/**
 * Writes `files` (path relative to `dir` → contents) into `dir`; folders that are missing are made. Everything is first
 * written under temporary names beside the final ones and then renamed, so a reader never sees half a file, and when a
 * write fails (a full disk, say) no file in `dir` has changed. When a rename fails (a folder is in the way, say), the
 * files that were new are removed again; those that replaced an older one stay replaced. Folders made here are removed
 * too after a failure.
 * @throws Error (internal) when a path leads out of `dir`; otherwise what the file system throws.
 */
export async function writeFilesAtomically(
  dir: string,
  files: ReadonlyMap<string, string | Uint8Array>,
): Promise<void> {
  const suffix = `.${process.pid}-${randomUUID().slice(0, 8)}.tmp`
  const plan = [...files].map(([path, contents]) => {
    const target = pathInside(dir, path)
    return { target, temporary: target + suffix, contents }
  })
  const undo: (() => Promise<unknown>)[] = []
  try {
    for (const folder of new Set([dir, ...plan.map((file) => dirname(file.target))])) {
      const first = await mkdir(folder, { recursive: true })
      if (first !== undefined) undo.push(() => removeEmptyFolders(folder, first))
    }
    for (const { temporary, contents } of plan) {
      undo.push(() => rm(temporary, { force: true }))
      await writeFile(temporary, contents, { flag: 'wx' })
    }
    for (const { temporary, target } of plan) {
      const isNew = !(await exists(target))
      await rename(temporary, target)
      if (isNew) undo.push(() => rm(target, { force: true }))
    }
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => undefined)
    throw error
  }
}

/** The same for one file that is too large to be held: `write` fills it, in any order; when it throws, nothing has changed. */
export async function writeLargeFile<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  const folder = dirname(path)
  const temporary = `${path}.${process.pid}-${randomUUID().slice(0, 8)}.tmp`
  const first = await mkdir(folder, { recursive: true })
  try {
    const file = await open(temporary, 'wx')
    let result: T
    try {
      result = await write(file)
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    return result
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    if (first !== undefined) await removeEmptyFolders(folder, first).catch(() => undefined)
    throw error
  }
}

function pathInside(dir: string, path: string): string {
  const target = join(dir, path)
  const back = relative(dir, target)
  if (isAbsolute(path) || back === '' || back === '..' || back.startsWith(`..${sep}`))
    throw new Error(`internal: '${path}' is not a file inside ${dir}`)
  return target
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

/** Removes `folder` and its parents up to and including `first`, as long as they are empty. */
async function removeEmptyFolders(folder: string, first: string): Promise<void> {
  for (let at = folder; ; at = dirname(at)) {
    await rmdir(at)
    if (relative(first, at) === '') return
  }
}
