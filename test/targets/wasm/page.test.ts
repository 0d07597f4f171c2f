import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compile } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/index.ts'
import { wasm } from '../../../targets/wasm/index.ts'

const page = readFileSync(new URL('../../../docs/targets/wasm.md', import.meta.url), 'utf8')
const schedules = page.slice(page.indexOf('### Schedules'), page.indexOf('### The text'))
const blocks = (language: string): string[] =>
  [...schedules.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map((m) => m[1])
const flush = (text: string): string => text.replace(/^ +/gm, '')

test('the texts on the page of the WebAssembly target are what is emitted', async () => {
  const [model, ...more] = blocks('tfm')
  expect(more).toEqual([])
  const files = await wasm.emit(compile(sourceFile('page.tfm', model), wasm).lowered.module, { language: 'js' })
  const emitted = flush(files.find((f) => f.path === 'page.wat')!.text)
  const texts = blocks('wat')
  expect(texts.length).toBe(6)
  for (const text of texts) expect(emitted).toContain(flush(text))
})
