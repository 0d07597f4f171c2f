/**
 * A scheduled kernel as a WGSL module: one entry point per variant over shared bindings. Binding 0 is the block of dims (where a kernel needs
 * them), then one storage buffer per argument. The grid is one row of workgroups, folded into a plane where it is longer than a device allows.
 */
import type { Buffer } from '../../src/kernel/buffer.ts'
import { bytesOf } from '../../src/kernel/buffer.ts'
import { storageOf } from '../../src/kernel/address.ts'
import type { Lanes, Scalar } from '../../src/kernel/expr.ts'
import { local, newLocal } from '../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt } from '../../src/kernel/nest.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import type { Condition } from '../../src/target.ts'
import { passesStorage } from './storage.ts'
import { effectsOf, extentOf, visitStmts } from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { con, isConst, mul, substitute } from '../../src/types/ix.ts'
import type { Held } from './access.ts'
import { allocatedType, bindingLines, typeText, waysOf } from './access.ts'
import { COLUMNS } from './kept.ts'
import type { FoldCall } from './folds.ts'
import { foldBuffers, plainFold, subgroupFold } from './folds.ts'
import type { MathHelper } from './math.ts'
import { mathHelpers, withNeeds } from './math.ts'
import { ixText } from './numbers.ts'
import type { PrintedPasses } from './passes.ts'
import type { Scheduled, Variant } from './recipes.ts'
import type { Tail } from './recipes/contraction.ts'
import type { Alternative, Feature } from './runtime/device.ts'
import type { BlockParent } from './statements.ts'
import { openBlock, statements } from './statements.ts'
import type { Names } from './text.ts'
import { comment, indent, names } from './text.ts'

export interface PrintedEntry {
  readonly entry: string
  /** The number of workgroups. */
  readonly groups: Ix
  readonly upTo?: number
  /** Of an alternative: on which devices it runs. */
  readonly when?: Alternative
  readonly workgroupBytes: number
  /** Threads of a workgroup, along x and y. */
  readonly size: readonly [number, number]
}
export interface PrintedKernel {
  readonly name: string
  readonly code: string
  /** The parts that `code` is made of. Equal parts of several kernels need to be stored once only. */
  readonly parts: readonly Part[]
  /** Per argument: whether the kernel writes it. */
  readonly written: readonly boolean[]
  /** Per argument: the elements of each of its parts, where it has several bindings. */
  readonly split: readonly (readonly number[] | undefined)[]
  readonly usesDims: boolean
  /** What variants are chosen by. */
  readonly rows?: Ix
  readonly entries: readonly PrintedEntry[]
  /** Where it runs, if not at all dims: where the first holds, or where the second does not. */
  readonly where?: Condition
  readonly elsewhere?: Condition
  /** On which devices it runs, if not on all: where an alternative is taken, or where one is not. */
  readonly when?: Alternative
  readonly unless?: Alternative
  /** What runs instead of its entries, where it has some for that. */
  readonly passes?: PrintedPasses
  readonly spread?: PrintedPasses
  /** Where it runs if no alternative is taken: where the first holds, or where the second does not. */
  readonly here?: Condition
  readonly nothere?: Condition
}

export interface Part {
  readonly name: string
  readonly text: string
  /** The same for devices that have a feature. */
  readonly form?: { readonly feature: Feature; readonly text: string }
}

/** A kernel's code for devices with these features. */
export function codeFor(k: PrintedKernel, features: readonly Feature[]): string {
  const used = new Set<Feature>()
  const texts = k.parts.map(({ text, form }) => {
    if (form === undefined || !features.includes(form.feature)) return text
    used.add(form.feature)
    return form.text
  })
  return [...[...used].map((f) => `enable ${f.replace('shader-', '')};\n`), ...texts].join('')
}

/** The block of dims as every kernel of a module declares it: names in order. */
export interface Dims {
  readonly nameOf: (s: Sym) => string
  readonly struct: string
}
/** Symbols are told apart by name: programs may have their own `T`. */
export function dimsOf(symbols: readonly Sym[]): Dims & { readonly fields: readonly string[] } {
  const made = names()
  const byName = new Map<string, string>()
  for (const s of symbols) if (!byName.has(s.name)) byName.set(s.name, made.name(s.name))
  const fields = [...byName.values()]
  return {
    fields: [...byName.keys()],
    nameOf: (s) => {
      const name = byName.get(s.name)
      if (name === undefined) throw new Error(`internal: ${s.name} is no dim of the module`)
      return `dims.${name}`
    },
    struct: `struct Dims { ${fields.map((f) => `${f}: i32`).join(', ')} }`,
  }
}

/**
 * `split` gives the parts of arguments that lie in several. With `readers` every weight that kernels of other sizes
 * read alike is read through a function, so that their text stays the same where one of them reads parts.
 */
