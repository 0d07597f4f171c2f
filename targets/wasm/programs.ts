/** Programs as functions: what runs in which order, on which addresses. Layers and scans are loops; threads meet after every dispatch. */
import type { StageKernel } from '../../src/kernel/stage.ts'
import type { HostStep, Module, Program, Slot } from '../../src/program/types.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { con, isConst, sub, substitute } from '../../src/types/ix.ts'
import type { TableLayout } from './layout.ts'
import { control, tableStart } from './layout.ts'
import type { Locals } from './text/names.ts'
import { locals } from './text/names.ts'
import type { Scope } from './text/numbers.ts'
import { ix } from './text/numbers.ts'
import type { Printer } from './text/printer.ts'
import type { Sx } from './text/sexp.ts'
import { comment, format, get, i32, set } from './text/sexp.ts'

export interface ProgramParts {
  readonly module: Module
  readonly table: TableLayout
  /** Names of dims in the order of the control block. */
  readonly dims: readonly string[]
  /** Names of the kernels' functions. */
  readonly kernels: readonly string[]
  readonly p: Printer
}

/**
 * Dims of kernels by name: in the control block they lie in this order. The index of a loop is among them, for kernels that are called alone; in
 * programs it is a local.
 */
export function dimsOf(module: Module, others: readonly StageKernel[] = []): string[] {
  const { sequence } = module
  const all = [
    ...module.dims,
    ...(sequence ? [sequence.T, sequence.past] : []),
    ...[...module.kernels, ...others].flatMap((k) => k.params),
  ]
  return [...new Set(all.map((s) => s.name))]
}

/** The address that an entry of the table holds; `at` is a number of bytes from there. */
const addressIn = (entry: number, at: Sx = i32(0)): Sx => ['i32.load', `offset=${tableStart + 4 * entry}`, at]
const barrier: Sx = ['call', '$barrier']

/** The function of a program, as lines. */
export function programLines(program: Program, name: string, parts: ProgramParts): readonly string[] {
  const { module, table, kernels, p } = parts
  const own = locals()
  const symbols = new Map<Sym, string>()
  const read: Sx[] = []
  const dims = new Map<string, string>()
  const fixed = new Map<Sym, Ix>()
  if (program.name === 'step' && module.sequence) fixed.set(module.sequence.T, con(1))
  const symbol = (s: Sym): string => {
    const known = symbols.get(s) ?? dims.get(s.name)
    if (known !== undefined) return known
    const made = own.param(s.name)
    const at = parts.dims.indexOf(s.name)
    if (at < 0) throw new Error(`internal: no dim ${s.name}`)
    dims.set(s.name, made)
    read.push(set(made, ['i32.load', `offset=${control.dims + 4 * at}`, i32(0)]))
    return made
  }
  const value = (s: Sym): Sx => (fixed.has(s) ? i32(isConst(fixed.get(s)!)!) : get(symbol(s)))
  const argument = (slot: Slot, layer: string | undefined): Sx => {
    if (slot.k !== 'perLayer') return addressIn(table.entry(program, slot))
    const { base, stride } = table.run(slot)
    if (layer === undefined || stride === 0) return addressIn(base)
    return addressIn(base, ['i32.mul', get(layer), i32(4 * stride)])
  }
  const steps = (list: readonly HostStep[], layer: string | undefined): Sx[] =>
    list.flatMap((s): Sx[] => {
      if (s.k === 'dispatch') {
        const args = [...s.args.map((a) => argument(a, layer)), ...module.kernels[s.kernel].params.map(value)]
        return [['call', kernels[s.kernel], ...args], barrier]
      }
      if (s.k === 'layers') {
        const i = own.local('i', 'i32')
        return loop(i, i32(0), i32(s.count), false, steps(s.body, i))
      }
      const t = own.local(s.t.name, 'i32')
      symbols.set(s.t, t)
      const out: Sx[] = []
      const scope = countScope(p, own, symbol, out)
      const count = substitute(s.count, fixed)
      const end = own.local('end', 'i32')
      const lines = s.reverse
        ? loop(t, ix(sub(count, 1), scope), i32(0), true, steps(s.body, layer))
        : [set(end, ix(count, scope)), ...loop(t, i32(0), get(end), false, steps(s.body, layer))]
      symbols.delete(s.t)
      return [...out, ...lines]
    })
  const body = steps(program.steps, undefined)
  return functionLines(name, what[program.name], own, [...read, ...body], dims.values())
}
const what = {
  run: 'The whole model.',
  prepare: 'What does not depend on positions, kept in state.',
  prefill: 'New positions after the past ones.',
  step: 'One position after the past ones.',
  reorder: 'Rows of the state.',
}

