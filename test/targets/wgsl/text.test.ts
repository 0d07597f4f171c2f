import { expect, test } from 'vitest'
import { bin, constant, load } from '../../../src/kernel/expr.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { of, sym } from '../../../src/types/ix.ts'
import { templateText } from '../../../targets/wgsl/templates.ts'
import { withRepeats } from '../../../targets/wgsl/repeats.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { check } from '../../../src/check/index.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import * as K from '../../kernel/kernels.ts'
import { shaderErrors } from '../../support/gpu.ts'
import { compile, print, runOnDevice } from './run.ts'
import { inputsOf } from '../../kernel/run.ts'

const dims = [K.T, K.P]

test.each([
  ['matmul', K.matmul(K.T, 128, 64).kernel],
  ['norm', K.layernorm(300).kernel],
  ['attention', K.attention(2, 64).kernel],
] as const)('%s reads well', async (name, kernel) => {
  const { printed } = print(kernel, dims)
  expect(await shaderErrors(printed.code)).toEqual([])
  await expect(printed.code).toMatchFileSnapshot(`snapshots/${name}.wgsl`)
})

const hostile = [
  'fn', 'let', 'dims', 'Dims', 'main', 'group', 'thread', 'f32', 'array', 'exp', 'exp_f32', 'finish', '__x', '_', '', '9lives', 'a b', 'é', '名', '`${x}`',
  '*/', '// \n@compute', '\u2028', '</script>', 'lane', 'select', 'workgroupBarrier', 'x'.repeat(200), 'constructor', '__proto__', 'ref', 'i', 'T',
] // prettier-ignore

test.each(hostile)('a buffer, dim, kernel and comment called %j', async (name) => {
  const D = sym(name, { lo: 1 })
  const [x, y] = [newBuffer(name, 'f32', 'global', [of(D)]), newBuffer(name, 'f32', 'global', [of(D)])]
  const i = loopSymbol(name, of(D))
  const kernel: StageKernel = {
    name,
    doc: [name, `end */ of ${name}`],
    stages: [{ name, out: y, domain: [i], body: { k: 'map', e: bin('add', load(x, [of(i)]), constant(1)) }, origin: { label: name, file: name, line: 1 } }],
    args: [{ buffer: x, access: 'read', role: 'input' }, { buffer: y, access: 'write', role: 'output' }],
    params: [D],
  } // prettier-ignore
  const symbols: readonly Sym[] = [D]
  const { printed } = print(kernel, symbols)
  expect(await shaderErrors(printed.code)).toEqual([])
  // As a template literal it is the same text.
  expect(new Function(`return \`${templateText(printed.code)}\``)()).toBe(printed.code)
  expect(templateText(printed.code)).not.toMatch(/<\/script/i)
  const c = await compile(kernel, symbols)
  const params = new Map([[D, 3]])
  const inputs = inputsOf(kernel.args, params)
  const [got] = await runOnDevice(c, 0, params, symbols, inputs)
  expect([...got]).toEqual([...inputs[0].value].map((v) => Math.fround(v + 1)))
})

test('what a host module makes of shared texts, their names and repeated lines is the text of its kernels', async () => {
  const graph = check(gpt2Graph({ vocab: 9000, ctx: 64, d: 192, heads: 3, layers: 2 })).graph!
  const { module } = compileGraph(graph, sourceFile('gpt2.tfm', ''), wgsl).lowered
  const [host, ...files] = await wgsl.emit(module, { language: 'js' })
  const section = host.text.slice(host.text.indexOf('// ---- Kernels'), host.text.indexOf('// ---- Programs'))
  expect(section).toMatch(/\$\{repeat\(1, 8, \(i\) => `/)
  expect(section).toMatch(/wgsl_sum_of_threads\([^)]*\d/)
  type Code = string | ((has: (feature: string) => boolean) => string)
  const kernels = new Function(`${section}\nreturn kernels`)() as Record<string, { readonly code: Code }>
  const codes = Object.values(kernels).map(({ code }) => (typeof code === 'string' ? code : code(() => false)))
  // The first line break of a template literal is there to read it.
  const wanted = files.filter((f) => f.path.endsWith('.wgsl')).map((f) => f.text.replaceAll('\n', ''))
  expect(codes.map((c) => c.replaceAll('\n', ''))).toEqual(wanted)
})

test('lines that repeat are told by their numbers', () => {
  const call = (text: string): string => new Function('repeat', `return \`${text}\``)(repeat) as string
  const repeat = (from: number, to: number, lines: (i: number) => string): string =>
    Array.from({ length: to - from }, (_, i) => lines(from + i)).join('')
  const line = (i: number, step: number): string =>
    `  let a_${i} = tile[base + ki + ${i * step}] * weights_of_columns[${100 - 3 * i}];`
  const even = ['fn f() {', ...[1, 2, 3, 4, 5].map((i) => line(i, 32)), '}'].join('\n')
  expect(withRepeats(even, 'repeat')).toMatch(
    /^fn f\(\) \{\$\{repeat\(1, 6, \(i\) => `\n {2}let a_\$\{i\} = tile\[base \+ ki \+ \$\{32 \* i\}\]/,
  )
  expect(call(withRepeats(even, 'repeat'))).toBe(even)
  for (const other of [
    ['fn f() {', line(1, 32), line(2, 32), line(4, 32), '}'],
    ['fn f() {', ...[1, 2, 3, 4].map((i) => line(i, i)), '}'],
    ['fn f() {', ...[1, 2, 3, 4].map((i) => line(i, 1e-5)), '}'],
    ['fn f() {', ...[1, 2, 3, 4].map(() => line(1, 1)), '}'],
    ['fn f() {', ...[1, 2, 3, 4].map((i) => `${line(i, 1)} // \\`), '}'],
    // Parameters of the literal, which are told apart by numbers.
    ['fn f() {', ...[1, 2, 3, 4].map((i) => `${line(0, 1)} + x[\${x_base${i}}]`), '}'],
  ])
    expect(withRepeats(other.join('\n'), 'repeat')).toBe(other.join('\n'))
})

test('numbers read back as the same f32', async () => {
  const xs = [
    1e-5,
    0.1,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1e39,
    16777217,
    1 / 3,
    -0,
    1e-45,
    1.5957691216057308,
    2 ** -126,
    123456789,
  ]
  const [x, y] = [K.global('x', [xs.length]), K.global('y', [xs.length])]
  const i = loopSymbol('i', xs.length)
  for (const v of xs) {
    const one = K.kernel('number', [K.map(y, [i], bin('mul', load(x, [of(i)]), constant(v)))], [x], [y], [])
    const { printed } = print(one, [])
    expect(await shaderErrors(printed.code)).toEqual([])
    const literal = /= x\[i\] \* (\S+);/.exec(printed.code)?.[1]
    const want = Math.fround(Math.min(3.4028234663852886e38, Math.max(-3.4028234663852886e38, v)))
    expect(Object.is(Math.fround(Number(literal)), want), `${v} as ${literal}`).toBe(true)
  }
})
