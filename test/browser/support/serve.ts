/** A server of a folder, or of files in memory, as a careful host sets one up: a strict policy, and isolation where it is wanted. */
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}
/** What the page and the modules need: scripts and WebAssembly of their own server, and nothing else. */
export const strict =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"

export interface Served {
  readonly url: string
  /** Paths that were asked for, in order. */
  readonly asked: string[]
  close(): void
}

/** `isolated`: with COOP and COEP, so that pages may share memory with their workers. */
export async function serve(
  files: string | ReadonlyMap<string, string | Uint8Array>,
  { isolated }: { readonly isolated: boolean },
): Promise<Served> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://localhost').pathname)
    const file = path.endsWith('/') ? `${path}index.html` : path
    asked.push(file)
    response.setHeader('Content-Security-Policy', strict)
    response.setHeader('Content-Type', types[extname(file)] ?? 'application/octet-stream')
    // Names of assets are those of their contents.
    if (file.startsWith('/assets/')) response.setHeader('Cache-Control', 'max-age=31536000, immutable')
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp')
    }
    if (typeof files === 'string') {
      const place = join(files, normalize(file))
      const size = statSync(place, { throwIfNoEntry: false })
      if (size?.isFile()) {
        response.setHeader('Content-Length', size.size)
        return void createReadStream(place).pipe(response)
      }
    } else if (files.has(file)) return void response.end(files.get(file))
    response.statusCode = 404
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
