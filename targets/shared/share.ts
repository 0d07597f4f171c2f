/**
 * Fewer functions to print: a model whose prefill takes and gives what `run` does is run by it, and a kernel of `step` that is another
 * one at T = 1 is that other one.
 */
import { naiveNest } from '../../src/kernel/build.ts'
import type { NestKernel, Stmt } from '../../src/kernel/nest.ts'
import { printNest } from '../../src/kernel/print.ts'
import { simplify } from '../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import { copier, mapStmts } from '../../src/kernel/walk.ts'
import { kernelsOf, mapDispatches } from '../../src/program/steps.ts'
import type { Module, Port, Program } from '../../src/program/types.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { con, isConst, print, substitute } from '../../src/types/ix.ts'
import { specialise } from './specialise.ts'

export interface Shared {
  readonly module: Module
  /** `run` is a prefill of a session of its own. */
  readonly runByPrefill: boolean
}

/** `contractions`: those of `step` are shared too, for a target whose kernels choose by the number of rows. */
export function share(module: Module, contractions = false): Shared {
  const of = (name: Program['name']): Program | undefined => module.programs.find((p) => p.name === name)
  const [run, prefill, prepare] = [of('run'), of('prefill'), of('prepare')]
  const runByPrefill = run !== undefined && prefill !== undefined && covers(run, prefill, prepare)
  const programs = runByPrefill ? module.programs.filter((p) => p !== run) : module.programs
  return {
    module: used({
      ...module,
      programs: programs.map((p) => (p.name === 'step' ? atOne(p, module, programs, contractions) : p)),
    }),
    runByPrefill,
  }
}

const samePort = (a: Port, b: Port): boolean =>
  a.name === b.name &&
  a.dtype === b.dtype &&
  a.shape.length === b.shape.length &&
  a.shape.every((x, i) => print(x) === print(b.shape[i]))
function covers(run: Program, prefill: Program, prepare: Program | undefined): boolean {
  const inputs = [...prefill.inputs, ...(prepare?.inputs ?? [])]
  return (
    run.inputs.every((p) => inputs.some((q) => samePort(p, q))) &&
    run.outputs.length === prefill.outputs.length &&
    run.outputs.every((p) => prefill.outputs.some((q) => samePort(p, q)))
  )
}

/** The step program with kernels of the other programs where they agree. Contractions keep their own: few rows want another tile. */
function atOne(step: Program, module: Module, programs: readonly Program[], contractions: boolean): Program {
  const T = module.sequence?.T
  if (T === undefined) return step
  const shared = (k: number): boolean => contractions || structureOf(module.kernels[k]).k !== 'contraction'
  const alike = new Map<string, number[]>()
  for (const k of new Set(programs.flatMap((p) => (p.name === 'step' ? [] : kernelsOf(p.steps))))) {
    const key = argumentsAt(module.kernels[k], T)
    if (shared(k)) alike.set(key, [...(alike.get(key) ?? []), k])
  }
  const signatures = new Map<number, string>()
  const signatureOf = (k: number): string => {
    const known = signatures.get(k) ?? signatureAt(module.kernels[k], T)
    signatures.set(k, known)
    return known
  }
  const same = new Map(
    [...new Set(kernelsOf(step.steps))].map((k) => {
      const others = shared(k) ? (alike.get(argumentsAt(module.kernels[k], T)) ?? []) : []
      return [k, others.find((other) => other === k || signatureOf(other) === signatureOf(k)) ?? k]
    }),
  )
  return { ...step, steps: mapDispatches(step.steps, (s) => ({ ...s, kernel: same.get(s.kernel)! })) }
}

/** What a kernel takes and gives at T = 1, as text: most differ in that already. */
function argumentsAt({ args }: StageKernel, T: Sym): string {
  const one = new Map<Sym, Ix>([[T, con(1)]])
  const text = (x: Ix): string => print(substitute(x, one))
  return args.map(({ buffer, access }) => `${access} ${buffer.of}[${buffer.shape.map(text).join()}]`).join()
}

/** The naive nest at T = 1 as text, without its name. */
function signatureAt(kernel: StageKernel, T: Sym): string {
  const one = new Map<Sym, Ix>([[T, con(1)]])
  const nest = naiveNest(specialise(kernel, one))
  const made: NestKernel = {
    ...nest,
    name: '', params: nest.params.filter((s) => s !== T),
    args: nest.args.map((a) => ({ ...a, buffer: { ...a.buffer, shape: a.buffer.shape.map((x) => substitute(x, one)) } })),
    body: withoutUnitLoops(nest.body.map(copier(one).stmt)),
  } // prettier-ignore
  // A maximum that is never empty and one that may be start at different numbers, to the same end.
  return printNest(simplify(made)).replaceAll('-huge', '-3e+38')
}
function withoutUnitLoops(body: readonly Stmt[]): readonly Stmt[] {
  return mapStmts(body, (s) =>
    s.k === 'for' && isConst(s.lo) === 0 && isConst(s.hi) === 1
      ? s.body.map(copier(new Map([[s.v, con(0)]])).stmt)
      : [s],
  )
}

/** Without kernels that no program runs. */
function used(module: Module): Module {
  const kept = [...new Set(module.programs.flatMap((p) => kernelsOf(p.steps)))].sort((a, b) => a - b)
  const places = new Map(kept.map((k, i) => [k, i]))
  return {
    ...module,
    kernels: kept.map((k) => module.kernels[k]),
    programs: module.programs.map((p) => ({
      ...p,
      steps: mapDispatches(p.steps, (s) => ({ ...s, kernel: places.get(s.kernel)! })),
    })),
  }
}
