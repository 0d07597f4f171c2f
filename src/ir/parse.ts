/** Reads what `printGraph` writes. Types are inferred anew and must be those written. */
import type { SourceFile, Span } from '../diagnostics/span.ts'
import { sourceFile, spanOf } from '../diagnostics/span.ts'
import type { Attr, Attrs, Param } from '../ops/define.ts'
import { isOpName, opOf } from '../ops/table.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { sym } from '../types/ix.ts'
import { makeNode } from './build.ts'
import { printType } from './print.ts'
import { scanner, type Scanner } from './scan.ts'
import type { Constraint, EntrySpec, Graph, InputSpec, Node, Origin, OutputSpec, ParamSpec } from './types.ts'

/** The text of a graph is not well formed. */
export class IrSyntaxError extends Error {
  readonly line: number
  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`)
    this.name = 'IrSyntaxError'
    this.line = line
  }
}

interface State {
  name: string
  doc?: string
  readonly dims: Map<string, Sym>
  /** Of loops. */
  readonly indices: Map<string, Sym>
  sequence?: Sym
  readonly hyper: Record<string, number | string | boolean>
  readonly constraints: Constraint[]
  readonly prefixes: { prefix: string; optional: boolean }[]
  readonly ignore: string[]
  readonly rename: { from: string; to: string }[]
  readonly params: ParamSpec[]
  readonly nodes: Map<string, Node>
  readonly inputs: InputSpec[]
  readonly outputs: OutputSpec[]
  readonly entries: EntrySpec[]
  readonly place: (comment: string) => { span: Span; rest: string }
}

/** Throws `IrSyntaxError`, or `InferError` where a node is ill typed. */
export function parseGraph(text: string): Graph {
  const lines = text.split('\n')
  const state: State = {
    name: '', dims: new Map(), indices: new Map(), hyper: {}, constraints: [], prefixes: [], ignore: [], rename: [],
    params: [], nodes: new Map(), inputs: [], outputs: [], entries: [], place: placesOf(lines),
  } // prettier-ignore
  const symbols = { get: (name: string): Sym | undefined => state.dims.get(name) ?? state.indices.get(name) }
  for (const [n, line] of lines.entries()) {
    if (line.trim() === '') continue
    const s = scanner(line, (message) => new IrSyntaxError(n + 1, message), symbols)
    if (s.try('%')) node(state, s)
    else (statements[s.word()] ?? (() => s.fail('no such statement')))(state, s)
    s.end()
  }
  const { name, doc, dims, sequence, prefixes, ignore, rename, indices: _, nodes: __, place: ___, ...rest } = state
  return {
    name,
    ...(doc === undefined ? {} : { doc }),
    ...(sequence === undefined ? {} : { sequence }),
    ...rest,
    dims: [...dims.values()],
    rules: { prefixes, ignore, rename },
  }
}

const docOf = (s: Scanner): { doc?: string } => (s.try('doc') ? { doc: s.string() } : {})

function nodeRef(state: State, s: Scanner): Node {
  s.expect('%')
  const number = s.word()
  return state.nodes.get(number) ?? s.fail(`%${number} is not defined above`)
}

function symbol(s: Scanner): { name: string; lo: Ix; hi?: Ix; multipleOf: number } {
  const name = s.word()
  s.expect('from')
  const lo = s.dim()
  const hi = s.try('..') ? s.dim() : undefined
  return { name, lo, ...(hi === undefined ? {} : { hi }), multipleOf: s.try('by') ? s.number() : 1 }
}

function dimOf(state: State, s: Scanner): Sym {
  const name = s.word()
  return state.dims.get(name) ?? s.fail(`no dim ${name}`)
}

const statements: Readonly<Record<string, (state: State, s: Scanner) => void>> = {
  graph: (state, s) => {
    state.name = s.word()
    Object.assign(state, docOf(s))
  },
  dim: (state, s) => {
    const { name, ...range } = symbol(s)
    state.dims.set(name, sym(name, range))
  },
  loop: (state, s) => {
    const { name, ...range } = symbol(s)
    state.indices.set(name, sym(name, { ...range, role: 'loop' }))
  },
  sequence: (state, s) => {
    state.sequence = dimOf(state, s)
  },
  hyper: (state, s) => {
    const name = s.word()
    s.expect('=')
    state.hyper[name] = s.json()
  },
  where: (state, s) => {
    const k = s.word()
    if (k !== 'le' && k !== 'eq' && k !== 'divides') s.fail(`no constraint ${k}`)
    s.expect('(')
    const a = s.dim()
    s.expect(',')
    const b = s.dim()
    s.expect(')')
    const text = s.string()
    state.constraints.push({ k, a, b, text, span: state.place(s.comment()).span } as Constraint)
  },
  weights: (state, s) => {
    if (s.try('prefix')) state.prefixes.push({ prefix: s.string(), optional: s.try('optional') })
    else if (s.try('ignore')) state.ignore.push(s.string())
    else {
      s.expect('rename')
      const from = s.string()
      s.expect('to')
      state.rename.push({ from, to: s.string() })
    }
  },
  param: (state, s) => {
    const name = s.string()
    const shape = s.list(() => s.number())
    const fallback = s.try('or') ? { fallback: s.string() } : {}
    state.params.push({ name, shape, ...fallback, span: state.place(s.comment()).span })
  },
  input: (state, s) => {
    const name = s.word()
    s.expect('=')
    const node = nodeRef(state, s)
    state.inputs.push({ name, node, ...(s.try('default') ? { default: nodeRef(state, s) } : {}), ...docOf(s) })
  },
  output: (state, s) => {
    const name = s.word()
    s.expect('=')
    state.outputs.push({ name, node: nodeRef(state, s), ...docOf(s) })
  },
  entry: (state, s) => {
    const name = s.word()
    s.expect(':')
    const words = (): string[] => {
      const out: string[] = []
      while (s.peekWord()) {
        out.push(s.word())
        s.try(',')
      }
      return out
    }
    const inputs = words()
    s.expect('->')
    state.entries.push({ name, inputs, outputs: words() })
  },
}

function node(state: State, s: Scanner): void {
  const number = s.word()
  s.expect('=')
  const op = s.word()
  if (!isOpName(op)) s.fail(`no op ${op}`)
  s.expect('(')
  const inputs: Node[] = []
  const attrs: Record<string, Attr> = {}
  while (!s.try(')')) {
    if (s.peek('%')) inputs.push(nodeRef(state, s))
    else {
      const name = s.word()
      s.expect('=')
      const param = opOf(op).params.find((p) => p.name === name)
      attrs[name] = attr(param, s)
    }
    s.try(',')
  }
  s.expect(':')
  const written = s.until('#')
  const made = makeNode(op, inputs, attrs as Attrs, originOf(state, s.comment()))
  const found = (made.results ?? [made.type]).map((t) => printType(t))
  const inferred = found.length === 1 ? found[0] : `(${found.join(', ')})`
  if (inferred !== written) s.fail(`%${number} is ${inferred}, not ${written}`)
  state.nodes.set(number, made)
}

function attr(param: Param | undefined, s: Scanner): Attr {
  switch (param?.kind) {
    case 'axis':
    case 'number':
      return s.number()
    case 'axes':
    case 'numbers':
      return s.list(() => s.number())
    case 'dim':
      return s.dim()
    case 'dims':
      return s.list((): Ix => s.dim())
    case 'dtype':
      return s.word()
    default:
      return s.json()
  }
}

/** Files are stood in for by empty ones with as many lines as are mentioned. */
function placesOf(lines: readonly string[]): State['place'] {
  const longest = new Map<string, number>()
  const files = new Map<string, SourceFile>()
  const place = /^(.*?):(\d+)(?: (.*))?$/
  for (const line of lines) {
    const found = place.exec(line.slice(line.lastIndexOf('  # ') + 4))
    if (found) longest.set(found[1], Math.max(longest.get(found[1]) ?? 1, Number(found[2])))
  }
  for (const [path, n] of longest) files.set(path, sourceFile(path, '\n'.repeat(n)))
  return (comment) => {
    const found = place.exec(comment)
    const file = files.get(found?.[1] ?? '') ?? sourceFile('', '')
    const start = Number(found?.[2] ?? 1) - 1
    return { span: spanOf(file, start, start), rest: found?.[3] ?? '' }
  }
}

function originOf(state: State, comment: string): Origin {
  const { span, rest } = state.place(comment)
  const named = /^(?:(.*?) ?)??(?:\bas (\S+))?$/.exec(rest)
  const scope = named?.[1] ?? ''
  return {
    span,
    frames: [],
    scope: scope.startsWith('"') ? (JSON.parse(scope) as string) : scope,
    ...(named?.[2] === undefined ? {} : { name: named[2] }),
  }
}
