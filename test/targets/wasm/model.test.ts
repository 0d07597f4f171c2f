import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { contentsOf, type Artifact } from '../../../src/target.ts'
import type { Module } from '../../../src/program/types.ts'
import { printModule } from '../../../targets/wasm/host.ts'
import { wasm } from '../../../targets/wasm/index.ts'
import { tableLayout } from '../../../targets/wasm/layout.ts'
import { Machine } from '../../../targets/wasm/runtime/machine.ts'
import { safetensorsChunks } from '../../../src/weights/index.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'

const graph = gpt2Graph({ vocab: 67, ctx: 200, d: 24, heads: 3, layers: 2 })
const { module } = compileGraph(check(graph).graph!, sourceFile('gpt2.tfm', ''), wasm).lowered
const sine = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + seed) * 0.3)
const tensors = graph.params.map(({ name, shape }, i) => ({ name, shape, data: sine(shape.reduce((a, b) => a * b, 1), i) })) // prettier-ignore
const weights = Uint8Array.from(Buffer.concat([...safetensorsChunks(tensors)]))
const folder = mkdtempSync(join(tmpdir(), 'tfm-wasm-'))
const write = (path: string, contents: string | Uint8Array): string => {
  writeFileSync(join(folder, path), contents)
  return pathToFileURL(join(folder, path)).href
}

interface Model {
  readonly past: number
  readonly threads: number
  run(inputs: unknown): Promise<{ logits: { data: Float32Array; shape: number[] } }>
  prefill(inputs: unknown): Promise<{ logits: { data: Float32Array; shape: number[] } }>
  step(inputs: unknown): Promise<{ logits: { data: Float32Array; shape: number[] } }>
  selftest(): Promise<{ kernels: { name: string; error: number }[] }>
  reset(): void
  dispose(): void
}
type Load = (options: Record<string, unknown>) => Promise<Model>

let files: readonly Artifact[]
let load: Load
const open: Model[] = []
/** Disposed at the end of the test. */
const loaded = async (options: Record<string, unknown>, from = load): Promise<Model> => {
  const model = await from({ weights, threads: 1, ...options })
  open.push(model)
  return model
}
beforeAll(async () => {
  files = await wasm.emit(module, { language: 'js', relaxed: false })
  for (const f of files) write(f.path, contentsOf(f))
  write('package.json', '{"type":"module"}')
  write('w.safetensors', weights)
  load = ((await import(pathToFileURL(join(folder, 'gpt2.js')).href)) as { load: Load }).load
})
afterEach(() => {
  vi.unstubAllGlobals()
  for (const model of open.splice(0)) model.dispose()
})
afterAll(() => rmSync(folder, { recursive: true }))

const ids = Array.from({ length: 150 }, (_, i) => (i * 29 + 7) % 67)

describe('a model', () => {
  test('gives the same on one thread and on two, at once and in steps, while its caches grow', async () => {
    const [one, two] = [await loaded({}), await loaded({ threads: 2 })]
    expect([one.threads, two.threads]).toEqual([1, 2])
    const { logits: whole } = await one.run({ ids })
    expect((await two.run({ ids })).logits.data).toEqual(whole.data)
    expect(whole.data.every((x) => x - x === 0)).toBe(true)
    for (const model of [one, two]) {
      await model.prefill({ ids: ids.slice(0, 60) })
      let last: Float32Array = new Float32Array()
      for (const id of ids.slice(60, 140)) {
        last = (await model.step({ ids: [id] })).logits.data
        // A run of its own leaves the past as it is.
        if (id === ids[100]) await model.run({ ids: [1, 2, 3] })
      }
      const want = whole.data.subarray(139 * 67, 140 * 67)
      expect(Math.max(...last.map((x, i) => Math.abs(x - want[i])))).toBeLessThan(1e-4)
      expect(model.past).toBe(140)
    }
  })
  test('has results of its own, that later calls leave alone', async () => {
    const model = await loaded({})
    const { data } = (await model.run({ ids: ids.slice(0, 5) })).logits
    const before = data.slice()
    await model.run({ ids: ids.slice(5, 10) })
    expect(data).toEqual(before)
    expect(data.buffer).toBeInstanceOf(ArrayBuffer)
    expect(data.buffer.byteLength).toBe(5 * 67 * 4)
  })
  test('reads weights from a file, a stream and in other types', async () => {
    const half = [...safetensorsChunks(tensors.map((t) => ({ ...t, dtype: 'BF16' as const })))]
    const stream = () => new Response(weights.slice()).body!
    const want = (await (await loaded({})).run({ ids })).logits.data
    for (const source of [join(folder, 'w.safetensors'), pathToFileURL(join(folder, 'w.safetensors')), stream()])
      expect((await (await loaded({ weights: source })).run({ ids })).logits.data).toEqual(want)
    const rounded = (await (await loaded({ weights: Uint8Array.from(Buffer.concat(half)) })).run({ ids })).logits.data
    expect(Math.max(...rounded.map((x, i) => Math.abs(x - want[i])))).toBeLessThan(0.05)
  })
  test('tests itself, and goes on after that', async () => {
    const model = await loaded({ threads: 2 })
    await model.prefill({ ids: ids.slice(0, 9) })
    const want = (await model.step({ ids: [3] })).logits.data
    model.reset()
    await model.prefill({ ids: ids.slice(0, 9) })
    const { kernels } = await model.selftest()
    expect(kernels.length).toBeGreaterThan(5)
    expect(kernels.every((k) => k.error <= 1)).toBe(true)
    expect((await model.step({ ids: [3] })).logits.data).toEqual(want)
  })
  test('warns of weights that are no numbers', async () => {
    const spoilt = tensors.map((t, i) => (i === 2 ? { ...t, data: t.data.with(3, NaN).with(20, Infinity) } : t))
    const onWarning = vi.fn()
    await loaded({ weights: Uint8Array.from(Buffer.concat([...safetensorsChunks(spoilt)])), onWarning })
    expect(onWarning.mock.calls).toEqual([
      [expect.objectContaining({ code: 'TFM1906', tensor: tensors[2].name, count: 2 })],
    ])
  })
  test('takes its binary from elsewhere', async () => {
    const { bytes } = files.find((f) => f.path.endsWith('.wasm'))!
    const made = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)
    for (const wasm of [bytes, made, new URL(write('other.wasm', bytes!))])
      expect((await (await loaded({ wasm })).run({ ids: [1] })).logits.shape).toEqual([1, 1, 67])
    await expect(load({ weights, wasm: join(folder, 'none.wasm') })).rejects.toThrow(/TFM2115.*ENOENT/)
  })
  test.each([0, 1.5, 65, NaN])('refuses %s threads', async (threads) => {
    await expect(load({ weights, threads })).rejects.toThrow(/TFM2111/)
  })
})

