import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compile } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/index.ts'
import { moduleOf, printKernels } from '../../../targets/wgsl/host.ts'
import { codeFor } from '../../../targets/wgsl/kernel.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { dispatched } from '../../../targets/wgsl/passes.ts'

const page = readFileSync(new URL('../../../docs/targets/wgsl.md', import.meta.url), 'utf8')
const schedules = page.slice(page.indexOf('## Schedules'), page.indexOf('## Arithmetic'))
const blocks = (language: string): string[] =>
  [...schedules.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map((m) => m[1])
const flush = (text: string): string => text.replace(/^ +/gm, '')

/** Whether the pieces of a text between its lines `// …` follow each other in a kernel. */
function shows(kernel: string, text: string): boolean {
  let from = 0
  return text.split(/^\/\/ …\n/m).every((piece) => {
    const at = kernel.indexOf(piece, from)
    from = at + piece.length
    return at >= 0
  })
}

test('the texts on the page of the WGSL target are what is emitted', async () => {
  const printed = blocks('tfm').flatMap((model) => {
    const { module } = compile(sourceFile('page.tfm', model), wgsl).lowered
    return dispatched(printKernels(moduleOf(module)).kernels)
  })
  const kernels = printed.flatMap((k) => [k.code, codeFor(k, ['subgroups'])]).map(flush)
  const texts = blocks('wgsl').map(flush)
  expect(texts.length).toBeGreaterThan(0)
  for (const text of texts)
    if (!kernels.some((k) => shows(k, text))) throw new Error(`no kernel has\n${text}\nbut\n${kernels.join('\n')}`)
})
