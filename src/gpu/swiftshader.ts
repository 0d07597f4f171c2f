import { randomUUID } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { packageRoot } from '../package-root.ts'
import { GpuUnavailable, messageOf } from './unavailable.ts'
import { untar } from './untar.ts'

const PACKAGE = '@sparticuz/chromium'
const LOADER = 'libvulkan.so.1'
const MANIFEST = 'vk_swiftshader_icd.json'
const DRIVER = 'libvk_swiftshader.so'
/** glibc's `RTLD_NODELETE`, which Node does not name. Without it, Node unmaps the library again: it is not an addon. */
const RTLD_NODELETE = 0x1000

/** Whether the system has a Vulkan loader of its own. Asked before Dawn is, which would warn on stderr if there is none. */
export function hasVulkanLoader(): boolean {
  try {
    process.dlopen({ exports: {} }, LOADER, constants.dlopen.RTLD_LAZY)
    return true
  } catch (error) {
    return !messageOf(error).includes('cannot open shared object file')
  }
}

/**
 * Makes SwiftShader, a software Vulkan driver, and its loader available to this process, from the optional package
 * `@sparticuz/chromium`: unpacks them once into a cache, points `VK_DRIVER_FILES` at the driver unless it is set
 * already, and maps the loader, which Dawn then finds by name. Child processes inherit the variables but need their own
 * call; a worker thread can rely on its main thread's. Safe to call again, and from many processes at once.
 * @returns the folder with the libraries.
 * @throws GpuUnavailable when this is not Linux on x64, or the package is missing.
 */
export function prepareSwiftShader(): string {
  const folder = unpackSwiftShader()
  if (!process.env['VK_DRIVER_FILES']) {
    process.env['VK_DRIVER_FILES'] = join(folder, MANIFEST)
    process.env['VK_ICD_FILENAMES'] = join(folder, MANIFEST)
  }
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen
  try {
    process.dlopen({ exports: {} }, join(folder, LOADER), RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE)
  } catch (error) {
    // Node says so of any library that is not an addon; by then it is mapped.
    if (!messageOf(error).includes('did not self-register'))
      throw noDriver(`The Vulkan loader in ${folder} does not load: ${messageOf(error)}.`, error)
  }
  return folder
}

function unpackSwiftShader(): string {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw noDriver(`The software driver exists for linux-x64 only, and this is ${process.platform}-${process.arch}.`)
  const archive = findArchive()
  const failures: string[] = []
  for (const choose of [() => join(packageRoot(), 'node_modules', '.cache', 'swiftshader'), temporaryCache]) {
    try {
      return unpackInto(choose(), archive)
    } catch (error) {
      failures.push(messageOf(error))
    }
  }
  throw noDriver(`The software driver could not be unpacked: ${failures.join('; ')}.`)
}

function findArchive(): string {
  // Not `resolve(PACKAGE)`: its `exports` hide the archive, and finding must not run the package.
  const folders = createRequire(import.meta.url).resolve.paths(PACKAGE) ?? []
  const archives = folders.map((folder) => join(folder, PACKAGE, 'bin', 'swiftshader.tar.br'))
  const archive = archives.find((file) => existsSync(file))
  if (archive === undefined)
    throw noDriver(`The package ${PACKAGE}, which carries a software driver, is not installed.`)
  return archive
}

/** Unpacks `archive` as `folder` unless that is there. The folder appears whole, by one rename, or not at all. */
function unpackInto(folder: string, archive: string): string {
  if (existsSync(folder)) return folder
  const parent = dirname(folder)
  mkdirSync(parent, { recursive: true })
  const temporary = join(parent, `.${basename(folder)}-${process.pid}-${randomUUID().slice(0, 8)}`)
  try {
    mkdirSync(temporary, { mode: 0o755 })
    const files = untar(brotliDecompressSync(readFileSync(archive)))
    for (const name of [LOADER, MANIFEST, DRIVER]) {
      const contents = files.get(name)
      if (contents === undefined) throw new Error(`${archive} has no ${name}`)
      writeFileSync(join(temporary, name), contents)
    }
    renameSync(temporary, folder)
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    if (!existsSync(folder)) throw error // else another process was first
  }
  return folder
}

/** A cache in the temporary folder. We run code from it, so it must be ours alone: otherwise a fresh one is made. */
function temporaryCache(): string {
  const owner = process.getuid?.() ?? 0
  const shared = join(tmpdir(), `tfm-${owner}`)
  try {
    mkdirSync(shared, { mode: 0o700 })
  } catch {
    const state = lstatSync(shared)
    if (!state.isDirectory() || state.uid !== owner || (state.mode & 0o022) !== 0)
      return join(mkdtempSync(join(tmpdir(), 'tfm-')), 'swiftshader')
  }
  return join(shared, 'swiftshader')
}

function noDriver(why: string, cause?: unknown): GpuUnavailable {
  return new GpuUnavailable(
    'gpu-no-driver',
    {
      what: 'No graphics driver for WebGPU was found.',
      why,
      help: `Install a Vulkan driver, or the software one: npm install --save-dev ${PACKAGE}@147.0.0`,
    },
    { cause },
  )
}
