/** `tfmc explain`: what the compiler made of a model, and why. */
import { compileGraph, type Compiled } from '../../compile.ts'
import { renderAll } from '../../diagnostics/index.ts'
import { prove } from '../../explain/limits.ts'
import { report, type FusionLine, type ProgramReport, type Report } from '../../explain/report.ts'
import { evaluate, print, symbolsOf, type Ix } from '../../types/ix.ts'
import type { DeviceProfile } from '../../program/profiles.ts'
import type { Arithmetic, Target, WeightFormat } from '../../target.ts'
import { arithmeticText, checkArithmetic } from '../arithmetic.ts'
import { UsageError, type Context, type Outcome } from '../context.ts'
import { jsonOf } from '../errors.ts'
import { misfit, proofText, tokenCounts, tokenText } from '../limits.ts'
import { openModel, type ModelOptions } from '../model.ts'
import { bytes, plural, table, wantsColor } from '../output.ts'
import { profileOf, type ProfileOptions } from '../device-profile.ts'
import { targetList, targetNames, targetOf } from '../targets.ts'

export interface ExplainOptions extends ModelOptions, ProfileOptions {
  readonly dims?: Readonly<Record<string, number>>
  /** Default: wgsl with a device profile or arithmetic in f16, else typescript. */
  readonly target?: string
  readonly fusions?: boolean
  readonly weightsAs: WeightFormat
  readonly arithmetic: Arithmetic
}

export async function explain(ctx: Context, [path]: (string | undefined)[], options: ExplainOptions): Promise<Outcome> {
  checkArithmetic(options)
  const profile = await profileOf(ctx, options)
  const [name] = targetList(
    options.target ?? (profile || options.arithmetic === 'f16' ? 'wgsl' : 'typescript'),
    targetNames,
  )
  const model = await openModel(ctx, path, options)
  const target = await targetOf(name)
  if (profile && !target.needs)
    throw new UsageError(`--device-profile is about devices with WebGPU, for which --target ${name} does not compile`)
  const made = await ctx.progress.blocking('compiling', () => {
    const arithmetic = target.floats.half ? { arithmetic: options.arithmetic } : {}
    const weights = options.weightsAs === 'f32' ? {} : { weights: () => options.weightsAs, ...arithmetic }
    const reorder = profile !== undefined
    const fused = compileGraph(model.graph, model.file, target, { ...weights, reorder })
    // What fits a device is asked of large models, too: they are compiled a second time only for those who compare.
    if (profile && !ctx.json && !options.fusions) return { fused }
    const unfused = compileGraph(model.graph, model.file, target, { fuse: false, reorder })
    return { fused, found: report(fused, unfused, options.dims ? { dims: options.dims } : {}) }
  })
  const { fused, found } = made
  const limits = profile && (await limitsOf(ctx, fused, target, profile, options.dims))
  if (limits) ctx.print(limits.text)
  else for (const program of found!.programs) ctx.print(programText(ctx, program))
  if (found && (!limits || options.fusions)) ctx.print(fusionText(ctx, found.fusions, options.fusions === true))
  if (found && !limits) ctx.print(memoryText(ctx, found))
  const halves = arithmeticText(fused.lowered.module, target.floats)
  if (halves) ctx.print(`${limits ? '\n' : ''}${halves}`)
  const refusal = fused.notSteppable
  if (refusal)
    ctx.note(
      `cannot be stepped: ${refusal.message}\n${refusal.reasons.map((r) => `  because ${r.message}\n`).join('')}`,
    )
  if (limits?.wrong) ctx.note(renderAll([limits.wrong], { color: wantsColor(ctx.io, ctx.io.err) }))
  return {
    ok: limits?.wrong === undefined,
    data: {
      ...(found && reportData(found)),
      ...(limits
        ? {
            limits: limits.proof,
            ...(limits.token ? { token: limits.token } : {}),
            diagnostics: jsonOf(limits.wrong ? [limits.wrong] : []),
          }
        : {}),
    },
  }
}

const reportData = (found: Report) => ({
  ...found,
  programs: found.programs.map((p) => ({
    ...p,
    slots: p.slots.map((s) => ({ elements: print(s.elements), bytes: s.bytes })),
  })),
  state: found.state.map((s) => ({ ...s, elements: print(s.elements) })),
})

/** The proof against a profile, with what a token costs. */
async function limitsOf(
  ctx: Context,
  compiled: Compiled,
  target: Target,
  profile: DeviceProfile,
  dims: Readonly<Record<string, number>> = {},
) {
  const { module } = compiled.lowered
  const needs = await target.needs!(module, profile)
  const proof = prove(needs, profile, dims)
  const token = tokenCounts(needs, dims)
  const wrong = misfit(module.name, proof)
  return { text: `${proofText(ctx, proof)}${token ? `\n${tokenText(ctx, token)}` : ''}`, proof, token, wrong }
}

const sizes = (dims: Readonly<Record<string, number>>): string => Object.entries(dims).map(([k, n]) => `${k} = ${n}`).join(', ') // prettier-ignore

