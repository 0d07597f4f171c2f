import { describe, expect, test } from 'vitest'
import type { Module } from '../../../src/program/types.ts'
import ts from 'typescript'
import { diagnose } from '../../support/diagnose.ts'
import { formatArtifacts } from '../../../targets/shared/format.ts'
import { printModule } from '../../../targets/typescript/host.ts'
import { typescript } from '../../../targets/typescript/index.ts'
import { layerName, rolledName } from '../../../targets/shared/rolled.ts'
import { commentText, docComment, identifier, names, property, quote, template } from '../../../targets/shared/text.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { gpt2Module } from '../../support/gpt2-module.ts'

const hostile = [
  "'); process.exit(1); ('", '*/ throw 1 /*', '${process.exit(1)}', '`', '\\', "\\'", '\n', '\u2028', '</script>', '<!--', '-->', 'a\r\nb', '__proto__', 'constructor', 'class', '', '0',
  'ünïcode', '\u202eevil', '// x', 'await', '"', '\u0000', 'a'.repeat(500),
] // prettier-ignore

describe('text cannot get out of its place', () => {
  test.each(hostile)('strings: %j', (text) => {
    expect(new Function(`return ${quote(text)}`)()).toBe(text)
    expect(new Function('i', `return ${template([text, text], 'i')}`)(7)).toBe(`${text}7${text}`)
    expect(quote(text)).not.toMatch(/[\n\r\u2028\u2029\u202e\u0000]|<\/|<!/)
    expect(Object.keys(new Function(`return { ${property(text)}: 1 }`)() as object)).toEqual([text])
  })
  test.each(hostile)('identifiers and comments: %j', (text) => {
    const scope = names()
    const made = [scope.name(text), scope.name(text)]
    expect(made[0]).not.toBe(made[1])
    for (const name of made) new Function(`'use strict'; const ${name} = 1; return ${name}`)()
    expect(identifier(text)).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/)
    expect(commentText(text)).not.toMatch(/\*\/|[\n\r\u2028\u202e]/)
    expect(new Function(`${docComment([text, 'x']).join('\n')}\nreturn 5\n// ${commentText(text)}`)()).toBe(5)
  })
  test('an object with a key __proto__ keeps it', () => {
    const made = new Function(`return { ${property('__proto__')}: 1 }`)() as object
    expect(Object.hasOwn(made, '__proto__')).toBe(true)
  })
})

describe('names that count', () => {
  test('templates', () => {
    expect(rolledName(['h.0.w', 'h.1.w', 'h.2.w'], 'i')).toBe('`h.${i}.w`')
    expect(rolledName(['h.1.w', 'h.2.w'], 'i')).toBe('`h.${i + 1}.w`')
    expect(rolledName(['h.9.w2', 'h.10.w2'], 'i')).toBe('`h.${i + 9}.w2`')
    expect(rolledName(['h.0.a + h.0.b', 'h.1.a + h.1.b'], 'i')).toBe('`h.${i}.a + h.${i}.b`')
    expect(rolledName(['h.0.w', 'h.2.w'], 'i')).toBeUndefined()
    expect(rolledName(['h.00.w', 'h.01.w'], 'i')).toBeUndefined()
    expect(rolledName(['h.0.1', 'h.1.0'], 'i')).toBeUndefined()
    expect(layerName(['a', 'c'], 'i')).toBe("['a', 'c'][i]")
    expect(layerName(['a', 'a'], 'i')).toBe("'a'")
  })
})

describe('emitted modules', async () => {
  const module = gpt2Module(gpt2Graph({ vocab: 97, ctx: 64, d: 48, heads: 3, layers: 2 }))
  const [file] = await typescript.emit(module, { language: 'ts' })

  test('import nothing', async () => {
    for (const language of ['ts', 'js'] as const) {
      for (const { text } of await typescript.emit(module, { language }))
        expect(text).not.toMatch(/^\s*import\b|\bimport\(|\brequire\(/m)
    }
  })
  test('are well typed, and so is the use of their declarations', async () => {
    const [script, declarations] = await typescript.emit(module, { language: 'js' })
    const use = (path: string): string => `
      import { load } from './${path}'
      const model = await load({ weights: 'x', onProgress: ({ loaded }) => loaded + 1 })
      const { logits } = await model.run({ ids: [[1, 2], [3, 4]] })
      const row: Float32Array = logits.data
      await model.prefill({ ids: Int32Array.of(1, 2) })
      await model.step({ ids: { data: [1], shape: [1, 1] } })
      for await (const id of model.generate([1, 2], { maxTokens: 3, temperature: 0.8, seed: 1 })) id.toFixed()
      // @ts-expect-error no such input
      await model.run({ tokens: [1] })
      model.dispose()
      export { row }
    `
    const files = new Map([['/gpt2.ts', file.text], ['/use-ts.ts', use('gpt2.ts')], ['/plain.js', script.text], ['/plain.d.ts', declarations.text], ['/use-js.ts', use('plain.js')]]) // prettier-ignore
    expect(diagnose(files)).toEqual([])
  })
  test('hostile names and docs change nothing', async () => {
    const [evil] = hostile
    const port = { ...module.programs[0].inputs[0], doc: '*/ process.exit(1) /*' }
    const changed: Module = {
      ...module,
      name: evil, doc: `*/ process.exit(1)\n${hostile.join('\n')}`, source: '*/ throw 1 /*\n// x',
      kernels: module.kernels.map((k) => ({ ...k, name: evil, doc: ['*/ process.exit(1) /*', '\u2028throw 1'] })),
      programs: module.programs.map((p) => ({ ...p, inputs: [port], constraints: [] })),
      weights: module.weights.map((w) => ({ ...w, name: `${w.name}${evil}`, from: w.from.map((n) => `${n}${evil}`) })),
    } // prettier-ignore
    for (const language of ['ts', 'js'] as const) {
      const [first] = await typescript.emit(changed, { language })
      expect(first.path).toMatch(/^[\w-]+\.[jt]s$/)
      const { parseDiagnostics } = ts.createSourceFile(first.path, first.text, ts.ScriptTarget.ES2022) as unknown as {
        parseDiagnostics: unknown[]
      }
      expect(parseDiagnostics).toEqual([])
      // What the names try to run would be statements of the module.
      expect(first.text.replace(/'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|\/\/.*/g, '')).not.toMatch(
        /process\.exit|throw 1\b/,
      )
    }
  })
  test('prettier takes them', async () => {
    const [formatted] = await formatArtifacts([file])
    expect(formatted.text.length).toBeGreaterThan(10_000)
    expect((await formatArtifacts([formatted]))[0].text).toBe(formatted.text)
  })
  test('the self-test can be left out', () => {
    expect(printModule(module, { language: 'ts', selftest: false }).text).not.toContain('selftest')
  })
  // The bar is 40 KB; this holds what was reached (bench/results/notes.md).
  test('GPT-2 124M does not grow', () => {
    const big = gpt2Module(gpt2Graph({ vocab: 50257, ctx: 1024, d: 768, heads: 12, layers: 12 }))
    const { text } = printModule(big, { language: 'ts' })
    const size = Buffer.byteLength(text)
    const runtime = Buffer.byteLength(text.slice(text.indexOf('---- Runtime of tfm')))
    // The aim is 40 KB; what remains above it is the runtime.
    expect(size - runtime).toBeLessThan(22 * 1024)
    expect(size).toBeLessThan(55 * 1024)
  })
})
