/** Makes a failing model small: fewer results, statements turned into inputs, smaller dims, while it still fails. */
import { prune } from './generate.ts'
import type { Dims, Model, Statement, Var } from './model.ts'
import { typeText } from './model.ts'

export type Fails = (model: Model) => Promise<boolean>

/** Tries candidates until none fails, or `most` were tried. */
export async function shrink(model: Model, fails: Fails, most = 150): Promise<Model> {
  let current = model
  let tries = 0
  for (let progress = true; progress && tries < most;) {
    progress = false
    for (const candidate of candidates(current)) {
      if (tries++ >= most) break
      if (!(await fails(candidate))) continue
      current = candidate
      progress = true
      break
    }
  }
  return current
}

/** Smaller models, the much smaller ones first. */
function* candidates(model: Model): Generator<Model> {
  const { statements } = model
  if (model.calls.length > 1) for (const call of model.calls) yield { ...model, calls: [call] }
  const outputs = statements.filter((s) => s.k === 'output')
  if (outputs.length > 1) {
    for (const o of outputs) yield pruned(model, statements.filter((s) => s.k !== 'output' || s === o)) // prettier-ignore
    for (const o of outputs) yield pruned(model, statements.filter((s) => s !== o)) // prettier-ignore
  }
  const lets = statements.filter((s) => s.k === 'let' || s.k === 'param')
  for (const s of lets) {
    const given = asInput(s)
    if (given) yield pruned(model, statements.map((t) => (t === s ? given : t))) // prettier-ignore
  }
  // The result of a statement is read elsewhere in place of what is computed from it.
  for (const s of lets) {
    const earlier = statements.slice(0, statements.indexOf(s)).flatMap((t) => t.defines)
    for (const v of s.defines)
      for (const other of earlier)
        if (typeText(other) === typeText(v)) yield pruned(model, renamed(statements, s, v, other))
  }
  // An output of what another result is computed from.
  for (const s of lets)
    for (const v of s.defines)
      if (outputs.length === 1 && !outputs[0].text.endsWith(` = ${v.name}`))
        yield pruned(model, statements.map((t) => (t === outputs[0] ? { ...t, text: `output y0 = ${v.name}` } : t))) // prettier-ignore
  if (model.sequence) yield { ...model, sequence: false }
  for (const s of statements)
    if (s.k === 'input' && s.draw && s.draw.k !== 'normal' && s.defines[0].dtype === 'f32')
      yield { ...model, statements: statements.map((t) => (t === s ? { ...t, draw: { k: 'normal' as const } } : t)) }
  if (model.calls.length === 1)
    for (const dim of Object.keys(model.calls[0]))
      for (const n of [1, 2, 3]) {
        const calls: readonly Dims[] = [{ ...model.calls[0], [dim]: n }]
        if (n < model.calls[0][dim]) yield { ...model, calls }
      }
}

const pruned = (model: Model, statements: readonly Statement[]): Model => prune({ ...model, statements })

function asInput(s: Statement): Statement | undefined {
  const [v] = s.defines
  if (s.defines.length !== 1 || v.dtype === 'bool') return undefined
  const below = v.below ?? 3
  return {
    k: 'input', text: `input ${v.name}: ${typeText(v)}`, defines: [v], draw: v.dtype === 'i32' ? { k: 'ids', below } : { k: 'normal' },
  } // prettier-ignore
}

function renamed(statements: readonly Statement[], after: Statement, from: Var, to: Var): Statement[] {
  const at = statements.indexOf(after)
  const word = new RegExp(`\\b${from.name}\\b`, 'g')
  return statements.map((s, i) => (i > at ? { ...s, text: s.text.replace(word, to.name) } : s))
}
