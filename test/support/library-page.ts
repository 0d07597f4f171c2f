/** `docs/library.md`: every function with its parameters, what it is, and the tensors that it declares, from the ops and `std/` themselves. */
import { readdirSync } from 'node:fs'
import type { Block } from '../../grammar/ast.ts'
import { walk } from '../../grammar/desugar.ts'
import { parse } from '../../grammar/parse.ts'
import { sourceFile, type Span } from '../../src/diagnostics/span.ts'
import { builtinNames } from '../../src/frontend/builtins.ts'
import { opNames } from '../../src/frontend/opcalls.ts'
import type { Op, Param } from '../../src/ops/define.ts'
import { ops } from '../../src/ops/table.ts'
import { readText } from './models.ts'

const head = `# Functions

Made from the ops and from \`std/\`; \`npm run snapshots\` writes it anew. What belongs together is listed in [language.md](language.md#ops-and-the-standard-library).

Arguments are given by position or by name. \`x = v\` has a default; \`auto x\` is taken from the calling blocks and the hyperparameters where it is not given. A name in capitals
in a type is bound by what is passed, so \`x: f32[B, T, D]\` takes any three axes. *Tensors* are what the block declares itself, under the \`name\` of the call: \`linear(x, n, name = "fc")\`
declares \`fc.weight\` and \`fc.bias\`; those in \`if\` only where it is taken, such as a bias.
`

const textOf = ({ file, start, end }: Span): string => file.text.slice(start, end).replace(/\s+/g, ' ')

function blockEntry(block: Block): string {
  const params = block.params.map((p) => textOf(p.span)).join(', ')
  const results = block.results.length > 0 ? ` -> ${block.results.map((r) => textOf(r.span)).join(', ')}` : ''
  const tensors = new Set<string>()
  walk(block.body, (at) => {
    if (at.k === 'param') tensors.add(`\`${at.path ? textOf(at.path.span).slice(1, -1) : at.name.name}\` ${textOf(at.type.span).replace(/^\w+/, '')}`) // prettier-ignore
    return undefined
  })
  const about = [
    ...(block.doc ? [block.doc.replace(/\s+/g, ' ')] : []),
    ...(tensors.size > 0 ? [`*Tensors:* ${[...tensors].join(', ')}.`] : []),
  ]
  return [`- \`${block.name.name}(${params})${results}\``, ...about.map((line) => `  ${line.trim()}`)].join('\\\n')
}

/** Calls say `axis` for one or several. */
const nameOf = (p: Param): string => (p.kind === 'axes' ? 'axis' : p.name)

function opEntries(called: string): string[] {
  const found = (Object.entries(ops) as [string, Op][]).filter(([key, op]) => (op.call ?? key) === called)
  return found.flatMap(([, op]) => {
    if (!op.lower || op.internal || op.params.some((p) => p.kind === 'numbers')) return []
    const shown = (v: unknown): string =>
      v === null ? 'none' : Array.isArray(v) ? `[${v.join(', ')}]` : JSON.stringify(v)
    const params = op.params.map((p) => (p.default === undefined ? nameOf(p) : `${nameOf(p)} = ${shown(p.default)}`))
    const written = op.operator === undefined ? '' : ` (written \`${op.operator}\`)`
    return [`- \`${called}(${params.join(', ')})\`${written}\\\n  ${op.doc.replace(/\s+/g, ' ')}`]
  })
}

export function libraryPage(): string {
  const others = builtinNames().map((name) => `\`${name}\``)
  const built = `Worked out by the compiler, and told in [language.md](language.md): ${others.join(', ')}.\n`
  const parts = [head, built, '## Ops\n', ...opNames().flatMap(opEntries)]
  for (const name of readdirSync(new URL('../../std', import.meta.url)).sort()) {
    const { ast } = parse(sourceFile(`std/${name}`, readText(`std/${name}`)))
    const blocks = ast.items.filter((item): item is Block => item.k === 'block')
    parts.push(`\n## std/${name}\n`, ...blocks.map(blockEntry))
  }
  return `${parts.join('\n')}\n`
}
