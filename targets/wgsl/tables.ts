/** The tables of an emitted module: kernels with their code, and programs as lists of dispatches. */
import type { Module, HostStep, Port, Program, Slot, WeightSlot } from '../../src/program/types.ts'
import { add, con, floorDiv, isConst, mod, mul, of, range } from '../../src/types/ix.ts'
import { linearise } from '../../src/types/shape.ts'
import type { Condition } from '../../src/target.ts'
import { LARGEST_WEIGHT } from '../../src/kernel/half.ts'
import type { Printer } from '../shared/printer.ts'
import { ixText } from '../shared/javascript/numbers.ts'
import { checkLines, dimScope, formula, portText } from '../shared/tables.ts'
import { layerName } from '../shared/rolled.ts'
import { access, indent, property, quote } from '../shared/text.ts'
import type { PrintedKernel } from './kernel.ts'
import type { Split } from './parts.ts'
import type { PrintedPass } from './passes.ts'
import { dispatched, partsTaken, passesOf } from './passes.ts'
import { keepText } from './kept-sample.ts'
import type { Keep } from './runtime/load.ts'
import type { SharedTexts } from './templates.ts'
import { shareTexts } from './templates.ts'

/** Parts of kernels that several have, stored once. */
export function sharedParts(kernels: readonly PrintedKernel[], p: Printer): SharedTexts {
  const parts = dispatched(kernels).flatMap((k) => k.parts)
  return shareTexts(
    parts.flatMap(({ name, text, form }) => [
      { name, text },
      ...(form ? [{ name: `${name}_${form.feature}`, text: form.text }] : []),
    ]),
    p,
  )
}

/** The code of a kernel as an expression; a function of what the device has where that makes a difference. */
function codeExpression({ parts }: PrintedKernel, shared: SharedTexts): string {
  // Parts in a row that are the kernel's own are one literal.
  const pieces: string[] = []
  let own = ''
  const flush = (): void => {
    if (own !== '') pieces.push(shared.expression(own))
    own = ''
  }
  for (const { text, form } of parts) {
    if (form === undefined && !shared.has(text)) {
      own += text
      continue
    }
    flush()
    const plain = shared.expression(text)
    pieces.push(form ? `(has('${form.feature}') ? ${shared.expression(form.text)} : ${plain})` : plain)
  }
  flush()
  return `${parts.some((x) => x.form) ? '(has) => ' : ''}${pieces.join(' + ')}`
}

export function kernelLines(kernels: readonly PrintedKernel[], shared: SharedTexts, p: Printer): string[] {
  return dispatched(kernels).flatMap((k) => {
    const entries = k.entries.map((e) => {
      const limit = e.upTo === undefined ? '' : `, upTo: ${e.upTo}`
      const when = e.when === undefined ? '' : `, when: ${quote(e.when)}`
      return `{ name: ${quote(e.entry)}${limit}${when}, groups: ${formula(e.groups, p)} },`
    })
    return [
      `${property(k.name)}: {`,
      ...indent([
        `buffers: '${k.written.map((w, i) => (w ? 'w' : 'r').repeat(k.split[i]?.length ?? 1)).join('')}',`,
        `dims: ${k.usesDims},`,
        ...conditionLines(k, p),
        ...(k.rows !== undefined && k.entries.some((e) => e.upTo !== undefined) ? [`rows: ${formula(k.rows, p)},`] : []),
        'entries: [', ...indent(entries), '],',
      ]),
      `  code: ${codeExpression(k, shared)},`,
      '},',
    ] // prettier-ignore
  })
}

function conditionLines({ where, elsewhere, when, unless, here, nothere }: PrintedKernel, p: Printer): string[] {
  const scope = dimScope(p, (s) => access('d', s.name))
  const text = (c: Condition): string => c.map(([a, b]) => `${ixText(a, scope)} <= ${ixText(b, scope)}`).join(' && ')
  return [
    ...(where ? [`where: (d) => ${text(where)},`] : elsewhere ? [`where: (d) => !(${text(elsewhere)}),`] : []),
    ...(here ? [`here: (d) => ${text(here)},`] : nothere ? [`here: (d) => !(${text(nothere)}),`] : []),
    ...(when ? [`when: ${quote(when)},`] : unless ? [`unless: ${quote(unless)},`] : []),
  ]
}

