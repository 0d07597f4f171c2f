import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readTensors, type ReadOptions, type WeightSource } from '../../targets/runtime/source.ts'
import { safetensorsStream, writeSafetensors, type TensorToWrite } from '../../src/weights/write.ts'

const dir = mkdtempSync(join(tmpdir(), 'tfm-source-'))
const tensors: TensorToWrite[] = [
  { name: 'a', shape: [2, 2], data: [1, 2, 3, 4] },
  { name: 'big', shape: [1000, 700], data: Float32Array.from({ length: 700_000 }, (_, i) => i) },
  { name: 'none', shape: [0], data: [] },
  { name: 'z', shape: [3], data: [5, 6, 7] },
]
const whole = writeSafetensors(tensors)
const first = writeSafetensors(tensors.slice(0, 2))
const second = writeSafetensors(tensors.slice(2))
const index = JSON.stringify({ weight_map: { a: 'm-1.safetensors', big: 'm-1.safetensors', z: 'm-2.safetensors' } })
const files: Readonly<Record<string, string | Uint8Array>> = {
  'm.safetensors': whole,
  'm-1.safetensors': first,
  'm-2.safetensors': second,
  'm.safetensors.index.json': index,
  'empty.safetensors': '',
}
let server: Server
let base: string

beforeAll(async () => {
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(dir, name), bytes)
  server = createServer((request, response) => {
    const name = new URL(request.url ?? '', 'http://host').pathname.slice(1)
    if (name === 'broken') {
      response.writeHead(200, { 'content-length': whole.length })
      response.write(whole.subarray(0, 100_000), () => response.destroy())
    } else if (name in files) response.end(files[name])
    else response.writeHead(404).end('not here')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
  rmSync(dir, { recursive: true })
})

async function read(
  source: WeightSource,
  options?: ReadOptions,
  names?: readonly string[],
): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {}
  await readTensors(
    source,
    (infos) => infos.filter((info) => names?.includes(info.name) ?? true),
    (info, bytes) => {
      found[info.name] = [...new Float32Array(bytes.buffer).slice(0, 4)]
    },
    options,
  )
  return found
}
const expected = { a: [1, 2, 3, 4], big: [0, 1, 2, 3], none: [], z: [5, 6, 7] }
const odd = new Uint8Array(whole.length + 3)
odd.set(whole, 3)

test.each<[string, () => WeightSource]>([
  ['a path', () => join(dir, 'm.safetensors')],
  ['a file URL', () => pathToFileURL(join(dir, 'm.safetensors'))],
  ['a file URL as text', () => pathToFileURL(join(dir, 'm.safetensors')).href],
  ['a URL', () => `${base}m.safetensors`],
  ['a URL object', () => new URL('m.safetensors', base)],
  ['an ArrayBuffer', () => whole.buffer],
  ['bytes at an odd address', () => odd.subarray(3)],
  ['a DataView', () => new DataView(whole.buffer)],
  ['a Blob', () => new Blob([whole])],
  ['a File', () => new File([whole], 'm.safetensors')],
  ['a stream', () => safetensorsStream(tensors)],
  ['a list of bytes', () => [first, second]],
  ['a list of paths', () => [join(dir, 'm-1.safetensors'), join(dir, 'm-2.safetensors')]],
  [
    'files of a picker, index among them',
    () => [
      new File([index], 'm.safetensors.index.json'),
      new File([second], 'm-2.safetensors'),
      new File([first], 'm-1.safetensors'),
    ],
  ],
  ['an index by path', () => join(dir, 'm.safetensors.index.json')],
  ['an index by URL, with a query', () => `${base}m.safetensors.index.json?download=true`],
  ['an index by file URL', () => pathToFileURL(join(dir, 'm.safetensors.index.json'))],
])('%s', async (_, source) => {
  expect(await read(source())).toEqual(expected)
})

test('only what is picked is read, and progress ends at its end', async () => {
  const events: { loaded: number; total: number; tensor: string }[] = []
  expect(await read(join(dir, 'm.safetensors'), { onProgress: (event) => events.push(event) }, ['big'])).toEqual({
    big: expected.big,
  })
  const last = events.at(-1)!
  expect(last).toMatchObject({ phase: 'weights', tensor: 'big', loaded: last.total })
  expect(last.total).toBe(whole.length - 12)
  expect(events.every((event, i) => event.loaded <= event.total && event.loaded > (events[i - 1]?.loaded ?? 0))).toBe(
    true,
  )
})

test('progress over shards never exceeds its total', async () => {
  const events: { loaded: number; total: number }[] = []
  await read(join(dir, 'm.safetensors.index.json'), { onProgress: (event) => events.push(event) })
  expect(events.every(({ loaded, total }) => loaded <= total)).toBe(true)
  expect(events.at(-1)).toMatchObject({ loaded: first.length + second.length, total: first.length + second.length })
})

test.each<[string, () => WeightSource, RegExp]>([
  [
    'a missing path',
    () => join(dir, 'no.safetensors'),
    /^TFM1901: cannot read the weights .*no\.safetensors: Error: ENOENT/,
  ],
  ['a folder', () => dir, /^TFM1901: .*EISDIR/],
  ['an empty file', () => join(dir, 'empty.safetensors'), /^TFM1903: .*empty\.safetensors ends within its header/],
  ['a missing URL', () => `${base}no.safetensors`, /^TFM1901: .*status 404/],
  ['a host that is not there', () => 'http://127.0.0.1:9/m.safetensors', /^TFM1901: cannot read the weights http/],
  ['a connection that breaks', () => `${base}broken`, /^TFM1901: .*broken/],
  [
    'a missing index',
    () => join(dir, 'no.index.json'),
    /^TFM1907: .*no\.index\.json is no index of shards that can be read/,
  ],
  ['an index that is none', () => `data:application/json,{}#.index.json`, /^TFM1907/],
  ['an empty list', () => [], /^TFM1901: no weights were given/],
  ['no bytes', () => new ArrayBuffer(0), /^TFM1903: weights ends within its header/],
])('%s', async (_, source, message) => {
  await expect(read(source())).rejects.toThrow(message)
})

test.each(['../m-1.safetensors', '/etc/passwd', 'a/b', '..', 'http://host/x', '', '%2e%2e', 'a\\b'])(
  'an index that names %j',
  async (name) => {
    const place = join(dir, 'bad.safetensors.index.json')
    writeFileSync(place, JSON.stringify({ weight_map: { a: name } }))
    await expect(read(place)).rejects.toThrow(/TFM1907: .* is not in its folder/)
  },
)

test('every truncation is noticed, wherever it cuts', async () => {
  const small = writeSafetensors([{ name: 'a', shape: [2], data: [1, 2] }])
  for (let length = 0; length < small.length; length++)
    await expect(read(small.slice(0, length)), `${length} bytes`).rejects.toThrow(/TFM190[23]/)
})

test('an abort ends the reading with its reason', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  const stop = () => controller.abort(reason)
  for (const source of [join(dir, 'm.safetensors'), `${base}m.safetensors`, whole]) {
    await expect(read(source, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  }
  await expect(read(join(dir, 'm.safetensors'), { signal: controller.signal, onProgress: stop })).rejects.toBe(reason)
})

test('what the callback throws comes through, and the stream is given back', async () => {
  let cancelled = false
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(whole.slice()),
    cancel: () => {
      cancelled = true
    },
  })
  const boom = new Error('boom')
  await expect(
    readTensors(
      stream,
      (infos) => [...infos],
      () => {
        throw boom
      },
    ),
  ).rejects.toBe(boom)
  expect(cancelled).toBe(true)
})
