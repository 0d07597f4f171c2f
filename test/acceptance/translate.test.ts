/** The trained encoder–decoder: the 400 held-out pairs exactly as recorded on TypeScript, 20 of them on WGSL. */
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import { readTokenizer } from '../../src/text/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { join } from 'node:path'
import { compileFile, loadEmitted, targets } from '../support/emitted.ts'
import { readText } from '../support/models.ts'

const config = JSON.parse(readText('examples/translate/config.json')) as {
  bos_token_id: number
  eos_token_id: number
} & Json
const pairs = JSON.parse(readText('test/models/translate/heldout.json')) as readonly {
  source: string
  target: string
}[]

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 240_000 }, (name, target) => {
  test('held-out pairs', async () => {
    const [source, english] = await Promise.all(
      ['source', 'target'].map((s) => readTokenizer(join(packageRoot(), `examples/translate/tokenizer.${s}.json`))),
    )
    const model = await loadEmitted(
      target,
      compileFile('examples/translate/model.tfm', target, config),
      'examples/translate/model.safetensors',
    )
    const chosen = name === 'typescript' ? pairs : pairs.slice(0, 20)
    const wrong: string[] = []
    for (const pair of chosen) {
      const src = source.encode(pair.source)
      const ids: number[] = []
      const options = {
        src: { data: Int32Array.from(src), shape: [1, src.length] },
        maxTokens: 24,
        temperature: 0,
        stop: config.eos_token_id,
      }
      for await (const id of model.generate([config.bos_token_id], options))
        if (id !== config.eos_token_id) ids.push(id)
      const got = english.decode(ids)
      if (got !== pair.target) wrong.push(`${pair.source}: ${got} instead of ${pair.target}`)
    }
    expect(wrong).toEqual([])
    console.log(`translate on ${name}: ${chosen.length} of ${chosen.length} held-out pairs as recorded`)
    model.dispose()
  })
})
