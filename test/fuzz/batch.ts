/** Many models of a seed, one after the other: what failed, made small, as text to paste, and how sharp the bounds were. */
import { typescript } from '../../targets/typescript/index.ts'
import { wgsl } from '../../targets/wgsl/index.ts'
import type { CheckOptions, Finding, Report, Subject } from './check.ts'
import { check } from './check.ts'
import { generate } from './generate.ts'
import type { Case } from './model.ts'
import { caseOf } from './model.ts'
import { shrink } from './shrink.ts'

/** TypeScript in both forms and WGSL fused always; WGSL with steps, and unfused, where asked for: pipelines take most of the time. */
export const subjectsOf = (thorough: boolean): Subject[] => [
  { target: typescript, fused: true },
  { target: typescript, fused: false },
  { target: wgsl, fused: true, steps: thorough },
  ...(thorough ? [{ target: wgsl, fused: false, steps: false }] : []),
]

export interface Failure {
  readonly seed: number
  readonly index: number
  /** Made small, and what it gives. */
  readonly small: Case
  readonly finding: Finding
}

/** What someone needs to see the failure again. */
export const describe = ({ seed, index, small, finding }: Failure): string =>
  [
    `model ${index} of seed ${seed} (npm run fuzz:models -- --seed ${seed} --from ${index} --count 1), made small:`,
    small.text,
    `dims ${JSON.stringify(small.calls)}, inputs ${JSON.stringify(small.draws)}`,
    `${finding.what}: ${finding.message}`,
  ].join('\n')

/** Checks model `index` of a seed; the first thing that fails is made small. */
export async function checkGenerated(
  seed: number,
  index: number,
  options: CheckOptions,
): Promise<{ readonly report: Report; readonly failure?: Failure }> {
  const model = generate(seed, index)
  const report = await check(caseOf(model), options)
  const [first] = report.findings
  if (first === undefined) return { report }
  const subjects = options.subjects.filter((s) => !involves(first) || first.what.endsWith(nameOf(s)))
  const again = async (m: Case): Promise<Finding | undefined> =>
    (await check(m, { ...options, subjects })).findings.find((f) => f.what === first.what)
  const small = caseOf(await shrink(model, async (m) => (await again(caseOf(m))) !== undefined))
  return { report, failure: { seed, index, small, finding: (await again(small)) ?? first } }
}
const nameOf = (s: Subject): string => `${s.target.name}, ${s.fused ? 'fused' : 'unfused'}`
const involves = (f: Finding): boolean => /(typescript|wgsl), /.test(f.what)

/** The value that a share of the sorted ones is below. */
export function quantile(xs: readonly number[], share: number): number {
  const sorted = [...xs].sort((a, b) => a - b)
  return sorted[Math.floor(share * (sorted.length - 1))]
}