function functionLines(
  name: string,
  doc: string,
  own: Locals,
  body: readonly Sx[],
  more: Iterable<string> = [],
): string[] {
  const declared = [...[...more].map((n) => [n, 'i32'] as const), ...own.declared()]
  return [
    ...comment(doc),
    `(func ${name}`,
    ...(declared.length > 0 ? [`  ${declared.map(([n, t]) => `(local ${n} ${t})`).join(' ')}`] : []),
    ...body.flatMap((s) => format(s, 1)),
    ')',
  ]
}

/** From `start` up to `end`, or down to it. */
function loop(v: string, start: Sx, end: Sx, down: boolean, body: readonly Sx[]): Sx[] {
  const label = `$each_${v.slice(1)}`
  const out = `$end_${v.slice(1)}`
  const over: Sx = down ? ['i32.lt_s', get(v), end] : ['i32.ge_s', get(v), end]
  return [
    set(v, start),
    [
      'block',
      out,
      [
        'loop',
        label,
        ['br_if', out, over],
        ...body,
        set(v, [down ? 'i32.sub' : 'i32.add', get(v), i32(1)]),
        ['br', label],
      ],
    ],
  ]
}

function countScope(p: Printer, own: Locals, sym: (s: Sym) => string, out: Sx[]): Scope {
  const none = (): never => {
    throw new Error('internal: the length of a loop depends on data')
  }
  return { p, sym, local: none, temp: own.local, out, address: none, under: (o) => countScope(p, own, sym, o) }
}

/** A packing kernel as a program: sources and result are entries of the table, from `at` on; its params are dims. */
export function packLines(
  kernel: StageKernel,
  functionName: string,
  name: string,
  at: number,
  dims: readonly string[],
): readonly string[] {
  const params = kernel.params.map((s): Sx => {
    const i = dims.indexOf(s.name)
    if (i < 0) throw new Error(`internal: no dim ${s.name}`)
    return ['i32.load', `offset=${control.dims + 4 * i}`, i32(0)]
  })
  const args = kernel.args.map((_, i) => addressIn(at + i))
  const body: Sx[] = [['call', functionName, ...args, ...params], barrier]
  return functionLines(name, 'Packs a tensor, or rows of it.', locals(), body)
}

const load = (at: number): Sx => ['i32.atomic.load', `offset=${at}`, i32(0)]
const store = (at: number, x: Sx): Sx => ['i32.atomic.store', `offset=${at}`, i32(0), x]
const increase = (at: number, by: number): Sx => ['i32.atomic.rmw.add', `offset=${at}`, i32(0), i32(by)]
const notify = (at: number): Sx => ['drop', ['memory.atomic.notify', `offset=${at}`, i32(0), i32(-1)]]
const maySleep: Sx = ['i32.or', ['i32.ne', ['global.get', '$thread'], i32(0)], load(control.sleeps)]
/** Rounds of looking before a thread sleeps: some tens of microseconds. */
const patience = 4096
/** Nanoseconds after which a thread in the barrier looks whether another one failed meanwhile. */
const soon = '100000000'

/**
 * Waits while the number at `at` is `old`: looks at it for a while, then sleeps. Thread 0 of a page may not sleep. A thread that
 * failed ends the wait.
 */
function waitLines(name: string, at: number, asleep: number, timeout: string): string[] {
  const body: Sx[] = [
    [
      'loop',
      '$look',
      ['if', ['i32.ne', load(at), get('$old')], ['then', ['return']]],
      ['if', load(control.failed), ['then', ['unreachable']]],
      set('$rounds', ['i32.add', get('$rounds'), i32(1)]),
      [
        'if',
        ['i32.and', maySleep, ['i32.gt_u', get('$rounds'), i32(patience)]],
        [
          'then',
          ['drop', increase(asleep, 1)],
          ['drop', ['memory.atomic.wait32', `offset=${at}`, i32(0), get('$old'), ['i64.const', timeout]]],
          ['drop', increase(asleep, -1)],
        ],
      ],
      ['br', '$look'],
    ],
  ]
  return [`(func ${name} (param $old i32)`, '  (local $rounds i32)', ...body.flatMap((s) => format(s, 1)), ')']
}

