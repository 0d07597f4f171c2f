/** Programs as functions over memory. */
import type { Scalar } from '../../src/kernel/expr.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import type { HostStep, Module, Program, Slot } from '../../src/program/types.ts'
import type { Sym } from '../../src/types/ix.ts'
import { sub } from '../../src/types/ix.ts'
import { ixText } from '../shared/javascript/numbers.ts'
import type { Printer } from '../shared/printer.ts'
import { layerName } from '../shared/rolled.ts'
import { dimScope } from '../shared/tables.ts'
import { fill, indent, property, quote } from '../shared/text.ts'

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