function programText(ctx: Context, p: ProgramReport): string {
  const { paint } = ctx
  const rows = p.kernels.map((k) => [k.name, String(k.count), bytes(k.read), bytes(k.written), brief(k.operations)])
  const columns = [{ head: 'kernel' }, { head: 'times', right: true }, { head: 'reads', right: true }, { head: 'writes', right: true }, { head: 'operations' }] // prettier-ignore
  const T = p.name === 'step' ? 1 : (p.dims.T ?? 1)
  const tokens = T * (p.dims.B ?? 1)
  const perToken = (n: number): string => (p.name === 'prepare' ? '' : `, ${bytes(Math.round(n / tokens))} a token`)
  const slots = p.slots.reduce((sum, s) => sum + s.bytes, 0)
  return [
    `${paint('head', p.name)}  ${paint('dim', sizes(p.dims))}`,
    table(columns, rows, paint, '  ').trimEnd(),
    `  ${plural(p.kernels.length, 'kernel')}, ${plural(p.dispatches, 'dispatch', 'dispatches')}, ${bytes(p.bytes)} a call${perToken(p.bytes)}; activations ${bytes(slots)} in ${plural(p.slots.length, 'slot')}`,
    `  without fusion ${plural(p.unfused.dispatches, 'dispatch', 'dispatches')}, ${bytes(p.unfused.bytes)} a call${perToken(p.unfused.bytes)}`,
    '', '',
  ].join('\n') // prettier-ignore
}

/** `layernorm` may be a dozen operations: the first few, with counts. */
function brief(operations: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const op of operations) counts.set(op, (counts.get(op) ?? 0) + 1)
  const names = [...counts].map(([op, n]) => (n > 1 ? `${op}×${n}` : op))
  return names.length > 7 ? `${names.slice(0, 7).join(' ')} …` : names.join(' ')
}

function fusionText(ctx: Context, fusions: readonly FusionLine[], all: boolean): string {
  const { paint } = ctx
  const row = (f: FusionLine) => [f.program, f.law, `${f.from} → ${f.into}`, String(f.count), f.reason]
  const columns = [
    { head: 'in' },
    { head: 'law' },
    { head: 'what' },
    { head: 'times', right: true },
    { head: 'reason' },
  ]
  const refused = fusions.filter((f) => !f.taken)
  const taken = fusions.filter((f) => f.taken)
  if (all)
    return `${paint('head', 'fusions taken')}\n${table(columns, taken.map(row), paint, '  ')}\n${paint('head', 'fusions refused')}\n${table(columns, refused.map(row), paint, '  ')}\n`
  const laws = new Map<string, { taken: number; refused: number }>()
  for (const f of fusions) {
    const sum = laws.get(f.law) ?? { taken: 0, refused: 0 }
    sum[f.taken ? 'taken' : 'refused'] += f.count
    laws.set(f.law, sum)
  }
  const rows = [...laws].map(([law, n]) => [law, String(n.taken), String(n.refused)])
  const heads = [{ head: 'law' }, { head: 'taken', right: true }, { head: 'refused', right: true }]
  return `${paint('head', 'fusions')}  ${paint('dim', '(--fusions lists each with its reason)')}\n${table(heads, rows, paint, '  ')}\n`
}

function memoryText(ctx: Context, r: Report): string {
  const { dims } = r.programs[0]
  const at = (x: Ix, more: Readonly<Record<string, number>>): number =>
    4 * evaluate(x, ({ name }) => more[name] ?? dims[name] ?? 1)
  const grows = (x: Ix): boolean => [...symbolsOf(x)].some((v) => v.name === 'P')
  const [caches, kept] = [r.state.filter((s) => grows(s.elements)), r.state.filter((s) => !grows(s.elements))]
  const total = (list: typeof r.state, more = {}): number => list.reduce((sum, s) => sum + at(s.elements, more), 0)
  const such = (list: typeof r.state): string =>
    `${plural(list.length, 'tensor')}, such as ${list[0].name}: ${print(list[0].elements)}`
  const rows = [
    ['weights', bytes(r.weights.bytes), `${plural(r.weights.tensors, 'tensor')} (checkpoint: ${bytes(r.weights.checkpointBytes)} as f32)`],
    ...(caches.length > 0 ? [['caches, a token', bytes(total(caches, { T: 1, P: 0 })), such(caches)]] : []),
    ...(kept.length > 0 ? [['kept by prepare', bytes(total(kept)), such(kept)]] : []),
    ...r.programs.map((p) => [`activations of ${p.name}`, bytes(p.slots.reduce((sum, s) => sum + s.bytes, 0)), sum(p.slots.map((s) => print(s.elements)))]),
  ] // prettier-ignore
  // Caches begin with room for 64 positions.
  const room = { T: Math.max(64, (dims.T ?? 1) + (dims.P ?? 0)), P: 0 }
  const calls = r.programs.map((p) => p.ports + p.slots.reduce((sum, s) => sum + s.bytes, 0))
  const peak = r.weights.bytes + total(caches, room) + total(kept) + Math.max(0, ...calls)
  rows.push(['at most at once', bytes(peak), `weights, caches${caches.length > 0 ? ` for ${room.T} positions` : ''}, and the largest call with its inputs and outputs`]) // prettier-ignore
  const steps = r.programs.some((p) => p.name === 'step') ? 'yes' : r.notSteppable === undefined ? 'no `sequence` declared' : 'no' // prettier-ignore
  const memory = `${ctx.paint('head', 'memory')}\n${table([{ head: '' }, { head: '', right: true }, { head: '' }], rows, ctx.paint, '  ')}`
  return `${memory}\n${ctx.paint('head', 'token by token')}  ${steps}\n`
}

/** `5 × 192*T*B + 768*T*B` */
function sum(terms: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const t of terms) counts.set(t, (counts.get(t) ?? 0) + 1)
  return [...counts].map(([t, n]) => (n > 1 ? `${n} × ${t}` : t)).join(' + ')
}