describe('without shared memory', () => {
  test('one thread computes, and says so', async () => {
    const want = (await (await loaded({})).run({ ids })).logits.data
    vi.stubGlobal('crossOriginIsolated', false)
    const onWarning = vi.fn()
    const model = await loaded({ threads: 2, onWarning })
    expect(model.threads).toBe(1)
    expect(onWarning.mock.calls).toEqual([[expect.objectContaining({ code: 'TFM2114' })]])
    expect((await model.run({ ids })).logits.data).toEqual(want)
    for (const source of [join(folder, 'w.safetensors'), new Response(weights.slice()).body!])
      expect((await (await loaded({ weights: source })).run({ ids })).logits.data).toEqual(want)
  })
})

describe('threads', () => {
  /** The module with another script of a thread. */
  const withWorker = async (name: string, script: string): Promise<Load> => {
    const host = files.find((f) => f.path.endsWith('.js'))!.text
    write(`${name}.worker.js`, script)
    const url = write(`${name}.js`, host.replace('gpt2.worker.js', `${name}.worker.js`))
    return ((await import(url)) as { load: Load }).load
  }
  const ready = `const { parentPort: port } = process.getBuiltinModule('node:worker_threads')\n`

  test('that cannot start are an error', async () => {
    const cases = { none: 'throw new Error("no such day")', early: `${ready}process.exit(3)`, missing: undefined }
    for (const [name, script] of Object.entries(cases)) {
      const broken = await withWorker(name, script ?? '')
      if (script === undefined) rmSync(join(folder, `${name}.worker.js`))
      await expect(broken({ weights, threads: 2 }), name).rejects.toThrow(/TFM2112: thread 1 cannot start/)
    }
  })
  test('that end are an error of the next call', async () => {
    const from = await withWorker(
      'late',
      `${ready}port.on('message', () => {
      // After the weights are packed, in which it would have to take part.
      setTimeout(() => port.postMessage('ready'), 1000)
      setTimeout(() => process.exit(3), 1020)
    })`,
    )
    const model = await loaded({ threads: 2 }, from)
    await new Promise((resolve) => setTimeout(resolve, 500))
    await expect(model.run({ ids })).rejects.toThrow(/TFM2113: thread 1 ended: exit code 3; load the model again/)
  })
  test('that fail in a call end it', async () => {
    const from = await withWorker(
      'failing',
      `${ready}port.on('message', ({ memory }) => {
      setTimeout(() => {
        port.postMessage('ready')
        const control = new Int32Array(memory.buffer)
        while (Atomics.load(control, 4) === 0) Atomics.wait(control, 4, 0, 5)
        control[6] = 1
        Atomics.notify(control, 32)
      }, 1000)
    })`,
    )
    const model = await loaded({ threads: 2 }, from)
    await expect(model.run({ ids })).rejects.toThrow(/TFM2113: a kernel failed/)
    await expect(model.run({ ids })).rejects.toThrow(/TFM2113/)
  })
  test('end with the model, and let the process end', async () => {
    const model = await loaded({ threads: 2 })
    model.dispose()
    await expect(model.run({ ids })).rejects.toThrow(/TFM2007/)
    const script = `
      const { load } = await import(${JSON.stringify(pathToFileURL(join(folder, 'gpt2.js')).href)})
      const model = await load({ weights: ${JSON.stringify(join(folder, 'w.safetensors'))}, threads: 2 })
      console.log((await model.run({ ids: [1, 2] })).logits.shape.join(), model.threads)`
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })).toBe(
      '1,2,67 2\n',
    )
  })
})

