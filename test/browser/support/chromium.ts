/** Chromium's headless shell as npm brings it: the archive of `@sparticuz/chromium`, unpacked once, driven by `playwright-core`. No system package is needed. */
import { randomUUID } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { brotliDecompressSync, createBrotliDecompress } from 'node:zlib'
import { chromium, type Browser } from 'playwright-core'
import { untar } from '../../../src/gpu/untar.ts'
import { packageRoot } from '../../../src/package-root.ts'

const flags = [
  '--no-first-run',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
]

/** As in the other tests: zeroing workgroup memory is most of what a pipeline costs on SwiftShader. */
const quick = '--enable-dawn-features=disable_workgroup_init'

/** `gpu: false` is a browser in which WebGPU finds no adapter; `asShipped` compiles pipelines as that of a user does. */
export async function openBrowser({ gpu = true, asShipped = false } = {}): Promise<Browser> {
  const folder = await unpackChromium()
  return chromium.launch({
    executablePath: join(folder, 'headless_shell'),
    args: [...flags, ...(gpu ? ['--enable-unsafe-webgpu'] : []), ...(asShipped ? [] : [quick])],
    env: { ...process.env, LD_LIBRARY_PATH: join(folder, 'lib'), FONTCONFIG_PATH: join(folder, 'fonts'), HOME: folder },
  })
}

/** The folder with the shell, its software graphics driver, and libraries and fonts that a bare system lacks. */
async function unpackChromium(): Promise<string> {
  const folder = join(packageRoot(), 'node_modules', '.cache', 'chromium')
  if (existsSync(folder)) return folder
  const bin = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '..', '..', 'bin')
  const temporary = `${folder}-${process.pid}-${randomUUID().slice(0, 8)}`
  const put = (path: string, contents: Uint8Array | string): void => {
    mkdirSync(dirname(join(temporary, path)), { recursive: true })
    writeFileSync(join(temporary, path), contents)
  }
  try {
    for (const [archive, into] of [
      ['swiftshader', '.'],
      ['al2023', '.'],
      ['fonts', 'fonts'],
    ])
      // prettier-ignore
      for (const [name, contents] of untar(brotliDecompressSync(readFileSync(join(bin, `${archive}.tar.br`)))))
        put(join(into, name), contents)
    // The one in the archive names folders of its own. These go where the project goes.
    put(
      'fonts/fonts.conf',
      '<fontconfig><dir prefix="relative">.</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>',
    )
    const shell = createWriteStream(join(temporary, 'headless_shell'), { mode: 0o755 })
    await pipeline(createReadStream(join(bin, 'chromium.br')), createBrotliDecompress(), shell)
    renameSync(temporary, folder)
  } catch (thrown) {
    rmSync(temporary, { recursive: true, force: true })
    if (!existsSync(folder)) throw thrown // else another process was first
  }
  return folder
}
