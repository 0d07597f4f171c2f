/**
 * Attention and its like: chunks of keys, several queries at a time. The queries of a block visit the same keys, so that each key and value is
 * loaded once for all of them; what a query does not see has no weight.
 */
import { naiveNest } from '../../../src/kernel/build.ts'
import type { For, NestKernel } from '../../../src/kernel/nest.ts'
import { hoist, IllegalSchedule, jam, level, scalarise, simplify, split } from '../../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { structureOf } from '../../../src/kernel/structure.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { exprsOf, extentOf, loadsOf, loopsOf, symbolsOfIx, visitStmts } from '../../../src/kernel/walk.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { isConst } from '../../../src/types/ix.ts'
import { vectorNest } from './rows.ts'

/** Keys whose scores and weights are at hand at a time: those of all queries of a block stay in the first cache. */
const KEYS = 64
/** Queries that share what is loaded. */
const QUERIES = 4

export function carriedNest(kernel: StageKernel): NestKernel | undefined {
  const structure = structureOf(kernel)
  if (structure.k !== 'carried') return undefined
  const naive = hoist(scalarise(simplify(naiveNest(kernel, { chunk: chunkOf(structure.axis) }))))
  const rows = structure.rows
  const query = loopsOf(naive.body).findLast((l) => rows.includes(l.v))
  const worth = query !== undefined && (isConst(query.hi) ?? QUERIES) >= QUERIES && shares(query)
  return vectorNest((worth ? blocked(naive, query.v) : undefined) ?? naive)
}

/** A power of two, so that vectors fill chunks also where there are few keys. */
const chunkOf = (axis: Sym): number => 2 ** Math.floor(Math.log2(Math.min(KEYS, isConst(extentOf(axis)) ?? KEYS)))

/** Whether all iterations load the same elements of something. */
function shares(query: For): boolean {
  let found = false
  visitStmts(query.body, (s) => {
    for (const e of exprsOf(s))
      for (const l of loadsOf(e)) found ||= l.buf.space === 'global' && l.at.every((x) => !symbolsOfIx(x).has(query.v))
  })
  return found
}

function blocked(naive: NestKernel, query: Parameters<typeof split>[1]): NestKernel | undefined {
  try {
    const blocks = split(naive, query, QUERIES, 'peel')
    const made = jam(level(blocks.nest, blocks.inner), blocks.inner)
    return verify(made).length === 0 ? made : undefined
  } catch (e) {
    if (e instanceof IllegalSchedule) return undefined
    throw e
  }
}