export function printKernel(
  kernel: StageKernel,
  scheduled: Scheduled,
  dims: Dims,
  split: readonly (readonly number[] | undefined)[] = [],
  readers = false,
): PrintedKernel {
  const name = kernel.name
  if (scheduled.variants.length === 0)
    return { name, code: '', parts: [], written: [], split, usesDims: false, entries: [] }
  const top = names()
  const known = new Map<object, string>()
  const nests = scheduled.variants.flatMap((v) => (v.form ? [v.nest, v.form.nest] : [v.nest]))
  const effects = nests.map((n) => effectsOf(n.body))
  const writes = new Set(effects.flatMap((e) => [...e.writes]))
  const args = nests[0].args.map((a) => a.buffer)
  const as = waysOf([...nests.map((n) => n.body), scheduled.tail?.stmts ?? []])
  const held = new Map(
    args.map((b, i): [Buffer, Held] => {
      const name = top.name(b.name)
      const parts = split[i]
      const given = kernel.args[i].buffer
      const alike = readers && b !== given && kernel.args[i].role === 'weight'
      if (parts === undefined && !alike) return [b, { name, as: as(b) }]
      const names = parts?.map((_, n) => top.name(`${b.name}_${n}`)) ?? [name]
      const lengths = parts ?? [isConst(storageOf(given)) ?? 0]
      const per = given.layout?.kept ? given.layout.kept.rows * COLUMNS : 1
      const [each, last] = [lengths[0] / per, lengths[lengths.length - 1] / per]
      return [b, { name, as: as(b), split: { names, each, last, read: top.name(`${b.name}_at`) } }]
    }),
  )
  for (const s of kernel.params) known.set(s, dims.nameOf(s))
  const constants = [...(scheduled.constants ?? [])].map(([s, value]) => {
    known.set(s, top.name(s.name))
    return `const ${known.get(s)!} = ${value};`
  })

  const asked = new Set<MathHelper>()
  const helperNames = new Map<MathHelper, string>()
  const vectors = new Map<string, Part>()
  const helper = (h: MathHelper, lanes: Lanes): string => {
    asked.add(h)
    let scalar = helperNames.get(h)
    if (scalar === undefined) helperNames.set(h, (scalar = top.name(mathHelpers[h].name)))
    if (lanes === 1) return scalar
    const key = `${h}:${lanes}`
    let made = vectors.get(key)
    if (made === undefined) vectors.set(key, (made = vectorHelper(h, lanes, scalar, top)))
    return made.name
  }
  const barrier = nests.some(passesStorage) ? ['storageBarrier(); workgroupBarrier();'] : ['workgroupBarrier();']
  const parent: BlockParent = { names: top, known, held, as, bases: [], barrier, helper }
  const foldParts = new Map<string, Part>()
  const shared = scheduled.tail && printTail(scheduled.tail, top, parent)
  const printOne = (v: Variant, named?: string) =>
    printEntry(
      v,
      top,
      v.calls && shared ? { ...parent, call: { name: shared.name, at: v.calls } } : parent,
      foldParts,
      named,
    )
  const plain = scheduled.variants.map((v) => printOne(v))
  const forms = scheduled.variants.map((v, i) => v.form && printOne({ ...v, ...v.form }, plain[i].entry.entry))
  // Both forms of an entry are dispatched alike.
  const printed = plain.map((p, i) => {
    const most = Math.max(p.entry.workgroupBytes, forms[i]?.entry.workgroupBytes ?? 0)
    return { ...p, entry: { ...p.entry, workgroupBytes: most } }
  })
  const usesDims = [shared, ...printed, ...forms].some((p) => p?.lines.some((l) => l.includes('dims.')))

  const folded = [...foldParts.values()]
  const part = (name: string, lines: readonly string[]): Part => ({ name, text: `${lines.join('\n')}\n` })
  const helpers = withNeeds(asked).map((h): Part => {
    const { doc, params, result, body, form } = mathHelpers[h]
    const made = (body: readonly string[]): Part => {
      const lines = body.map((l) => l.replace(/\$(\w+)/g, (_, n: string) => helper(n as MathHelper, 1)))
      return part(helper(h, 1), [
        comment(doc),
        `fn ${helper(h, 1)}(${params}) -> ${result} {`,
        ...indent(lines),
        '}',
        '',
      ])
    }
    return { ...made(body), ...(form ? { form: { feature: form.feature, text: made(form.body).text } } : {}) }
  })
  let next = 1
  const bindings = args.flatMap((b, i) => {
    const first = next
    next += split[i]?.length ?? 1
    return bindingLines(b, held.get(b)!, first, writes.has(b), kernel.args[i].buffer)
  })
  const parts = [
    part('own', [...kernel.doc.map(comment), ...constants, ...bindings, '']),
    ...(shared ? [part('finish', [...shared.lines, ''])] : []),
    part('place', ['struct Place { @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u }', '']),
    ...(usesDims ? [part('dims', [dims.struct, '@group(0) @binding(0) var<uniform> dims: Dims;', ''])] : []),
    ...helpers,
    ...vectors.values(),
    ...folded,
    ...scheduled.variants.map(({ schedule, form }, i): Part => {
      const made = (lines: readonly string[]): Part => part(schedule, [...(i > 0 ? [''] : []), ...lines])
      const other = form && { form: { feature: form.feature, text: made(forms[i]!.lines).text } }
      return { ...made(printed[i].lines), ...other }
    }),
  ]
  const fixed = new Map([...(scheduled.constants ?? [])].map(([s, n]): [Sym, Ix] => [s, con(n)]))
  return {
    name, usesDims, parts, code: parts.map((x) => x.text).join(''), written: args.map((b) => writes.has(b)),
    split: args.map((_, i) => split[i]),
    entries: printed.map((p) => ({ ...p.entry, groups: substitute(p.entry.groups, fixed) })),
    ...(scheduled.rows ? { rows: scheduled.rows } : {}),
  } // prettier-ignore
}

