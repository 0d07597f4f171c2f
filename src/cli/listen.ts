/** How each target's kernels are heard: what changes in the emitted code, if anything does, and where times come from. */
import type { Artifact } from '../target.ts'
import { device } from './device.ts'
import type { TargetName } from './targets.ts'

/** One dispatch that was heard. */
export interface Heard {
  /** The kernel, where the target says which. */
  readonly name?: string
  /** Its variant. */
  readonly entry?: string
  /** Workgroups. */
  readonly groups?: readonly number[]
  readonly milliseconds: number
}
export interface Listener {
  /** What is measured: kernels, or only submissions as the processor sees them. */
  readonly of: 'kernels' | 'submissions'
  start(): void
  /** What came since `start`, in order. */
  take(): Promise<readonly Heard[]>
}
export interface Listening {
  /** Before the emitted files are imported. */
  readonly change: (artifacts: readonly Artifact[]) => Promise<readonly Artifact[]>
  /** Of what was imported and loaded. */
  readonly listener: (module: unknown) => Listener | undefined
  readonly close: () => void
}

/** Called before a model is loaded on the target. */
export async function listen(name: TargetName): Promise<Listening> {
  if (name === 'wgsl') return listenToDevice((await device()).device)
  let listens = false
  return {
    change: async (artifacts) => {
      const changed = name === 'typescript' ? listeningScript(artifacts) : await listeningWasm(artifacts)
      listens = changed !== undefined
      return changed ?? artifacts
    },
    listener: (module) =>
      listens ? ofTimes((module as { readonly kernelTimes: Times }).kernelTimes, name === 'wasm') : undefined,
    close: () => {},
  }
}

/** By timestamp queries, or else by the clock of the processor. */
export async function listenToDevice(gpu: GPUDevice): Promise<Listening> {
  const { timeDispatches, timeSubmits } = await import('../gpu/listen.ts')
  const change = (artifacts: readonly Artifact[]) => Promise.resolve(artifacts)
  if (!gpu.features.has('timestamp-query')) {
    const timer = timeSubmits(gpu)
    const listener: Listener = { of: 'submissions', start: () => timer.start(), take: () => timer.take() }
    return { change, listener: () => listener, close: () => timer.stop() }
  }
  const timer = timeDispatches(gpu)
  const listener: Listener = {
    of: 'kernels',
    start: () => timer.start(),
    take: async () =>
      (await timer.take()).map(({ label, entryPoint, groups, milliseconds }) => ({
        name: label,
        entry: entryPoint,
        groups,
        milliseconds,
      })),
  }
  return { change, listener: () => listener, close: () => timer.stop() }
}

/** What a changed module exports besides: milliseconds of each kernel, in order, while the list is there. */
interface Times {
  times: number[] | undefined
}
/** `marks`: not milliseconds but moments, and the negative ones are those when a program began. */
function ofTimes(kernelTimes: Times, marks: boolean): Listener {
  return {
    of: 'kernels',
    start: () => void (kernelTimes.times = []),
    take: () => {
      const times = kernelTimes.times ?? []
      kernelTimes.times = undefined
      const spans = marks ? times.flatMap((t, i) => (t < 0 ? [] : [t - Math.abs(times[i - 1])])) : times
      return Promise.resolve(spans.map((milliseconds) => ({ milliseconds })))
    },
  }
}

/** The JavaScript of the TypeScript target, listening to the functions that programs call. Undefined for text of another form. */
function listeningScript(artifacts: readonly Artifact[]): readonly Artifact[] | undefined {
  const main = artifacts.find((a) => a.path.endsWith('.js'))
  if (main === undefined) return undefined
  const section = (title: string): string | undefined =>
    new RegExp(`^// -+ ${title} -+\\n([^]*?)(?=^// -+ \\w)`, 'm').exec(main.text)?.[1]
  const [kernels, programs] = [section('Kernels'), section('Programs')]
  if (kernels === undefined || programs === undefined) return undefined
  const names = [...kernels.matchAll(/^function ([\w$]+)\(/gm)].map(([, name]) => name)
  const called = names.filter((name) => new RegExp(`^ *${name.replaceAll('$', '\\$')}\\(`, 'm').test(programs))
  if (called.length === 0) return undefined
  const more = [
    'export const kernelTimes = { times: undefined }',
    'function heard(f) {',
    '  return (...args) => {',
    '    if (kernelTimes.times === undefined) return f(...args)',
    '    const start = performance.now()',
    '    const result = f(...args)',
    '    kernelTimes.times.push(performance.now() - start)',
    '    return result',
    '  }',
    '}',
    ...called.map((name) => `${name} = heard(${name})`),
  ]
  return artifacts.map((a) => (a === main ? { ...a, text: `${a.text}\n${more.join('\n')}\n` } : a))
}

/**
 * The files of the WebAssembly target: binaries that call `heard.tick` when a program begins and after the barrier behind each dispatch, and scripts
 * that give it to them. Undefined for files of another form.
 */
async function listeningWasm(artifacts: readonly Artifact[]): Promise<readonly Artifact[] | undefined> {
  const { default: binaryen } = await import('binaryen')
  const imports = /\{ env: \{ memory(: this\.memory)? \} \}/
  const scripts = artifacts.filter((a) => a.path.endsWith('.js'))
  if (scripts.length !== 2 || !scripts.every((a) => imports.test(a.text))) return undefined
  return artifacts.map((a) => {
    if (a.bytes) {
      const module = binaryen.readBinary(a.bytes)
      const text = module.emitText()
      module.dispose()
      const changed = binaryen.parseText(ticking(text))
      changed.setFeatures(binaryen.Features.All)
      const bytes = Uint8Array.from(changed.emitBinary())
      changed.dispose()
      return { ...a, bytes }
    }
    if (!scripts.includes(a)) return a
    const worker = a.path.endsWith('.worker.js')
    const tick = worker
      ? '() => {}'
      : '(began) => kernelTimes.times?.push(began ? -performance.now() : performance.now())'
    const text = a.text.replace(imports, (_, own = '') => `{ env: { memory${own} }, heard: { tick: ${tick} } }`)
    return { ...a, text: worker ? text : `${text}\nexport const kernelTimes = { times: undefined }\n` }
  })
}

/** Programs that tell what they do. */
function ticking(text: string): string {
  const [head, ...functions] = text.split(/^(?= \(func )/m)
  const tick = (began: 0 | 1): string => `(call $tick (i32.const ${began}))`
  const changed = functions.map((f) => {
    const name = /^ \(func (\$[^\s()]+)/.exec(f)?.[1] ?? ''
    if (name === '$perform') return f.replace(/^( \(func .*\n)/, `$1${tick(1)}\n`)
    return name === '$call' || name === '$serve' ? f : f.replace(/\(call \$barrier\)/g, `$& ${tick(0)}`)
  })
  const imported = head.replace(/^\(module\n/, '$& (import "heard" "tick" (func $tick (param i32)))\n')
  return [imported, ...changed].join('')
}