/** The barrier, the exported functions, and the choice among `programs` (names of functions, by number). */
export function controlLines(programs: readonly string[]): readonly (readonly string[])[] {
  const alone: Sx = ['i32.eq', ['global.get', '$threads'], i32(1)]
  const phase = '$phase'
  return [
    [...comment('Waits for the next phase.'), ...waitLines('$next_phase', control.phase, control.asleep, soon)],
    [...comment('Waits for the next call.'), ...waitLines('$next_call', control.epoch, control.idle, '-1')],
    [
      ...comment('All threads have come here before any of them goes on.'),
      '(func $barrier',
      `  (local ${phase} i32)`,
      ...[
        ['if', alone, ['then', ['return']]],
        set(phase, load(control.phase)),
        [
          'if',
          ['i32.eq', increase(control.arrived, 1), ['i32.sub', ['global.get', '$threads'], i32(1)]],
          [
            'then',
            store(control.arrived, i32(0)),
            ['drop', increase(control.phase, 1)],
            ['if', load(control.asleep), ['then', notify(control.phase)]],
          ],
          ['else', ['call', '$next_phase', get(phase)]],
        ],
      ].flatMap((s) => format(s as Sx, 1)),
      ')',
    ],
    [
      '(func $perform (param $program i32)',
      ...programs
        .map((name, i): Sx => ['if', ['i32.eq', get('$program'), i32(i)], ['then', ['call', name], ['return']]])
        .flatMap((s) => format(s, 1)),
      ')',
    ],
    [
      ...comment('Runs a program on all threads.'),
      '(func $call (export "call") (param $program i32)',
      ...[
        [
          'if',
          ['i32.eqz', alone],
          [
            'then',
            store(control.program, get('$program')),
            ['drop', increase(control.epoch, 1)],
            ['if', load(control.idle), ['then', notify(control.epoch)]],
          ],
        ],
        ['call', '$perform', get('$program')],
        barrier,
      ].flatMap((s) => format(s as Sx, 1)),
      ')',
    ],
    [
      ...comment('What a worker does until the program is -1: it waits for calls and takes part in them.'),
      '(func $serve (export "serve")',
      '  (local $epoch i32) (local $program i32)',
      ...[
        [
          'loop',
          '$calls',
          ['call', '$next_call', get('$epoch')],
          set('$epoch', load(control.epoch)),
          set('$program', load(control.program)),
          ['if', ['i32.lt_s', get('$program'), i32(0)], ['then', ['return']]],
          ['call', '$perform', get('$program')],
          barrier,
          ['br', '$calls'],
        ],
      ].flatMap((s) => format(s as Sx, 1)),
      ')',
    ],
    [
      ...comment('How many of the floats from here on are NaN or infinite.'),
      '(func $strange (export "strange") (param $at i32) (param $end i32) (result i32)',
      '  (local $found v128) (local $x v128) (local $one f32)',
      ...[
        ...loopUpTo('$fours', '$at', ['i32.sub', get('$end'), i32(15)], 16, [
          set('$x', ['v128.load', get('$at')]),
          // A mask is -1: what is taken away counts.
          set('$found', ['i32x4.sub', get('$found'), strange('f32x4', get('$x'))]),
        ]),
        ...loopUpTo('$rest', '$at', get('$end'), 4, [
          set('$one', ['f32.load', get('$at')]),
          set('$found', ['i32x4.add', get('$found'), ['i32x4.replace_lane', '0', zeros, strange('f32', get('$one'))]]),
        ]),
        [0, 1, 2, 3]
          .map((l): Sx => ['i32x4.extract_lane', String(l), get('$found')])
          .reduce((a, b) => ['i32.add', a, b]),
      ].flatMap((s) => format(s, 1)),
      ')',
    ],
  ]
}
const zeros: Sx = ['v128.const', 'i32x4', '0', '0', '0', '0']
/** Only of numbers is the difference with itself 0. */
const strange = (type: 'f32' | 'f32x4', x: Sx): Sx => [
  `${type}.ne`,
  [`${type}.sub`, x, x],
  type === 'f32' ? ['f32.const', '0'] : zeros,
]
function loopUpTo(label: string, v: string, end: Sx, step: number, body: readonly Sx[]): Sx[] {
  const out = `${label}_end`
  const next: Sx[] = [set(v, ['i32.add', get(v), i32(step)]), ['br', label]]
  return [['block', out, ['loop', label, ['br_if', out, ['i32.ge_u', get(v), end]], ...body, ...next]]]
}
