/** The shipped examples with other numbers: odd widths, one layer, one head, few keys' heads. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkModel } from '../../src/compile.ts'
import { DiagnosticError, sourceFile } from '../../src/diagnostics/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { isConst } from '../../src/types/ix.ts'
import { exampleNames } from '../support/examples.ts'
import type { Case, Dims, Draw } from './model.ts'
import { hash, makeRandom, type Random } from './random.ts'

/** Small numbers for hyperparameters, by what they are usually called. */
const choices: readonly (readonly [RegExp, readonly number[]])[] = [
  [/vocab|types|labels/, [2, 3, 7, 13]],
  [/layers|encoders|decoders/, [1, 1, 2]],
  [/^heads$|^kv$|^readers$/, [1, 2, 3]],
  [/^d$|^width|hidden/, [2, 4, 6, 12, 18]],
  [/^ff|^wide$|inner/, [1, 3, 8, 17]],
  [/^e$|head_dim/, [2, 4, 6]],
  [/ctx|positions|context/, [16, 33]],
  [/window/, [1, 2, 5]],
  [/^narrow|embedding/, [2, 3, 8]],
]

/** An example with random numbers that its conditions admit; undefined if none of many were admitted. */
export function mutated(seed: number, index: number): Case | undefined {
  const r = makeRandom(hash(`example/${seed}/${index}`))
  const names = exampleNames()
  const name = names[index % names.length]
  const text = readFileSync(join(packageRoot(), 'examples', name, 'model.tfm'), 'utf8')
  const file = sourceFile(`${name}.tfm`, text)
  const { hyper } = checkModel(file).graph
  for (let tries = 0; tries < 100; tries++) {
    const set = drawn(r, hyper)
    try {
      const { graph } = checkModel(file, { set })
      const draws: Record<string, Draw> = {}
      const least = Math.min(...Object.entries(set).flatMap(([k, n]) => (/vocab|types/.test(k) ? [n] : [])), 99)
      for (const i of graph.inputs) {
        if (i.node.type.dtype !== 'i32') continue
        const flags = /keep|mask/.test(i.name)
        draws[i.name] = flags ? { k: 'flags' } : { k: 'ids', below: /type|segment/.test(i.name) ? 2 : least }
      }
      const longest = Math.min(13, ...graph.constraints.flatMap((c) => (c.k === 'le' ? [isConst(c.b) ?? 13] : [])))
      const call = (): Dims =>
        Object.fromEntries(graph.dims.map((d) => [d.name, r.int(1, d.name === 'B' ? 2 : longest)]))
      return { name, text, calls: [call(), call()], draws, set }
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error
    }
  }
  return undefined
}

function drawn(r: Random, hyper: Readonly<Record<string, unknown>>): Record<string, number> {
  const out: Record<string, number> = {}
  for (const [name, value] of Object.entries(hyper)) {
    const found = typeof value === 'number' && value > 1 && choices.find(([pattern]) => pattern.test(name))
    if (found) out[name] = r.pick(found[1])
  }
  return out
}
