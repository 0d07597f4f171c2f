import { control } from './layout.ts'

/** The script of a thread. It is neither a module nor a script in particular: it imports nothing, and runs as both. */
export const workerText = `// A thread of the model: it sits in the module and waits for calls.
const node = globalThis.process?.getBuiltinModule?.('node:worker_threads')
const port = node ? node.parentPort : globalThis
const start = ({ module, memory, place }) => {
  try {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } })
    exports.place(...place)
    port.postMessage('ready')
    exports.serve()
  } catch (thrown) {
    const control = new Int32Array(memory.buffer)
    control[${control.failed / 4}] = 1
    Atomics.notify(control, ${control.phase / 4})
    port.postMessage(\`\${thrown}\`)
  }
}
if (node) port.on('message', start)
else onmessage = ({ data }) => start(data)
`
