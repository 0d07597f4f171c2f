/**
 * `npm run fuzz:models -- --seed N --count N [--from N] [--examples] [--thorough]`: random models through the reference, TypeScript and WGSL, fused
 * and unfused (docs/testing.md). Prints failures made small; exit code 1 if there was one.
 */
import { closeDevice, device } from '../src/cli/device.ts'
import { checkGenerated, describe, quantile, subjectsOf } from '../test/fuzz/batch.ts'
import { check } from '../test/fuzz/check.ts'
import { mutated } from '../test/fuzz/examples.ts'

const { argv } = process
const has = (name: string): boolean => argv.includes(`--${name}`)
const number = (name: string, otherwise: number): number => {
  const at = argv.indexOf(`--${name}`)
  if (at < 0) return otherwise
  const n = Number(argv[at + 1])
  if (!Number.isInteger(n) || n < 0) throw new Error(`--${name} takes a whole number`)
  return n
}

const [seed, from, count] = [number('seed', 1), number('from', 0), number('count', 200)]
const options = { subjects: subjectsOf(has('thorough')), device: async () => (await device()).device }
let stopped = false
process.once('SIGINT', () => (stopped = true))
const [shares, widths]: [number[], number[]] = [[], []]
let [done, failed, steppable] = [0, 0, 0]

for (let index = from; index < from + count && !stopped; index++) {
  const { report, text } = has('examples') ? await example(index) : await random(index)
  if (text !== undefined) {
    failed++
    console.log(`\n${text}\n`)
  }
  shares.push(...(report?.shares ?? []))
  widths.push(...(report?.widths ?? []))
  if (report?.steppable) steppable++
  done++
  process.stderr.write(`\r${done} of ${count} models, ${failed} failed `)
}
process.stderr.write('\n')
const percent = (x: number | undefined): string => (x === undefined ? '-' : `${(100 * x).toPrecision(2)} %`)
console.log(
  `${done} models of seed ${seed}: ${failed} failed, ${steppable} with steps, ${shares.length} results compared; ` +
    `share of the bound that was used: half below ${percent(quantile(shares, 0.5))}, all below ${percent(quantile(shares, 1))}; ` +
    `bound relative to the largest value: half below ${quantile(widths, 0.5)?.toExponential(1)}`,
)
await closeDevice()
process.exitCode = failed > 0 ? 1 : 0

async function random(index: number) {
  const { report, failure } = await checkGenerated(seed, index, options)
  return { report, text: failure && describe(failure) }
}

async function example(index: number) {
  const model = mutated(seed, index)
  if (model === undefined) return { report: undefined, text: `model ${index}: no numbers that its conditions admit` }
  const report = await check(model, options)
  const [first] = report.findings
  const set = Object.entries(model.set ?? {}).map(([k, v]) => `--set ${k}=${v}`)
  const text =
    first &&
    `examples/${model.name}/model.tfm ${set.join(' ')}, dims ${JSON.stringify(model.calls)}\n${first.what}: ${first.message}`
  return { report, text }
}
