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

export default defineConfig({
  // Relative, so that what is built runs from any folder of a server.
  base: './',
  plugins: [withPolicy],
  json: { stringify: true },
  server: { headers: isolated, fs: { allow: ['../..'] } },
  preview: { headers: isolated },
  worker: { format: 'es' },
  // Nothing as a data: address, which the policy forbids.
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 200 },
})