/** A function of ours for each lane of vectors. */
function vectorHelper(h: MathHelper, lanes: Lanes, scalar: string, top: Names): Part {
  const { name: called, params, result } = mathHelpers[h]
  const given = params.split(', ').map((p) => p.split(': '))
  const made = top.name(`${called.replace(/_f32$/, '')}_vec${lanes}`)
  const of = (type: string): string => typeText(type as Scalar, lanes)
  const each = [...'xyzw'.slice(0, lanes)].map((c) => `${scalar}(${given.map(([v]) => `${v}.${c}`).join(', ')})`)
  const head = `fn ${made}(${given.map(([v, type]) => `${v}: ${of(type)}`).join(', ')}) -> ${of(result)}`
  return { name: made, text: `${head} { return ${of(result)}(${each.join(', ')}); }\n\n` }
}

interface Shape {
  readonly grid: readonly For[]
  readonly allocs: readonly Buffer[]
  readonly band: readonly For[]
  readonly thread: readonly Stmt[]
}

/** A nest as workgroups, their storage, their threads, and what a thread does. */
function shapeOf(nest: NestKernel): Shape {
  const grid: For[] = []
  let body = nest.body
  for (;;) {
    const [s] = body
    if (body.length !== 1 || s.k !== 'for' || !s.kind.startsWith('grid.')) break
    grid.push(s)
    body = s.body
  }
  const allocs = body.flatMap((s) => (s.k === 'alloc' ? [s.buf] : []))
  const rest = body.filter((s) => s.k !== 'alloc')
  const band: For[] = []
  let thread: readonly Stmt[] = rest
  for (;;) {
    const [s] = thread
    if (thread.length !== 1 || s.k !== 'for' || !s.kind.startsWith('local.')) break
    band.push(s)
    thread = s.body
  }
  let stray: Stmt | undefined
  visitStmts(thread, (s) => {
    if (s.k === 'for' && s.kind !== 'serial') stray = s
  })
  if (band.length === 0 || grid.length === 0 || stray !== undefined)
    throw new Error(`internal: ${nest.name} is not scheduled as workgroups of threads`)
  return { grid, allocs, band, thread }
}

/** What every variant does with a result, as a function. */
function printTail(
  tail: Tail,
  top: Names,
  parent: BlockParent,
): { readonly name: string; readonly lines: readonly string[] } {
  const name = top.name('finish')
  const b = openBlock(parent)
  const declare = (thing: Sym | Tail['values'][number], wish: string): string => {
    const made = b.names.name(wish)
    b.known.set(thing, made)
    return made
  }
  const params = [
    ...tail.places.map((v) => `${declare(v, v.name)}: i32`),
    ...tail.values.map((v) => `${declare(v, v.name)}: ${typeText(v.of, v.lanes)}`),
  ]
  return { name, lines: [`fn ${name}(${params.join(', ')}) {`, ...indent(statements(tail.stmts, b)), '}'] }
}

