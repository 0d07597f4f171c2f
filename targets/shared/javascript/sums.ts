/**
 * The inner loop of a contraction as a function: sums over columns and a row that lie in scratch of constant size. What is the same in
 * several kernels is printed once. Columns are read through views, one for each sum, so that one index and one check serve all.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { storageOf } from '../../../src/kernel/address.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import type { Ix } from '../../../src/types/ix.ts'
import { isConst, of, sub } from '../../../src/types/ix.ts'
import type { Printer } from '../printer.ts'
import { docComment, fill, indent } from '../text.ts'

export interface Sums {
  /** How many statements they are. */
  readonly length: number
  readonly columns: Buffer
  readonly row: Buffer
  readonly tile: Buffer
  /** Number of sums and of products. */
  readonly width: number
  readonly count: number
  /** Where the first column starts. */
  readonly start: Ix
  /** Names of addresses among the statements, which others after them may use. */
  readonly binds: readonly Stmt[]
}
type Load = Expr & { readonly k: 'load' }

/** The sums that start at statement `i`, if there are any: variables, a loop that adds products to them, stores of each. */
export function sumsAt(body: readonly Stmt[], i: number): Sums | undefined {
  let at = i
  const sums: Local[] = []
  const binds: Stmt[] = []
  for (let s = body[at]; s?.k === 'var' && s.e.k === 'const' && s.e.value === 0; s = body[++at]) sums.push(s.v)
  for (let s = body[at]; s?.k === 'bind'; s = body[++at]) binds.push(s)
  const loop = body[at++]
  if (sums.length < 2 || loop?.k !== 'for' || loop.step !== 1 || isConst(loop.lo) !== 0) return undefined
  const count = isConst(loop.hi)
  const stores = body.slice(at, at + sums.length)
  if (count === undefined || stores.length < sums.length) return undefined
  let tile: Buffer | undefined
  const stored = stores.every((s, n) => {
    if (s.k !== 'store' || s.e.k !== 'local' || s.e.v !== sums[n] || isConst(s.at[0]) !== n) return false
    tile ??= s.buf
    return s.buf === tile && s.buf.space === 'private'
  })
  if (!stored || tile === undefined) return undefined

  const read = new Map<Local, Load>()
  const products = new Map<Local, readonly [Load, Load]>()
  const loaded = (e: Expr): Load | undefined => (e.k === 'local' ? read.get(e.v) : e.k === 'load' ? e : undefined)
  for (const s of loop.body) {
    if (s.k === 'let' && s.e.k === 'load') read.set(s.v, s.e)
    else if (s.k === 'assign' && s.e.k === 'bin' && s.e.f === 'add' && s.e.b.k === 'bin' && s.e.b.f === 'mul') {
      const [a, b] = [loaded(s.e.b.a), loaded(s.e.b.b)]
      if (s.e.a.k !== 'local' || s.e.a.v !== s.v || a === undefined || b === undefined) return undefined
      products.set(s.v, [a, b])
    } else return undefined
  }
  const [first] = sums
  const [column, row] = products.get(first) ?? []
  if (column === undefined || row === undefined || row.at[0] !== of(loop.v)) return undefined
  if (column.buf.space !== 'private' || row.buf.space !== 'private' || products.size !== sums.length) return undefined
  const apart = sums.every((v, n) => {
    const [w, x] = products.get(v) ?? []
    return w?.buf === column.buf && isConst(sub(w.at[0], column.at[0])) === n * count && x?.buf === row.buf && x.at[0] === row.at[0] // prettier-ignore
  })
  if (!apart) return undefined
  const start = sub(column.at[0], of(loop.v))
  return { length: at + sums.length - i, columns: column.buf, row: row.buf, tile, width: sums.length, count, start, binds } // prettier-ignore
}

/** The function that computes sums, given where the first column starts; `name` is that of a buffer in the module. */
export function sumsFunction(sums: Sums, name: (b: Buffer) => string, p: Printer): string {
  const { width, count } = sums
  const each = (f: (i: number) => string): string[] => Array.from({ length: width }, (_, i) => f(i))
  const length = isConst(storageOf(sums.columns))! - (width - 1) * count
  const views = each((i) => p.view(`w${i}`, name(sums.columns), i * count, length))
  return p.shared(`sums_${count}`, (made) => [
    ...docComment([`${width} sums of ${count} products: columns from \`at\` on by \`${name(sums.row)}\`, into \`${name(sums.tile)}\`.`]),
    `function ${made}(at${p.type('number')})${p.type('void')} {`,
    ...indent([
      `let ${each((i) => `s${i} = 0`).join(', ')}`,
      `for (let k = 0; k < ${count}; k++) {`,
      // As an integer of 32 bits, which V8 does not check for overflow.
      ...indent([`const i = (at + k) | 0, x = ${name(sums.row)}[k]`, ...each((i) => `s${i} += ${views[i]}[i] * x`)]),
      '}',
      ...fill(each((i) => `${name(sums.tile)}[${i}] = s${i}`), 110).map((l) => l.replaceAll(', ', '; ').replace(/,$/, '')),
    ]),
    '}',
  ]) // prettier-ignore
}
