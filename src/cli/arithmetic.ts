/** `--arithmetic f16`: what it goes with, and what it does to a model, in words. */
import { halfContraction, halfErrors } from '../kernel/half.ts'
import { kernelsOf } from '../program/steps.ts'
import type { Module } from '../program/types.ts'
import type { Arithmetic, FloatRules, WeightFormat } from '../target.ts'
import { UsageError } from './context.ts'
import { plural } from './output.ts'

export function checkArithmetic(options: { readonly weightsAs: WeightFormat; readonly arithmetic: Arithmetic }): void {
  if (options.arithmetic === 'f16' && options.weightsAs !== 'f16')
    throw new UsageError('--arithmetic f16 is for matrices that are kept as f16: it goes with --weights-as f16')
}

/** Which kernels may compute in f16, and what that may cost; empty where none does. */
export function arithmeticText({ kernels, programs }: Module, { half }: FloatRules): string {
  // Steps have few rows.
  const many = new Set(programs.filter((p) => p.name !== 'step').flatMap((p) => kernelsOf(p.steps)))
  const names = kernels.filter((k, i) => many.has(i) && halfContraction(k)).map((k) => k.name)
  if (names.length === 0 || half === undefined) return ''
  const percent = (worst: boolean): string => `${(100 * halfErrors(half, worst).relative).toPrecision(2)} %`
  const some = names.length > 6 ? `${names.slice(0, 6).join(', ')} …` : names.join(', ')
  return [
    `arithmetic in f16  ${plural(names.length, 'kernel')} (${some}), for more than a few rows, on devices with shader-f16`,
    `  activations are rounded to f16 by blocks of 16, which share a scale; sums of 16 products are f16, sums of those f32:`,
    `  a product is off by ${percent(true)} at most, by ${percent(false)} as a standard deviation; tfmc diff --arithmetic f16 bounds the outputs`,
    '', '',
  ].join('\n') // prettier-ignore
}
