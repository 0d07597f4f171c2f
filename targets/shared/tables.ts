/** The tables of a host module that describe its programs: ports, state, conditions, and the rules of its weights. */
import type { Module, Port, Program, StateSpec } from '../../src/program/types.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { con, isConst, of, substitute, symbolsOf } from '../../src/types/ix.ts'
import { ixText } from './javascript/numbers.ts'
import type { Scope } from './javascript/numbers.ts'
import type { Printer } from './printer.ts'
import { layerName } from './rolled.ts'
import { access, fill, indent, quote } from './text.ts'

/** A scope of dims only. */
export function dimScope(p: Printer, sym: (s: Sym) => string): Scope {
  const none = (): never => {
    throw new Error('internal: a dim depends on data')
  }
  return { sym, local: none, buffer: none, helper: p.helper }
}
/** `(d) => d.B * 768`, or without dims `() => 768`. */
export function formula(x: Ix, p: Printer): string {
  const body = ixText(
    x,
    dimScope(p, (s) => access('d', s.name)),
  )
  return `${symbolsOf(x).size === 0 ? '()' : '(d)'} => ${body}`
}
function extentText(x: Ix, p: Printer): string {
  const n = isConst(x)
  if (n !== undefined) return String(n)
  const [s] = symbolsOf(x)
  return of(s) === x ? quote(s.name) : formula(x, p)
}

export function portText(port: Port, module: Module, p: Printer): string {
  const fields = [
    `name: ${quote(port.name)}`,
    `dtype: '${port.dtype}'`,
    `shape: [${port.shape.map((x) => extentText(x, p)).join(', ')}]`,
  ]
  if (port.below !== undefined) {
    const n = isConst(port.below)
    const named = Object.entries(module.hyper).filter(([, v]) => v === n)
    const name = n === undefined ? 'limit' : named.length > 0 ? named[0][0] : 'table size'
    fields.push(`below: [${extentText(port.below, p)}, ${quote(name)}]`)
  }
  if (port.optional && port.fill !== undefined) fields.push(`fill: ${port.fill}`)
  return `{ ${fields.join(', ')} }`
}

/** Entries of the state table: states of one size together. */
export const stateLines = (module: Module, p: Printer): string[] =>
  stateGroups(module, p).map(({ names, head }) => `{ names: [${rolledList(names).join(', ')}], ${head} },`)
/** Names of states in the order of the table. */
export const stateOrder = (module: Module, p: Printer): string[] =>
  stateGroups(module, p).flatMap(({ names }) => [...byShape(names).values()].flat())
function stateGroups(module: Module, p: Printer): { readonly names: readonly string[]; readonly head: string }[] {
  const groups = new Map<string, { names: string[]; head: string }>()
  for (const s of module.state) {
    const grows = s.axis !== undefined
    const size = formula(grows ? perPosition(s, module) : s.layout.size, p)
    const head = `size: ${size}, grows: ${grows}${s.dtype === 'f32' ? '' : ', ints: true'}${s.rows ? ', rows: true' : ''}`
    const group = groups.get(head) ?? { names: [], head }
    group.names.push(s.name)
    groups.set(head, group)
  }
  return [...groups.values()]
}
/** Elements of storage for one position: positions come first, so the size is a multiple of their number. */
function perPosition(s: StateSpec, module: Module): Ix {
  const { T, past } = module.sequence ?? {}
  if (T === undefined || past === undefined) throw new Error(`internal: ${s.name} grows, but the model has no sequence`)
  return substitute(s.layout.size, new Map([[T, con(1)], [past, con(0)]])) // prettier-ignore
}

/** Names that differ in their first number, together. */
function byShape(all: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const n of all) {
    const key = n.replace(/\d+/, '#')
    groups.set(key, [...(groups.get(key) ?? []), n])
  }
  return groups
}
/** Names that count become one spread template. */
function rolledList(all: readonly string[]): string[] {
  return [...byShape(all).values()].flatMap((list) => {
    const text = list.length > 2 ? layerName(list, 'i') : ''
    return text.startsWith('`') ? [`...layers(${list.length}, (i) => ${text})`] : list.map(quote)
  })
}

/** Conditions to be checked at each call. */
export function checkLines(program: Program, p: Printer): string[] {
  return program.constraints.map((c) => {
    const scope = dimScope(p, (s) => access('d', s.name))
    const [a, b] = [ixText(c.a, scope), ixText(c.b, scope)]
    const holds = c.k === 'le' ? `${a} <= ${b}` : c.k === 'eq' ? `${a} === ${b}` : `(${a}) % (${b}) === 0`
    return `[${quote(c.text)}, (d) => ${holds}],`
  })
}

/** A field that is a list: on one line, if that is short. */
export function listLines(field: string, items: readonly string[]): string[] {
  const line = `${field}: [${items.join(', ')}],`
  return line.length < 110 ? [line] : [`${field}: [`, ...indent(items.map((x) => `${x},`)), '],']
}

export function rulesLines(module: Module, p: Printer): string[] {
  const { prefixes, ignore, rename } = module.rules
  const fields = [
    ...(prefixes.length > 0
      ? [`prefixes: [${prefixes.map((x) => `{ prefix: ${quote(x.prefix)}, optional: ${x.optional} }`).join(', ')}],`]
      : []),
    ...(ignore.length > 0
      ? ignore.length < 4
        ? [`ignore: [${ignore.map(quote).join(', ')}],`]
        : ['ignore: [', ...indent(fill(ignore.map(quote), 110)), '],']
      : []),
    ...(rename.length > 0
      ? [`rename: [${rename.map((x) => `{ from: ${quote(x.from)}, to: ${quote(x.to)} }`).join(', ')}],`]
      : []),
  ]
  if (fields.length === 0) return [`const rules${p.type('WeightRules')} = {}`]
  return [`const rules${p.type('WeightRules')} = {`, ...indent(fields), '}']
}
