/** `tie_word_embeddings` of a folder and what its file holds: never another head than that of transformers in silence. */
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readAllTensors, writeSafetensors } from '../../src/weights/index.ts'
import { contents, folder, json, tfmc } from './support.ts'

const ids = ['--input', 'ids=[[5, 9, 2]]']

interface Change {
  /** undefined leaves the field out. */
  readonly tied?: boolean
  /** A head beside the table: the same numbers, or others. */
  readonly head?: 'same' | 'other'
}

async function changed(name: 'llama' | 'gpt2', table: string, { tied, head }: Change): Promise<string> {
  const path = folder()
  cpSync(`test/golden/hf-folders/${name}`, path, { recursive: true })
  const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as Record<string, unknown>
  delete config.tie_word_embeddings
  if (tied !== undefined) config.tie_word_embeddings = tied
  writeFileSync(join(path, 'config.json'), JSON.stringify(config))
  const tensors = new Map<string, { shape: readonly number[]; data: ArrayLike<number> }>()
  for (const file of readdirSync(path).filter((f) => f.includes('.safetensors'))) {
    if (file.endsWith('.safetensors'))
      for (const [tensor, { shape, data }] of await readAllTensors(join(path, file)))
        tensors.set(tensor, { shape, data })
    rmSync(join(path, file))
  }
  const { shape, data } = tensors.get(table)!
  // Only the last number differs.
  const own = Float64Array.from(data)
  if (head === 'other') own[own.length - 1] += 1
  if (head) tensors.set('lm_head.weight', { shape, data: own })
  writeFileSync(
    join(path, 'model.safetensors'),
    writeSafetensors([...tensors].map(([tensor, t]) => ({ name: tensor, ...t }))),
  )
  return path
}
const llama = (change: Change) => changed('llama', 'model.embed_tokens.weight', change)
const gpt2 = (change: Change) => changed('gpt2', 'transformer.wte.weight', change)
const run = async (path: string, ...more: string[]) => {
  const { data } = await json(['run', '--hf', path, ...ids, ...more])
  const outputs = data.outputs as { logits: { data: number[] } } | undefined
  return { codes: data.diagnostics.map((d) => d.code), logits: outputs?.logits.data }
}

test('untied, as it says or by the default of the class: the head must be in the file', async () => {
  for (const tied of [false, undefined]) {
    const path = await llama(tied === undefined ? {} : { tied })
    expect((await run(path)).codes).toEqual(['TFM1916'])
    const shown = await tfmc(['info', '--hf', path])
    expect([shown.code, shown.err]).toEqual([
      1,
      expect.stringContaining('is false, and the file has no lm_head.weight'),
    ])
  }
  const cwd = folder()
  expect((await tfmc(['compile', '--hf', await llama({ tied: false }), '-o', 'out'], { cwd })).code).toBe(0)
  const [emitted] = contents(join(cwd, 'out'))
  expect(readFileSync(join(cwd, 'out', emitted), 'utf8')).not.toContain("fallback: '")
  expect((await run(await llama({ tied: false }), '--random-weights', '1')).codes).toEqual([])
})

test('a head of its own in the file is used, with a warning where the configuration ties it', async () => {
  const untied = await run(await llama({ tied: false, head: 'other' }))
  expect(untied.codes).toEqual([])
  const tied = await llama({ tied: true, head: 'other' })
  expect((await tfmc(['info', '--hf', tied])).err).toContain(
    'warning TFM1917: ' + `${join(tied, 'config.json')}: "tie_word_embeddings" is true, but lm_head.weight and`,
  )
  const warned = await run(tied)
  expect(warned).toEqual({ codes: ['TFM1917'], logits: untied.logits })
  const same = await run(await llama({ tied: true, head: 'same' }))
  expect(same.codes).toEqual([])
  expect(same).toEqual(await run(await llama({ tied: true })))
  expect(same.logits).not.toEqual(untied.logits)
})

test('a model with one tensor for both takes the file only if they are one', async () => {
  const same = await run(await gpt2({ tied: true, head: 'same' }))
  expect(same).toEqual(await run(await gpt2({})))
  expect(same.codes).toEqual([])
  expect((await run(await gpt2({ head: 'other' }))).codes).toEqual(['TFM1916'])
  expect((await run(await gpt2({ tied: false, head: 'other' }))).codes).toEqual(['TFM1912'])
})
