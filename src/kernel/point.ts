/**
 * One element of a kernel's result straight from its stages, with a worst-case error bound: what emitted self-tests expect. Shares the
 * arithmetic with `execute.ts` but not the nests.
 */
import type { Ix, Sym } from '../types/ix.ts'
import { of } from '../types/ix.ts'
import { offsetOf } from './address.ts'
import type { Buffer } from './buffer.ts'
import { identityOf } from './build.ts'
import type { Expr, Local } from './expr.ts'
import { bin, cast, local, newLocal } from './expr.ts'
import type { Pair, PairCode, Rules } from './pairs.ts'
import { helperNames, helpers, pairCode } from './pairs.ts'
import type { Body, Carried, Stage, StageKernel } from './stage.ts'
import { extentOf, loadsOf } from './walk.ts'

export interface Point {
  /** Where the element lies in the result: coordinates and flat offset. */
  readonly at: readonly number[]
  readonly offset: number
  readonly value: number
  readonly bound: number
}
/** Gives the exact elements of an argument, by their flat offset. */
export type Inputs = (buffer: Buffer) => (flat: number) => number
export interface PointOptions {
  /** Elements per chunk of a carried reduction. */
  readonly chunk?: number
}
/** The stage's point at `coords` of its domain; undefined where its guard leaves the point out. */
export type PointEvaluator = (stage: Stage, coords: readonly number[]) => Point | undefined

/** Evaluates points of a kernel's stages. Values of intermediate stages are kept between points. */
export function pointEvaluator(
  kernel: StageKernel,
  inputs: Inputs,
  params: ReadonlyMap<Sym, number>,
  rules: Rules,
  options: PointOptions = {},
): PointEvaluator {
  let made = compiled.get(kernel)
  const key = JSON.stringify([rules, options])
  if (made?.key !== key) compiled.set(kernel, (made = { key, make: compile(kernel, rules, options.chunk ?? 32) }))
  const numbers = kernel.params.map((s) => {
    const n = params.get(s)
    if (n === undefined) throw new Error(`internal: ${kernel.name} evaluated without ${s.name}`)
    return n
  })
  const functions = made.make(inputs, numbers)
  return (stage, coords) => functions[kernel.stages.indexOf(stage)](...coords)
}

type StageFunction = (...coords: readonly number[]) => Point | undefined
const compiled = new WeakMap<
  StageKernel,
  { readonly key: string; readonly make: (inputs: Inputs, params: readonly number[]) => readonly StageFunction[] }
>()

function compile(
  kernel: StageKernel,
  rules: Rules,
  chunk: number,
): (inputs: Inputs, params: readonly number[]) => readonly StageFunction[] {
  const w = new PointWriter(rules, chunk)
  w.lines.push('let V = 0, E = 0')
  for (const s of kernel.stages) w.makers.set(s.out, s)
  kernel.stages.forEach((s, i) => w.stage(s, i))
  const head = [
    `const [${kernel.params.map((s) => `s${s.id}`).join(', ')}] = params`,
    ...w.buffers.map((_, i) => `const read${i} = inputs(buffers[${i}])`),
  ]
  const source = `'use strict'\n${[...head, ...w.lines].join('\n')}\nreturn [${w.entries.join(', ')}]`
  const make = new Function(...helperNames, 'buffers', 'inputs', 'params', source) as (
    ...xs: unknown[]
  ) => readonly StageFunction[]
  return (inputs, params) => make(...Object.values(helpers), w.buffers, inputs, params)
}

class PointWriter {
  readonly lines: string[] = []
  readonly entries: string[] = []
  readonly buffers: Buffer[] = []
  readonly makers = new Map<Buffer, Stage>()
  /** Running values of carried reductions, while their merges and results are written. */
  private readonly running = new Map<Buffer, Pair>()
  private readonly functions = new Map<Stage, string>()
  private readonly rules: Rules
  private readonly chunk: number
  private temps = 0

  constructor(rules: Rules, chunk: number) {
    this.rules = rules
    this.chunk = chunk
  }
  private readonly out = (line: string): void => {
    this.lines.push(line)
  }
  private readonly fresh = (): string => `t${this.temps++}`
  private code(): PairCode {
    const locals = (v: Local): Pair => ({ v: `v${v.id}`, e: `v${v.id}e` })
    return pairCode(
      this.rules,
      'worst',
      { sym: (s) => `s${s.id}`, local: locals, load: (b, at, code) => this.load(b, at, code) },
      this.out,
      this.fresh,
    )
  }

  private load(b: Buffer, at: readonly Ix[], code: PairCode): Pair {
    const carried = this.running.get(b)
    if (carried !== undefined) return carried
    const maker = this.makers.get(b)
    const [v, e] = [this.fresh(), this.fresh()]
    if (maker === undefined || maker.at?.every((x, i) => x === of(maker.domain[i])) === false) {
      const i = this.buffers.includes(b) ? this.buffers.indexOf(b) : this.buffers.push(b) - 1
      this.out(`const ${v} = read${i}(${code.ix(offsetOf(b, at))})`)
      return { v, e: '0' }
    }
    this.out(`${this.nameOf(maker)}(${at.map(code.ix).join(', ')})`)
    this.out(`const ${v} = V, ${e} = E`)
    return { v, e: b.of === 'i32' || b.of === 'bool' ? '0' : e }
  }

  private nameOf(s: Stage): string {
    let name = this.functions.get(s)
    if (name === undefined) this.functions.set(s, (name = `f${this.functions.size}`))
    return name
  }

