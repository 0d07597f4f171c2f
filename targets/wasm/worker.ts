import { control } from './layout.ts'

/** The script of a thread. It is neither a module nor a script in particular: it imports nothing, and runs as both. */
export const workerText = `// A thread of the model: it sits in the module and waits for calls.
const node = globalThis.process?.getBuiltinModule?.('node:worker_threads')
const port = node ? node.parentPort : globalThis
const start = ({ module, memory, place }) => {
  const control = new Int32Array(memory.buffer)
  // Threads that wait for this one must hear that it will not come.
  const fail = () => {
    control[${control.failed / 4}] = 1
    Atomics.notify(control, ${control.phase / 4})
  }
  if (node) process.on('exit', fail)
  try {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } })
    exports.place(...place)
    port.postMessage('ready')
    exports.serve()
  } catch (thrown) {
    fail()
    port.postMessage(\`\${thrown}\`)
  }
}
if (node) port.on('message', start)
else onmessage = ({ data }) => start(data)
`
