/** Readable text of stages and nests: `tfmc ir`, snapshots, messages. */
import type { Ix, Sym } from '../types/ix.ts'
import { con, INF } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'
import type { BinaryFn, Expr } from './expr.ts'
import type { Namer } from './names.ts'
import { infix, ixText, makeNamer } from './names.ts'
import type { NestKernel, Stmt } from './nest.ts'
import type { Body, Stage, StageKernel } from './stage.ts'
import { extentOf } from './walk.ts'

const infixes: Partial<Record<BinaryFn, readonly [text: string, level: number]>> = {
  mul: ['*', 6], div: ['/', 6], add: ['+', 5], sub: ['-', 5],
  lt: ['<', 4], le: ['<=', 4], gt: ['>', 4], ge: ['>=', 4], eq: ['==', 4], ne: ['!=', 4],
  and: ['and', 3], or: ['or', 2],
} // prettier-ignore

export interface Printer {
  readonly ix: (x: Ix) => string
  readonly expr: (e: Expr) => string
  readonly buffer: (b: Buffer) => string
  readonly sym: (s: Sym) => string
  readonly name: Namer
  readonly coordinates: (at: readonly Ix[], lanes: number, axis?: number) => string
}

export function makePrinter(name: Namer = makeNamer()): Printer {
  const sym = (s: Sym): string => name(s, s.name)
  const buffer = (b: Buffer): string => name(b, b.name)
  const style = {
    sym,
    value: (payload: unknown): string => `{${expr(payload as Expr)}}`,
    call: (f: string, a: string, b: string): string =>
      f === 'min' || f === 'max' ? `${f}(${a}, ${b})` : `(${infix(a)} ${f} ${infix(b)})`,
  }
  const ix = (x: Ix): string => (x === INF ? 'inf' : ixText(x, style))
  const go = (e: Expr): readonly [text: string, level: number] => {
    switch (e.k) {
      case 'const':
        return [e.of === 'bool' ? String(e.value !== 0) : number(e.value), e.value < 0 ? 7 : 9]
      case 'index':
        return [ix(e.ix), e.ix.terms.length > 1 ? 5 : 6]
      case 'local':
        return [name(e.v, e.v.name), 9]
      case 'load':
        return [e.at.length === 0 ? buffer(e.buf) : `${buffer(e.buf)}[${coordinates(e.at, e.lanes, e.axis)}]`, 9]
      case 'splat':
        return [`splat(${go(e.x)[0]})`, 9]
      case 'vec':
        return [`vec(${e.xs.map((x) => go(x)[0]).join(', ')})`, 9]
      case 'lane':
        return [`${at(e.x, 9)}.${e.i}`, 9]
      case 'pairs':
        return [`${e.f}(${e.xs.map((x) => go(x)[0]).join(', ')})`, 9]
      case 'across':
        return [`across.${e.f}(${go(e.x)[0]})`, 9]
      case 'cast':
        return [`${e.of}(${go(e.x)[0]})`, 9]
      case 'select':
        return [`(${go(e.c)[0]} ? ${go(e.x)[0]} : ${go(e.y)[0]})`, 9]
      case 'un':
        return e.f === 'neg' ? [`-${at(e.x, 7)}`, 7] : [`${e.f}(${go(e.x)[0]})`, 9]
      case 'bin': {
        const op = infixes[e.f]
        if (op === undefined) return [`${e.f}(${go(e.a)[0]}, ${go(e.b)[0]})`, 9]
        return [`${at(e.a, op[1])} ${op[0]} ${at(e.b, op[1] + 1)}`, op[1]]
      }
    }
  }
  const at = (e: Expr, level: number): string => {
    const [text, own] = go(e)
    return own < level ? `(${text})` : text
  }
  const expr = (e: Expr): string => go(e)[0]
  /** `[k, 8 * p:4]` are four elements along the second axis. */
  const coordinates = (at: readonly Ix[], lanes: number, axis?: number): string =>
    at.map((x, i) => `${ix(x)}${i === axis ? `:${lanes}` : ''}`).join(', ')
  return { ix, expr, buffer, sym, name, coordinates }
}

const number = (x: number): string =>
  x === -3.4028234663852886e38 ? '-huge' : x === 3.4028234663852886e38 ? 'huge' : String(x)

export const printExpr = (e: Expr): string => makePrinter().expr(e)

/** A kernel's stages, one per line; stored ones end in `-> buffer`. */
export function printStages(kernel: StageKernel): string {
  const p = makePrinter()
  const args = kernel.args.map((a) => `${a.access === 'read' ? '' : `${a.access} `}${signature(p, a.buffer)}`)
  return [
    `kernel ${kernel.name}(${args.join(', ')})`,
    ...kernel.stages.flatMap((s) => stageLines(p, s)).map((l) => `  ${l}`),
    '',
  ].join('\n')
}

