/** Inlining of stages: a load of a virtual buffer that a map stage defines becomes the stage's body at the load's coordinates. */
import type { Ix } from '../types/ix.ts'
import { of } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'
import type { Expr } from './expr.ts'
import { cast } from './expr.ts'
import type { Body, Stage } from './stage.ts'
import type { Mapper } from './walk.ts'
import { mapper, substituteExpr } from './walk.ts'

/** Applies a mapper to a stage's expressions and coordinates; binders stay. */
export function mapStage(s: Stage, m: Mapper): Stage {
  return {
    ...s,
    body: mapBody(s.body, m),
    ...(s.at ? { at: s.at.map(m.ix) } : {}),
    ...(s.guard ? { guard: m.expr(s.guard) } : {}),
  }
}
function mapBody(b: Body, m: Mapper): Body {
  const where = b.k !== 'map' && b.where ? { where: m.expr(b.where) } : {}
  switch (b.k) {
    case 'map':
      return { k: 'map', e: m.expr(b.e) }
    case 'reduce':
      return { ...b, ...where, e: m.expr(b.e) }
    case 'carried':
      return {
        ...b,
        ...where,
        chunk: b.chunk.map((s) => mapStage(s, m)),
        carries: b.carries.map((c) => ({ ...c, merge: m.expr(c.merge) })),
        finish: m.expr(b.finish),
      }
  }
}

/** What a stage's body is at given coordinates. */
const bodyAt = (s: Stage, e: Expr, at: readonly Ix[]): Expr =>
  cast(s.out.of, substituteExpr(e, new Map(s.domain.map((v, i) => [v, at[i]]))))

export interface InlineOptions {
  /** Virtual maps for which this holds stay stages (and get storage or a local). */
  readonly keep?: (s: Stage) => boolean
  /** Also loads of stored maps compute the value again instead of reading it back. Wrong if a result may overwrite an input. */
  readonly stored?: boolean
}

/** Inlines map stages with a virtual result, in order; what nothing stored depends on is dropped. */
export function inlineStages(stages: readonly Stage[], options: InlineOptions = {}): readonly Stage[] {
  const bodies = new Map<Buffer, { readonly stage: Stage; readonly e: Expr }>()
  const m = mapper({
    load: (b, at) => {
      const found = bodies.get(b)
      return found === undefined ? undefined : bodyAt(found.stage, found.e, at)
    },
  })
  const out: Stage[] = []
  for (const raw of stages) {
    const s = inlineChunk(mapStage(raw, m))
    const virtual = s.out.space === 'virtual'
    const plain = s.at === undefined || (s.at.length === s.domain.length && s.at.every((x, i) => x === of(s.domain[i])))
    if (s.body.k === 'map' && virtual && !options.keep?.(s)) {
      if (!plain) throw new Error(`internal: ${s.name} is virtual and stored elsewhere than it is computed`)
      bodies.set(s.out, { stage: s, e: s.body.e })
      continue
    }
    if (s.body.k === 'map' && !virtual && options.stored && plain) bodies.set(s.out, { stage: s, e: s.body.e })
    out.push(s)
  }
  return out
}

/** Inside a chunk, cheap maps are inlined; those with functions are computed once per element. */
function inlineChunk(s: Stage): Stage {
  if (s.body.k !== 'carried') return s
  const { chunk, carries } = s.body
  const keep = (t: Stage): boolean =>
    (t.body.k === 'map' && isCostly(t.body.e)) || carries.some((c) => c.chunk === t.out)
  return { ...s, body: { ...s.body, chunk: inlineStages(chunk, { keep }) } }
}

/** Whether an expression computes a function worth many multiplications. */
function isCostly(e: Expr): boolean {
  switch (e.k) {
    case 'un':
      return !['neg', 'abs', 'not', 'sign', 'floor', 'ceil', 'round'].includes(e.f) || isCostly(e.x)
    case 'bin':
      return e.f === 'div' || e.f === 'pow' || isCostly(e.a) || isCostly(e.b)
    case 'select':
      return isCostly(e.c) || isCostly(e.x) || isCostly(e.y)
    case 'cast':
      return isCostly(e.x)
    default:
      return false
  }
}
