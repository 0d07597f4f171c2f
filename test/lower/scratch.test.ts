import { test } from 'vitest'
import { readFileSync } from 'node:fs'
import { parse } from '../../grammar/parse.ts'
import { elaborate } from '../../src/frontend/index.ts'
import { sourceFile, renderDiagnostic } from '../../src/diagnostics/index.ts'
import * as D from '../../src/diagnostics/index.ts'
import { runPasses } from '../../src/passes/pass.ts'
import { pipeline } from '../../src/passes/pipeline.ts'
import { derive, isRefusal } from '../../src/sequence/derive.ts'
import { lowerModule } from '../../src/lower/module.ts'
import { con, of, sym, add, mul, floorDiv, mod } from '../../src/types/ix.ts'
import { printStages } from '../../src/kernel/print.ts'
const panel = (k: number, n: number) => {
  const a = sym('k', { lo: 0, hi: k - 1, role: 'loop' }),
    b = sym('n', { lo: 0, hi: n - 1, role: 'loop' })
  return {
    name: 'panel4',
    axes: [a, b],
    offset: add(mul(floorDiv(b, 4), 4 * k), mul(a, 4), mod(b, 4)),
    size: con(Math.ceil(n / 4) * 4 * k),
  }
}
for (const name of (process.env.M ?? 'gpt2,translate,preln-layer,postln-block,residual-block').split(','))
  test(name, () => {
    const path = name.startsWith('v') ? `test/golden/${name}/model.tfm` : `examples/${name}/model.tfm`
    const file = sourceFile(path, readFileSync(path, 'utf8'))
    const p = parse(file)
    const e = elaborate(p.ast, {})
    for (const d of [...p.diagnostics, ...e.diagnostics])
      console.log(JSON.stringify({ ...d, span: undefined, reasons: d.reasons.map((r) => r.message) }))
    if (!e.graph) throw new Error('no graph')
    const run = runPasses(e.graph, pipeline)
    const d = derive(run)
    if (isRefusal(d)) console.log('REFUSED', d.message, d.node.op, d.output)
    const ok = d !== undefined && !isRefusal(d) ? d : undefined
    const keep = new Set(ok?.state.filter((s) => s.axis === undefined).map((s) => s.name) ?? [])
    const m = lowerModule(
      {
        graph: e.graph,
        source: '',
        state: ok?.state ?? [],
        programs: [
          { name: 'run', graph: run, keep: new Set() },
          ...(ok?.prepare ? [{ name: 'prepare' as const, graph: ok.prepare, keep }] : []),
          ...(ok
            ? [
                { name: 'prefill' as const, graph: ok.prefill, keep: new Set<string>() },
                { name: 'step' as const, graph: ok.step, keep: new Set<string>() },
              ]
            : []),
        ],
      },
      { panelLayout: panel },
    )
    const out: string[] = []
    for (const p of m.programs) {
      out.push(`${p.program.name} ${p.dispatches.length} slots ${p.program.slots.length}`)
      const show = (s: any, ind = ''): void => {
        if (s.k === 'layers') {
          out.push(ind + 'layers ' + s.count)
          s.body.forEach((b: any) => show(b, ind + '  '))
        } else
          out.push(
            ind +
              m.module.kernels[s.kernel].name +
              '(' +
              s.args.map((a: any) => a.k + ':' + (a.name ?? a.index ?? a.names?.[0])).join(', ') +
              ')',
          )
      }
      p.program.steps.forEach((s) => show(s))
    }
    if (process.env.K) for (const k of m.module.kernels) out.push(printStages(k))
    console.log(out.join('\n'))
  })
