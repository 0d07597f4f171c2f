/**
 * A contraction that makes its rows itself: stages of the rows, then the contraction of what they give. Taken apart here, so that a recipe can
 * keep the rows near and schedule the rest as if it read them from elsewhere.
 */
import type { Buffer } from './buffer.ts'
import { inlineStages } from './inline.ts'
import { exprsOfStage } from './rows.ts'
import type { Stage, StageKernel } from './stage.ts'
import { contractionOf } from './structure.ts'
import { loadsOf } from './walk.ts'

export interface Split {
  /** The rows, and what else is stored of them. */
  readonly rows: StageKernel
  /** The virtual buffer that the last of them defines for the contraction to read. */
  readonly operand: Buffer
  /** The contraction and what follows it; it reads `operand`, which no stage of it defines. */
  readonly rest: StageKernel
}

/** Undefined where the kernel is no contraction of rows that it folds first. */
export function splitPrologue(kernel: StageKernel): Split | undefined {
  if (kernel.stages.some((s) => s.body.k === 'carried')) return undefined
  if (kernel.stages.filter((s) => s.body.k === 'reduce').length < 2) return undefined
  const folded = reachedFrom(kernel.stages, (s) => s.body.k === 'reduce')
  const stages = inlineStages(kernel.stages, { keep: (s) => folded.has(s.out) })
  const product = stages[stages.findLastIndex((s) => s.body.k === 'reduce')]
  const operand = contractionOf(product)?.a.buf
  const maker = stages.find((s) => s.out === operand)
  if (operand === undefined || operand.space !== 'virtual' || maker?.body.k !== 'map') return undefined
  const later = reachedFrom(stages, (s) => s === product)
  const inLater = (s: Stage): boolean => later.has(s.out)
  const before = new Set(stages.filter((s) => !inLater(s) && s.out.space === 'virtual').map((s) => s.out))
  const strange = stages
    .filter(inLater)
    .some((s) => loadsIn(s).some((b) => before.has(b) && !(s === product && b === operand)))
  if (strange) return undefined
  return {
    rows: { ...kernel, stages: stages.filter((s) => !inLater(s)) },
    operand,
    rest: { ...kernel, stages: inlineStages(stages.filter(inLater)) },
  }
}

const loadsIn = (s: Stage): readonly Buffer[] =>
  exprsOfStage(s)
    .flatMap(loadsOf)
    .map((l) => l.buf)

/** What the stages that `from` picks define, and what depends on it. */
function reachedFrom(stages: readonly Stage[], from: (s: Stage) => boolean): ReadonlySet<Buffer> {
  const found = new Set<Buffer>()
  for (const s of stages) if (from(s) || loadsIn(s).some((b) => found.has(b))) found.add(s.out)
  return found
}