  /** A memoised function that leaves a stage's pair in V and E, and the entry that also says where the point lies. */
  stage(s: Stage, i: number): void {
    this.point(s, [])
    const params = s.domain.map((v) => `s${v.id}`).join(', ')
    this.out(`const entry${i} = (${params}) => {`)
    const code = this.code()
    if (s.guard !== undefined) this.out(`if (!(${code.expr(s.guard).v})) return undefined`)
    const at = s.at ?? s.domain.map(of)
    this.out(`const at = [${at.map(code.ix).join(', ')}], offset = ${code.ix(offsetOf(s.out, at))}`)
    this.out(`${this.nameOf(s)}(${params})`)
    this.out('return { at, offset, value: V, bound: E }')
    this.out('}')
    this.entries.push(`entry${i}`)
  }

  private point(s: Stage, where: readonly { readonly axis: Sym; readonly condition: Expr | undefined }[]): void {
    const name = this.nameOf(s)
    const params = s.domain.map((v) => `s${v.id}`)
    this.out(`const ${name}_memo = new Map()`)
    this.out(`const ${name} = (${params.join(', ')}) => {`)
    this.out(
      `const key = ${params.length === 1 ? params[0] : `\`${params.map((p) => `\${${p}}`).join(',')}\``}, known = ${name}_memo.get(key)`,
    )
    this.out('if (known !== undefined) { V = known[0]; E = known[1]; return }')
    const p = this.body(s, s.body, where)
    this.out(`V = ${p.v}; E = ${p.e}`)
    this.out(`${name}_memo.set(key, [V, E])`)
    this.out('}')
  }

  private body(
    s: Stage,
    body: Body,
    where: readonly { readonly axis: Sym; readonly condition: Expr | undefined }[],
  ): Pair {
    switch (body.k) {
      case 'map':
        return this.code().expr(cast(s.out.of, body.e))
      case 'reduce':
        return this.reduce(body, where)
      case 'carried':
        return this.carried(s, body)
    }
  }

  private reduce(
    body: Body & { k: 'reduce' },
    where: readonly { readonly axis: Sym; readonly condition: Expr | undefined }[],
  ): Pair {
    const acc = newLocal('acc', body.e.of)
    const [v, e] = [`v${acc.id}`, `v${acc.id}e`]
    const pick = body.fold === 'argmax'
    this.out(`let ${v} = ${pick ? -Infinity : identityOf(body.fold, body.e.of)}, ${e} = 0, any = false, best = 0`)
    for (const axis of body.axes) {
      const chunked = where.some((w) => w.axis === axis)
      const [lo, hi] = chunked ? ['c0', 'c1'] : ['0', this.code().ix(extentOf(axis))]
      this.out(`for (let s${axis.id} = ${lo}, n = ${hi}; s${axis.id} < n; s${axis.id}++) {`)
    }
    const code = this.code()
    for (const w of where) {
      if (w.condition !== undefined && body.axes.includes(w.axis))
        this.out(`if (!(${code.expr(w.condition).v})) continue`)
    }
    if (body.where !== undefined) this.out(`if (!(${code.expr(body.where).v})) continue`)
    if (body.fold === 'argmax') {
      const x = code.expr(body.e)
      this.out(`if (!any || ${x.v} > ${v}) { ${v} = ${x.v}; best = s${body.axes[0].id} }`)
    } else {
      const next = code.fold(bin(body.fold, local(acc), body.e))
      this.out(`${v} = ${next.v}; ${e} = ${next.e}`)
    }
    this.out('any = true')
    body.axes.forEach(() => this.out('}'))
    this.out(`if (!any) { ${v} = ${Math.fround(body.empty)}; ${e} = 0; best = ${body.empty} }`)
    return pick ? { v: 'best', e: '0' } : { v, e }
  }

  /** Carries with columns are followed at the point's own column only. */
  private carried(s: Stage, body: Carried): Pair {
    for (const c of body.carries) {
      const mine = [body.finish, ...body.carries.map((d) => d.merge)].flatMap((e) =>
        loadsOf(e).filter((l) => l.buf === c.running || l.buf === c.chunk),
      )
      if (mine.some((l) => l.at.some((x, i) => x !== of(c.axes[i]))))
        throw new Error(`internal: ${s.name} merges ${c.running.name} across columns`)
    }
    const names = body.carries.map((c) => {
      const v = this.fresh()
      this.out(`let ${v} = ${Math.fround(c.init)}, ${v}e = 0`)
      this.running.set(c.running, { v, e: `${v}e` })
      return v
    })
    const hidden = new Map(body.chunk.map((t) => [t.out, this.makers.get(t.out)]))
    this.out(`for (let c0 = 0, end = ${this.code().ix(extentOf(body.axis))}; c0 < end; c0 += ${this.chunk}) {`)
    this.out(`const c1 = Math.min(c0 + ${this.chunk}, end)`)
    for (const t of body.chunk) {
      this.makers.set(t.out, t)
      this.point(t, [{ axis: body.axis, condition: body.where }])
    }
    const code = this.code()
    const next = body.carries.map((c) => code.expr(c.merge))
    next.forEach((p, i) => this.out(`${names[i]} = ${p.v}; ${names[i]}e = ${p.e}`))
    this.out('}')
    for (const [b, maker] of hidden) if (maker === undefined) this.makers.delete(b)
    const result = this.code().expr(cast(s.out.of, body.finish))
    for (const c of body.carries) this.running.delete(c.running)
    return result
  }
}
