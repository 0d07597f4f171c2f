/** Choices of schedules that measuring may overrule, and what they are kept under: the structure of a kernel and its constant sizes. */
import type { StageKernel } from '../../src/kernel/stage.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import { extentOf } from '../../src/kernel/walk.ts'
import type { Choice, Tuning } from '../../src/target.ts'
import type { Sym } from '../../src/types/ix.ts'
import { isConst } from '../../src/types/ix.ts'

/** All there is to try for a contraction. What a kernel's form does not admit falls back to the default. */
export const choices: readonly Choice[] = [
  { form: 'tile', rows: 1 },
  { form: 'tile', rows: 2 },
  { form: 'tile', rows: 3 },
  { form: 'tile', rows: 4 },
]

/** The key of a contraction: `m * n 3072 k 768 float32 16`; `*` is a size that a call decides. `short`: it has few rows (`fewRows`). Undefined for other kernels. */
export function keyOf(kernel: StageKernel, short: boolean): string | undefined {
  const s = structureOf(kernel)
  if (s.k !== 'contraction') return undefined
  const sizes = (syms: readonly Sym[]): string =>
    syms.length === 0 ? '1' : syms.map((v) => isConst(extentOf(v)) ?? '*').join('x')
  const { layout } = s.b.buf
  return [
    ...(short ? ['step'] : []),
    ...(s.batch.length > 0 ? ['batch', sizes(s.batch)] : []),
    ...['m', sizes(s.m), 'n', sizes(s.n), 'k', sizes(s.sum)],
    ...(layout ? [layout.name] : []),
    ...(s.epilogue.length > 0 ? [`then ${s.epilogue.length}`] : []),
  ].join(' ')
}

/** What was measured to be best for a kernel, if it was. */
export function choiceFor(tuning: Tuning | undefined, kernel: StageKernel, short: boolean): Choice | undefined {
  const key = tuning && keyOf(kernel, short)
  return key !== undefined && Object.hasOwn(tuning!, key) ? tuning![key] : undefined
}