test('memory that cannot be had is an error with numbers', () => {
  const { bytes } = files.find((f) => f.path.endsWith('.wasm'))!
  const layout = { dims: [], weights: 0, ports: 0, entries: 1, repeats: [], scratch: 0 }
  const machine = new Machine(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), layout, 1, true)
  expect(() => machine.reach(5 * 2 ** 30)).toThrow(/TFM2110: the call needs 5120 MiB of memory; .* at most 4096 MiB/)
})

describe('the table of addresses', () => {
  const perLayer = (names: readonly string[]) => ({ k: 'perLayer' as const, of: 'weight' as const, names })
  const [program] = module.programs
  const kernel = program.steps.find((s) => s.k === 'dispatch')!
  const withSlots = (...slots: ReturnType<typeof perLayer>[]): Module => {
    const steps = [{ k: 'layers' as const, count: 3, body: [{ ...kernel, args: slots } as typeof kernel] }]
    return { ...module, state: [], programs: [{ ...program, steps }] }
  }
  test('runs of names at a constant distance are themselves, others are repeated', () => {
    const [even, odd, same] = [perLayer(['a', 'c', 'e']), perLayer(['a', 'b', 'e']), perLayer(['b', 'b', 'b'])]
    const table = tableLayout(withSlots(even, odd, same), ['a', 'b', 'c', 'd', 'e'], [], 0)
    expect(table.run(even)).toEqual({ base: 0, stride: 2 })
    expect(table.run(same)).toEqual({ base: 1, stride: 0 })
    expect(table.run(odd)).toEqual({ base: 5, stride: 1 })
    expect(table.repeats).toEqual([{ entry: 5, of: 0 }, { entry: 6, of: 1 }, { entry: 7, of: 4 }]) // prettier-ignore
    expect(table.ports).toBe(8)
  })
})

describe('emitted files', () => {
  test('import nothing, and take hostile names', async () => {
    const evil = "'); process.exit(1) //\n`${throw 1}`*/ (func"
    const changed: Module = {
      ...module,
      name: evil, doc: '*/ process.exit(1)', source: '*/ throw 1 /*\n) (func $x',
      kernels: module.kernels.map((k) => ({ ...k, name: evil, doc: ['*/ process.exit(1) /*', '\u2028throw 1', ';) (func'] })),
      weights: module.weights.map((w) => ({ ...w, name: `${w.name}${evil}`, from: w.from.map((n) => `${n}${evil}`) })),
      params: module.params.map((p) => ({ ...p, name: `${p.name}${evil}` })),
      programs: module.programs.map((p) => ({ ...p, steps: JSON.parse(JSON.stringify(p.steps, (k, v: unknown) =>
        k === 'name' && typeof v === 'string' && graph.params.some((q) => q.name === v) ? `${v}${evil}` : k === 'names' ? (v as string[]).map((n) => (graph.params.some((q) => q.name === n) ? `${n}${evil}` : n)) : v)) as typeof p.steps })),
    } // prettier-ignore
    for (const language of ['ts', 'js'] as const) {
      const [first, ...others] = await wasm.emit(changed, { language, relaxed: false })
      expect([first, ...others].every((f) => /^[\w-]+(\.[\w-]+)+$/.test(f.path))).toBe(true)
      expect(first.text).not.toMatch(/^\s*import\b|\bimport\(|\brequire\(|\beval\(|\bBlob\(|new Function/m)
      const parsed = ts.createSourceFile(first.path, first.text, ts.ScriptTarget.ES2022) as unknown as { parseDiagnostics: unknown[] } // prettier-ignore
      expect(parsed.parseDiagnostics).toEqual([])
      const code = first.text.replace(/'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|\/\/.*/g, '')
      expect(code).not.toMatch(/process\.exit|throw 1\b/)
    }
  })
  test('GPT-2 124M: binary and host are at most 96 KB together', async () => {
    const big = check(gpt2Graph({ vocab: 50257, ctx: 1024, d: 768, heads: 12, layers: 12 })).graph!
    const lowered = compileGraph(big, sourceFile('gpt2.tfm', ''), wasm).lowered.module
    const all = await wasm.emit(lowered, { language: 'js', relaxed: false })
    const size = (ending: string): number => Buffer.byteLength(contentsOf(all.find((f) => f.path.endsWith(ending))!))
    expect(size('.wasm') + size('.js') + size('.worker.js')).toBeLessThan(96 * 1024)
    expect(printModule(lowered, 'gpt2', { language: 'js', selftest: false, relaxed: false }).text).not.toContain(
      'selftest',
    )
  })
})
