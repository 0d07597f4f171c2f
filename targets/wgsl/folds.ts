/** Folds over a workgroup as functions: the six statements that `foldThreads` makes, printed once per module instead of once per fold. */
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { BinaryFn, Expr, Local } from '../../src/kernel/expr.ts'
import { bin, local, newLocal } from '../../src/kernel/expr.ts'
import { effectsOf } from '../../src/kernel/walk.ts'
import type { Stmt } from '../../src/kernel/nest.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { isConst, of, symbolsOf } from '../../src/types/ix.ts'
import { identityOf } from '../../src/kernel/build.ts'
import { typeText } from './access.ts'
import { numberText } from './numbers.ts'
import { indent } from './text.ts'

export interface FoldCall {
  readonly fold: BinaryFn
  readonly buf: Buffer
  readonly lane: Sym
  readonly value: Expr
  readonly result: Local
  /** What the function does, `value` stored first, the result in a variable at the end. */
  readonly stmts: readonly Stmt[]
}

/**
 * The fold that begins at `body[at]`, if one does: store, barrier, the first threads' partial folds, barrier, and the fold of those, which every
 * thread makes. The result must not be assigned later.
 */
export function foldAt(body: readonly Stmt[], at: number): FoldCall | undefined {
  const stmts = body.slice(at, at + 6)
  const [store, first, some, second, result, loop] = stmts
  if (stmts.length < 6 || store.k !== 'store' || store.buf.space !== 'workgroup') return undefined
  if (store.at.length !== (store.axis === undefined ? 1 : 2)) return undefined
  const lane = symbolOf(store.at[0])
  if (lane === undefined) return undefined
  if (first.k !== 'barrier' || some.k !== 'if' || second.k !== 'barrier' || result.k !== 'var' || loop.k !== 'for')
    return undefined
  const [assign] = loop.body
  if (loop.body.length !== 1 || assign.k !== 'assign' || assign.v !== result.v || assign.e.k !== 'bin') return undefined
  return { fold: assign.e.f, buf: store.buf, lane, value: store.e, result: result.v, stmts }
}

/** Storage that folds in these statements use. Functions of folds have it, so that it is called alike in all variants. */
export function foldBuffers(body: readonly Stmt[]): ReadonlySet<Buffer> {
  return new Set(
    body.flatMap((s, i) => {
      const fold = foldAt(body, i)
      if (fold !== undefined) return [...effectsOf(fold.stmts).writes]
      return 'body' in s ? [...foldBuffers(s.body)] : []
    }),
  )
}

/** What a fold does, with its result in `all`, a variable of its own. */
export function plainFold({ fold, result, stmts }: FoldCall): { readonly stmts: readonly Stmt[]; readonly all: Local } {
  const all = newLocal('total', result.of, result.lanes)
  const [last, loop] = stmts.slice(-2)
  if (last.k !== 'var' || loop.k !== 'for') throw new Error('internal: no fold')
  const next = loop.body.map((s): Stmt => (s.k === 'assign' && s.e.k === 'bin' ? { k: 'assign', v: all, e: bin(fold, local(all), s.e.b) } : s)) // prettier-ignore
  return { stmts: [...stmts.slice(0, -2), { ...last, v: all }, { ...loop, body: next }], all }
}

const symbolOf = (x: Ix): Sym | undefined => [...symbolsOf(x)].find((s) => x === of(s))

const subgroupFunctions: Partial<Record<BinaryFn, string>> = {
  add: 'subgroupAdd', mul: 'subgroupMul', max: 'subgroupMax', min: 'subgroupMin',
} // prettier-ignore

/**
 * The function `name` of a fold for devices with subgroups; `storage` is what its buffer is called. Nothing is taken for granted of them: neither a
 * size, nor that a subgroup is full, nor which threads it has. The first thread of each leaves its subgroup's value in its own element, all others the
 * neutral one; then each subgroup folds all elements, its threads in steps of their number.
 */
export function subgroupFold(f: FoldCall, name: string, storage: string): readonly string[] | undefined {
  const operation = subgroupFunctions[f.fold]
  const threads = isConst(f.buf.shape[0])
  if (operation === undefined || threads === undefined) return undefined
  const { lanes } = f.value
  const of = typeText(f.value.of, lanes)
  const one = numberText(identityOf(f.fold as 'add' | 'mul' | 'max' | 'min', f.buf.of), f.buf.of)
  const neutral = f.fold === 'add' ? `${of}()` : lanes === 1 ? one : `${of}(${one})`
  const [a, b] = ['own', `${storage}[i]`]
  const folded = { add: `${a} += ${b};`, mul: `${a} *= ${b};` }[f.fold as string] ?? `${a} = ${f.fold}(${a}, ${b});`
  return [
    `fn ${name}(lane: i32, value: ${of}) -> ${of} {`,
    ...indent([
      `let first = ${operation}(value);`,
      `${storage}[lane] = select(${neutral}, first, subgroupElect());`,
      'workgroupBarrier();',
      'let threads = subgroupAdd(1);',
      `var own = ${neutral};`,
      `for (var i = subgroupExclusiveAdd(1); i < ${threads}; i += threads) { ${folded} }`,
      `let all = ${operation}(own);`,
      'workgroupBarrier();',
      'return all;',
    ]),
    '}',
    '',
  ]
}