/** A fold over the workgroup: its storage and a function of the thread and its value. */
function printFold(f: FoldCall, storage: readonly string[], top: Names, parent: BlockParent): Part {
  const of = typeText(f.value.of, f.value.lanes)
  const name = top.name(`${{ add: 'sum', mul: 'product' }[f.fold as string] ?? f.fold}_of_threads`)
  const b = openBlock(parent)
  const value = newLocal('value', f.value.of, f.value.lanes)
  for (const [thing, wish] of [[f.lane, 'lane'], [value, 'value']] as const) b.known.set(thing, b.names.name(wish)) // prettier-ignore
  const { stmts, all } = plainFold(f)
  const [store, ...rest] = stmts
  const given = store.k === 'store' ? [{ ...store, e: local(value) }, ...rest] : stmts
  const body = statements(given, b)
  const lines = [
    `fn ${name}(${b.scope.sym(f.lane)}: i32, ${b.scope.local(value)}: ${of}) -> ${of} {`,
    ...indent(body),
    `  return ${b.scope.local(all)};`,
    '}',
    '',
  ]
  const text = (body: readonly string[]): string => [...storage, ...body].join('\n') + '\n'
  const form = subgroupFold(f, name, parent.held.get(f.buf)!.name)
  return { name, text: text(lines), ...(form ? { form: { feature: 'subgroups', text: text(form) } } : {}) }
}

function printEntry(
  v: Variant,
  top: Names,
  parent: BlockParent,
  foldParts: Map<string, Part>,
  /** What the entry is called, where another form of it was printed before. */
  named?: string,
): { readonly lines: readonly string[]; readonly entry: PrintedEntry } {
  const shape = shapeOf(v.nest)
  const entry = named ?? top.name(`main${v.suffix}`)
  const held = new Map(parent.held)
  const folded = foldBuffers(shape.thread)
  const declared = new Map(
    shape.allocs.map((b) => {
      const made: Held = { name: top.name(folded.has(b) ? b.name : `${b.name}${v.suffix}`), as: parent.as(b) }
      held.set(b, made)
      return [b, `var<workgroup> ${made.name}: ${allocatedType(b, made)};`]
    }),
  )
  const nameOf = (f: FoldCall): string => {
    const used = [...new Set([...effectsOf(f.stmts).writes])]
    const key = [f.fold, ...used.map((x) => x.id)].join()
    const made =
      foldParts.get(key) ??
      printFold(
        f,
        used.flatMap((x) => declared.get(x) ?? []),
        top,
        { ...parent, held },
      )
    foldParts.set(key, made)
    for (const x of used) declared.delete(x)
    return made.name
  }
  const b = openBlock({ ...parent, held, folds: { nameOf } })
  const size = (['x', 'y'] as const).map((d) =>
    Number(isConst(shape.band.find((s) => s.kind === `local.${d}`)?.hi ?? 1)),
  )
  const head: string[] = []
  // x runs fastest.
  const loops = (['x', 'y', 'z'] as const).flatMap((d) => shape.grid.filter((s) => s.kind === `grid.${d}`))
  const extents = loops.map((s) => extentOf(s.v))
  const total = mul(...extents)
  const known65535 = isConst(total)
  const plane = known65535 === undefined || known65535 > 65535
  const linear = plane ? 'i32(at.group.x + at.group.y * at.groups.x)' : 'i32(at.group.x)'
  const single = loops.length === 1
  const first = b.names.name(single ? loops[0].v.name : 'tile')
  head.push(`let ${first} = ${linear};`)
  if (plane) head.push(`if (${first} >= ${ixText(total, b.scope)}) { return; }`)
  if (single) b.known.set(loops[0].v, first)
  else {
    let rest = first
    loops.forEach((s, i) => {
      const name = b.names.name(s.v.name)
      const extent = ixText(extents[i], b.scope)
      const within = /^[\w.]+$/.test(extent) ? extent : `(${extent})`
      const last = i === loops.length - 1
      head.push(`let ${name} = ${last ? rest : `${rest} % ${within}`};`)
      b.known.set(s.v, name)
      if (!last) {
        const next = i === loops.length - 2 ? `${rest} / ${within}` : b.names.name('outer')
        if (i < loops.length - 2) head.push(`let ${next} = ${rest} / ${within};`)
        rest = next
      }
    })
  }
  for (const s of shape.band) {
    const name = b.names.name(s.v.name)
    b.known.set(s.v, name)
    head.push(`let ${name} = i32(thread.${s.kind.slice(-1)});`)
  }
  const body = [...head, ...statements(shape.thread, b)]
  const dims = size[1] === 1 ? `${size[0]}` : size.join(', ')
  return {
    lines: [
      ...declared.values(),
      `@compute @workgroup_size(${dims})`,
      `fn ${entry}(at: Place, @builtin(local_invocation_id) thread: vec3u) {`,
      ...indent(body),
      '}',
    ],
    entry: {
      entry, groups: total, size: [size[0], size[1]],
      workgroupBytes: shape.allocs.reduce((n, x) => n + bytesOf(x.of) * (isConst(storageOf(x)) ?? 0), 0),
      ...(v.upTo === undefined ? {} : { upTo: v.upTo }),
      ...(v.when === undefined ? {} : { when: v.when }),
    }, // prettier-ignore
  }
}
