import { defineConfig, type Plugin } from 'vite'

/** With these, pages may share memory with their workers: WebAssembly then computes on several threads. */
const isolated = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}
/** Scripts, WebAssembly and data of its own server, and nothing else. Vite's own server needs more, so that only what is built says it. */
const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
const withPolicy: Plugin = {
  name: 'policy',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: policy }, injectTo: 'head-prepend' },
  ],
}

/** Comments and spaces of kernels are for those who read the modules: a minifier leaves them, since they are text. */
const plainKernels: Plugin = {
  name: 'plain-kernels',
  apply: 'build',
  enforce: 'pre',
  transform(code, id) {
    const [from, to] = [code.indexOf('// ---- Kernels'), code.indexOf('// ---- Programs')]
    if (!/\/models\/.*\/wgsl\/\w+\.ts$/.test(id) || from < 0) return undefined
    const kernels = code
      .slice(from, to)
      .replace(/^\s*\/\/.*\n/gm, '')
      .replace(/(?<=^@group.*;) \/\/.*$/gm, '')
      .replace(/^\s+/gm, '')
      .replace(/ ?([=*+,{};]=?) ?/g, '$1')
      // `a - -b` is no decrement.
      .replace(/ ([-/<>!&|?]{1,2}=?) (?!-)/g, '$1')
    return { code: code.slice(0, from) + kernels + code.slice(to), map: null }
  },
}

export default defineConfig({
  // Relative, so that what is built runs from any folder of a server.
  base: './',
  plugins: [withPolicy],
  json: { stringify: true },
  server: { headers: isolated, fs: { allow: ['../..'] } },
  preview: { headers: isolated },
  worker: { format: 'es', plugins: () => [plainKernels] },
  // Nothing as a data: address, which the policy forbids.
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 200 },
})