function stageLines(p: Printer, s: Stage): string[] {
  const head = `${s.name}[${s.domain.map((v) => `${p.sym(v)}<${p.ix(extentOf(v))}`).join(', ')}] = `
  const to =
    s.out.space === 'virtual'
      ? p.buffer(s.out) === s.name
        ? ''
        : `  -> ${p.buffer(s.out)}`
      : `  -> ${p.buffer(s.out)}`
  const at = s.at ? `[${s.at.map(p.ix).join(', ')}]` : ''
  const guard = s.guard ? ` if ${p.expr(s.guard)}` : ''
  const lines = bodyLines(p, s.body)
  return [`${head}${lines[0]}${to}${at}${guard}`, ...lines.slice(1).map((l) => `  ${l}`)]
}

function bodyLines(p: Printer, b: Body): string[] {
  const where = b.k !== 'map' && b.where ? ` where ${p.expr(b.where)}` : ''
  switch (b.k) {
    case 'map':
      return [p.expr(b.e)]
    case 'reduce': {
      const fold = b.fold === 'add' ? 'sum' : b.fold === 'mul' ? 'product' : b.fold
      return [`${fold}(${b.axes.map((v) => `${p.sym(v)}<${p.ix(extentOf(v))}`).join(', ')}${where}) ${p.expr(b.e)}`]
    }
    case 'carried':
      return [
        `reduce ${p.sym(b.axis)}<${p.ix(extentOf(b.axis))}${where}`,
        ...b.chunk.flatMap((s) => stageLines(p, s)).map((l) => `chunk  ${l}`),
        ...b.carries.map((c) => {
          const axes = c.axes.length > 0 ? `[${c.axes.map(p.sym).join(', ')}]` : ''
          return `merge  ${p.buffer(c.running)}${axes} = ${p.expr(c.merge)}  from ${number(c.init)}`
        }),
        `finish ${p.expr(b.finish)}`,
      ]
  }
}

const signature = (p: Printer, b: Buffer): string => {
  const layout = b.layout ? ` @ ${b.layout.name}` : ''
  return `${p.buffer(b)}: ${b.of}[${b.shape.map(p.ix).join(', ')}]${layout}`
}

export function printNest(kernel: NestKernel): string {
  const p = makePrinter()
  const params = kernel.params.map(p.sym)
  const args = kernel.args.map((a) => `${a.access === 'read' ? '' : `${a.access} `}${signature(p, a.buffer)}`)
  const head = `kernel ${kernel.name}(${args.join(', ')})${params.length > 0 ? ` for ${params.join(', ')}` : ''}`
  return [head, ...printStmts(kernel.body, p).map((l) => `  ${l}`), ''].join('\n')
}

function printStmts(body: readonly Stmt[], p: Printer = makePrinter()): string[] {
  return body.flatMap((s) => stmtLines(p, s))
}

function stmtLines(p: Printer, s: Stmt): string[] {
  const indented = (body: readonly Stmt[]): string[] => printStmts(body, p).map((l) => `  ${l}`)
  switch (s.k) {
    case 'for': {
      const lo = s.lo === con(0) ? '' : ` from ${p.ix(s.lo)}`
      const step = s.step === 1 ? '' : ` step ${s.step}`
      const kind = s.kind === 'serial' ? (s.reduces ? 'reduce' : 'for') : s.kind
      const mark = s.reduces && s.kind !== 'serial' ? ' reduces' : ''
      return [`${kind} ${p.sym(s.v)} < ${p.ix(s.hi)}${lo}${step}${mark}`, ...indented(s.body)]
    }
    case 'let':
    case 'var':
      return [`${s.k} ${p.name(s.v, s.v.name)}: ${s.v.of}${s.v.lanes === 1 ? '' : `x${s.v.lanes}`} = ${p.expr(s.e)}`]
    case 'assign': {
      const name = p.name(s.v, s.v.name)
      if (s.e.k === 'bin' && s.e.f === 'add' && s.e.a.k === 'local' && s.e.a.v === s.v)
        return [`${name} += ${p.expr(s.e.b)}`]
      return [`${name} = ${p.expr(s.e)}`]
    }
    case 'store':
      return [`${p.buffer(s.buf)}[${p.coordinates(s.at, s.e.lanes, s.axis)}] = ${p.expr(s.e)}`]
    case 'if':
      return [`if ${p.expr(s.c)}`, ...indented(s.body)]
    case 'alloc':
      return [`${s.buf.space} ${signature(p, s.buf)}`]
    case 'bind':
      return [`index ${p.sym(s.v)} = ${p.ix(s.ix)}`]
    case 'barrier':
      return ['barrier']
    case 'comment':
      return [`# ${s.text}`]
  }
}