/** Dispatches as list entries: a line for each pass, and one for what a kernel runs besides. */
export const stepsOf = (program: Program, kernels: readonly PrintedKernel[], p: Printer): string[] =>
  stepLines(program.steps, { kernels, scratch: program.slots.length, p }, undefined)

/** `steps` are the lines of its dispatches, or the name of those that several programs have. */
export function programLines(
  program: Program,
  module: Module,
  steps: readonly string[] | string,
  p: Printer,
): string[] {
  const ports = (list: readonly Port[]): string[] => indent(list.map((port) => `${portText(port, module, p)},`))
  const checks = checkLines(program, p)
  const list = (name: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [`${name}: [],`] : [`${name}: [`, ...indent(lines), '],']
  return [
    `${program.name}: {`,
    ...indent([
      'inputs: [', ...ports(program.inputs), '],',
      'outputs: [', ...ports(program.outputs), '],',
      ...list('checks', checks),
      ...list('slots', program.slots.map((x) => `${formula(x, p)},`)),
      ...(typeof steps === 'string' ? [steps === 'steps' ? 'steps,' : `steps: ${steps},`] : list('steps', steps)),
    ]),
    '},',
  ] // prettier-ignore
}

interface StepTables {
  readonly kernels: readonly PrintedKernel[]
  /** The first slot of scratch. */
  readonly scratch: number
  readonly p: Printer
}
function stepLines(steps: readonly HostStep[], tables: StepTables, layer: string | undefined): string[] {
  const { kernels, scratch, p } = tables
  return steps.flatMap((s) => {
    if (s.k === 'dispatch') {
      const own = kernels[s.kernel]
      const line = (x: Omit<PrintedPass, 'kernel'>): string => {
        const slots = x.args.flatMap((a) => partsTaken(x, a, own.split[a]?.length ?? 1).map((n) => slotText(all[a], layer, n))) // prettier-ignore
        return `[${[quote(x.printed.name), ...slots].join(', ')}],`
      }
      const all = [...s.args, ...passesOf(own).flatMap((x) => x.scratch).map((_, i): Slot => ({ k: 'activation', index: scratch + i }))] // prettier-ignore
      const passes = passesOf(own)
        .flatMap((x) => x.list)
        .map(line)
      return [...passes, ...(own.entries.length === 0 ? [] : [line({ printed: own, args: [...s.args.keys()] })])]
    }
    if (s.k === 'scan') {
      const head = `t: ${quote(s.t.name)}, count: ${formula(s.count, p)}${s.reverse ? ', reverse: true' : ''}`
      return [`{ ${head}, steps: [`, ...indent(stepLines(s.body, tables, layer)), '] },']
    }
    const i = layer === undefined ? 'i' : `${layer}${layer}`
    const layers = p.language === 'ts' ? 'layers<Step>' : 'layers'
    return [`...${layers}(${s.count}, (${i}) => [`, ...indent(stepLines(s.body, tables, i)), ']),']
  })
}

/** The first part of a weight has its name, the others their number in front. */
function slotText(slot: Slot, layer: string | undefined, part: number): string {
  if (part > 0 && (slot.k === 'perLayer' ? slot.of : slot.k) !== 'weight')
    throw new Error('internal: a split that is no weight')
  const weight = part === 0 ? 'w' : String(part)
  switch (slot.k) {
    case 'weight':
      return quote(`${weight}:${slot.name}`)
    case 'state':
      return quote(`s:${slot.name}`)
    case 'input':
      return quote(`v:${slot.name}`)
    case 'output':
      return quote(`o:${slot.name}`)
    case 'activation':
      return String(slot.index)
    case 'perLayer':
      return layerName(
        slot.names.map((n) => `${slot.of === 'weight' ? weight : 's'}:${n}`),
        layer ?? '0',
      )
  }
}

/** Slots that must be listed: all but tensors that are taken as they are, in one buffer, and are part of no other slot. */
export function listedSlots(module: Module, { parts: cut }: Split): Module {
  const isOther = (w: WeightSlot) => w.pack || w.layout.kept || cut.has(w.name) || w.from[0] !== w.name
  const parts = new Set(module.weights.filter((w) => isOther(w)).flatMap((w) => [w.name, ...w.from]))
  const kept = module.weights.filter((w) => parts.has(w.name) || isOther(w) || w.from.length !== 1)
  const plain = module.weights.length - kept.length
  // Tensors that nothing uses are not to be loaded: then all are listed.
  return module.params.every((p) => parts.has(p.name) || module.weights.some((w) => w.name === p.name)) && plain > 0
    ? { ...module, weights: kept }
    : module
}

/** A packing kernel that copies a tensor to where it already lies is none; nor is one whose tensor is kept row by row, or column by column. */
export function withoutIdentityPacks(module: Module): Module {
  return {
    ...module,
    weights: module.weights.map((w) =>
      (w.layout.kept ? isCopy(w) && matrixOf(w) : isIdentity(w)) ? withoutPack(w) : w,
    ),
  }
}
/** Fields of a slot: how it is kept, and where it is cut into parts. */
export function slotFields(w: WeightSlot, { parts }: Split): string {
  const keep = keepOf(w)
  const each = parts.get(w.name)?.lengths[0]
  if (keep === undefined) return each === undefined ? '' : `, cut: ${each}`
  return `, keep: ${keepText(each === undefined ? keep : { ...keep, cut: each / w.layout.kept!.rows })}`
}
/** How a slot is kept, given its tensor, or what its packing kernel makes: rows with padding. */
function keepOf(w: WeightSlot): Keep | undefined {
  const { kept, size } = w.layout
  if (kept === undefined) return undefined
  const matrix = w.pack === undefined ? matrixOf(w) : { as: kept.as, k: kept.rows, n: isConst(size)! / kept.rows }
  return matrix && kept.arithmetic ? { ...matrix, most: LARGEST_WEIGHT } : matrix
}
/** A matrix that is one tensor, as it is or turned. */
function matrixOf({ layout: { kept, axes, offset }, shape }: WeightSlot): Keep | undefined {
  if (kept === undefined) return undefined
  const place = linearise(axes.map(of), shape.map(con))
  const [row, column] = [floorDiv(offset, kept.stride!), mod(offset, kept.stride!)]
  const [k, n] = [range(row).hi + 1, range(column).hi + 1]
  if (place === add(mul(row, n), column)) return { as: kept.as, k, n }
  return place === add(mul(column, k), row) ? { as: kept.as, k, n, turned: true } : undefined
}
function withoutPack(w: WeightSlot): WeightSlot {
  const { pack: _, ...rest } = w
  return rest
}
/** Whether packing copies all of one tensor, element by element. */
function isCopy(w: WeightSlot): boolean {
  const [stage] = w.pack?.stages ?? []
  if (
    stage === undefined ||
    w.pack!.stages.length !== 1 ||
    w.from.length !== 1 ||
    stage.body.k !== 'map' ||
    stage.body.e.k !== 'load' ||
    stage.at !== undefined
  )
    return false
  const { buf, at } = stage.body.e
  return buf.layout === undefined && at.every((x, i) => x === of(stage.domain[i])) && at.length === stage.domain.length
}
function isIdentity(w: WeightSlot): boolean {
  const { axes, offset, size } = w.layout
  const count = w.shape.reduce((n, x) => n * x, 1)
  return isCopy(w) && isConst(size) === count && offset === linearise(axes.map(of), w.shape.map(con))
}
