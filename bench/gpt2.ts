/** Child process: GPT-2 124M with random weights on the TypeScript target, beside the hand-written matmul. Prints one line of JSON. */
import { compile } from '../src/compile.ts'
import { packageRoot } from '../src/package-root.ts'
import { sourceFile } from '../src/diagnostics/index.ts'
import { randomWeights, safetensorsStream } from '../src/weights/index.ts'
import { typescript } from '../targets/typescript/index.ts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { blockedMatmul, products } from './blocked.ts'

interface Emitted {
  readonly load: (o: Readonly<Record<string, unknown>>) => Promise<{
    prefill: (i: Readonly<Record<string, unknown>>) => Promise<unknown>
    step: (i: Readonly<Record<string, unknown>>) => Promise<unknown>
    reset: () => void
  }>
}

const tokens = 64
const rounds = Number(process.argv[2] ?? 5)
const path = 'examples/gpt2/model.tfm'
const compiled = compile(sourceFile(path, readFileSync(join(packageRoot(), path), 'utf8')), typescript)
const { params, hyper } = compiled.lowered.module
const files = await typescript.emit(compiled.lowered.module, { language: 'js' })
const script = files.find((a) => a.path.endsWith('.js'))!
const emitted = (await import(`data:text/javascript;base64,${Buffer.from(script.text).toString('base64')}`)) as Emitted
const started = performance.now()
const model = await emitted.load({ weights: safetensorsStream(randomWeights(params, 1)) })
const loading = performance.now() - started

/** Multiply-adds of the contractions, twice: projections, feed-forward and head of every token (attention's own are left out). */
const d = Number(hyper.d)
const flops = 2 * tokens * (Number(hyper.layers) * (d * 3 * d + d * d + 2 * d * 4 * d) + d * Number(hyper.vocab))

const problem = { m: tokens, n: 3072 }
const a = Float32Array.from({ length: problem.m * products }, (_, i) => Math.sin(i))
const b = Float32Array.from({ length: products * problem.n }, (_, i) => Math.cos(i))
const c = new Float32Array(problem.m * problem.n)
const matmulFlops = 2 * problem.m * products * problem.n
const ids = Int32Array.from({ length: tokens }, (_, i) => (i * 7919) % 50257)

/** Fastest of many: other work on the machine only adds. */
let [prefill, matmul, step] = [Infinity, Infinity, Infinity]
const time = async (f: () => unknown): Promise<number> => {
  const from = performance.now()
  await f()
  return performance.now() - from
}
for (let round = 0; round < rounds; round++) {
  for (let i = 0; i < 8; i++) matmul = Math.min(matmul, await time(() => blockedMatmul(a, b, c, problem)))
  model.reset()
  prefill = Math.min(prefill, await time(() => model.prefill({ ids: { data: ids, shape: [1, tokens] } })))
  for (let i = 0; i < 4; i++)
    step = Math.min(step, await time(() => model.step({ ids: { data: [11], shape: [1, 1] } })))
}
const weightBytes = 4 * params.reduce((n, p) => n + p.shape.reduce((x, y) => x * y, 1), 0)
console.log(
  JSON.stringify({
    loading, prefill, step, flops, rate: flops / prefill / 1e6, bestRate: matmulFlops / matmul / 1e6,
    weightBytes, peakBytes: process.resourceUsage().maxRSS * 1024,
  }), // prettier-ignore
)
