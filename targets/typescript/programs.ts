/** Programs as functions over memory, and the tables that describe their ports and state. */
import type { Scalar } from '../../src/kernel/expr.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import type { HostStep, Module, Port, Program, Slot, StateSpec } from '../../src/program/types.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { con, isConst, of, sub, substitute, symbolsOf } from '../../src/types/ix.ts'
import { ixText } from './numbers.ts'
import type { Scope } from './numbers.ts'
import type { Printer } from './printer.ts'
import { layerName } from './rolled.ts'
import { access, fill, indent, property, quote } from './text.ts'

/** A scope of dims only. */
function dimScope(p: Printer, sym: (s: Sym) => string): Scope {
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

/** The function of a program: one line per dispatch, layers and scans as loops. */
export function printProgram(
  program: Program,
  name: string,
  module: Module,
  kernelNames: readonly string[],
  p: Printer,
): string[] {
  const own = p.names.child()
  const [w, s, v, f32, i32] = ['w', 's', 'v', 'f32', 'i32'].map((n) => own.name(n))
  const symNames = new Map<Sym, string>()
  const used = (x: Sym): string => {
    let found = symNames.get(x)
    if (found === undefined) symNames.set(x, (found = own.name(x.name)))
    return found
  }
  const scope = dimScope(p, used)
  const slotNames = new Map<string, string>()
  const declared: string[] = []
  const activation = (index: number, ints: boolean): string => {
    const key = `${index}${ints}`
    let found = slotNames.get(key)
    if (found === undefined) {
      slotNames.set(key, (found = own.name(`a${index}${ints ? '_int' : ''}`)))
      declared.push(`const ${found} = ${ints ? i32 : f32}(${index}, ${ixText(program.slots[index], scope)})`)
    }
    return found
  }
  const argument = (slot: Slot, of: Scalar, layer: string | undefined): string => {
    const ints = of === 'i32' || of === 'bool'
    const get = (store: string, text: string): string => `${store}.${ints ? 'i32' : 'f32'}(${text})`
    switch (slot.k) {
      case 'weight':
        return get(w, quote(slot.name))
      case 'state':
        return get(s, quote(slot.name))
      case 'input':
      case 'output':
        return get(v, quote(slot.name))
      case 'activation':
        return activation(slot.index, ints)
      case 'perLayer':
        return get(slot.of === 'weight' ? w : s, layerName(slot.names, layer ?? '0'))
    }
  }
  const dispatch = (step: HostStep & { k: 'dispatch' }, layer: string | undefined): string[] => {
    const kernel: StageKernel = module.kernels[step.kernel]
    const args = [
      ...kernel.args.map((a, i) => argument(step.args[i], a.buffer.of, layer)),
      ...kernel.params.map((x) => (program.name === 'step' && x === module.sequence?.T ? '1' : used(x))),
    ]
    const line = `${kernelNames[step.kernel]}(${args.join(', ')})`
    return line.length <= 112 ? [line] : [`${kernelNames[step.kernel]}(`, ...indent(fill(args, 112)), ')']
  }
  const print = (steps: readonly HostStep[], layer: string | undefined): string[] =>
    steps.flatMap((step) => {
      if (step.k === 'dispatch') return dispatch(step, layer)
      if (step.k === 'scan') {
        const t = own.name(step.t.name)
        const count = ixText(step.count, scope)
        symNames.set(step.t, t)
        const last = ixText(sub(step.count, 1), scope)
        const head = step.reverse ? `let ${t} = ${last}; ${t} >= 0; ${t}--` : `let ${t} = 0; ${t} < ${count}; ${t}++`
        const lines = [`for (${head}) {`, ...indent(print(step.body, layer)), '}']
        symNames.delete(step.t)
        return lines
      }
      const i = own.name('i')
      return [`for (let ${i} = 0; ${i} < ${step.count}; ${i}++) {`, ...indent(print(step.body, i)), '}']
    })
  const body = print(program.steps, undefined)
  const stores = [
    [w, 'weights'],
    [s, 'state'],
    [v, 'values'],
    [f32, 'f32'],
    [i32, 'i32'],
  ].filter(([n]) => mentions([...declared, ...body], n))
  const memory = `{ ${stores.map(([n, field]) => (n === field ? n : `${field}: ${n}`)).join(', ')} }`
  const dims = [...symNames].map(([sym, n]) => (sym.name === n ? n : `${property(sym.name)}: ${n}`))
  const params = [
    `${memory}${p.type('Memory')}`,
    ...(dims.length > 0 ? [`{ ${dims.join(', ')} }${p.type('Dims')}`] : []),
  ]
  return [`function ${name}(${params.join(', ')})${p.type('void')} {`, ...indent([...declared, ...body]), '}']
}
const mentions = (lines: readonly string[], name: string): boolean =>
  lines.some((l) => new RegExp(`(?<![\\w.'\`])${name}\\b`).test(l))

/** Entries of the state table: states of one size together. */
export function stateLines(module: Module, p: Printer): string[] {
  const groups = new Map<string, { names: string[]; head: string }>()
  for (const s of module.state) {
    const grows = s.axis !== undefined
    const size = formula(grows ? perPosition(s, module) : s.layout.size, p)
    const head = `size: ${size}, grows: ${grows}${s.dtype === 'f32' ? '' : ', ints: true'}${s.rows ? ', rows: true' : ''}`
    const group = groups.get(head) ?? { names: [], head }
    group.names.push(s.name)
    groups.set(head, group)
  }
  return [...groups.values()].map(({ names, head }) => `{ names: [${rolledList(names).join(', ')}], ${head} },`)
}
/** Elements of storage for one position: positions come first, so the size is a multiple of their number. */
function perPosition(s: StateSpec, module: Module): Ix {
  const { T, past } = module.sequence ?? {}
  if (T === undefined || past === undefined) throw new Error(`internal: ${s.name} grows, but the model has no sequence`)
  return substitute(s.layout.size, new Map([[T, con(1)], [past, con(0)]])) // prettier-ignore
}

/** Names that count become one spread template. */
function rolledList(all: readonly string[]): string[] {
  const byShape = new Map<string, string[]>()
  for (const n of all) {
    const key = n.replace(/\d+/, '#')
    byShape.set(key, [...(byShape.get(key) ?? []), n])
  }
  return [...byShape.values()].flatMap((list) => {
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
