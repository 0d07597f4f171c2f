/**
 * Packing kernels as functions of the host module. Those of one layout are one function that takes the extents and gives the packing function,
 * where their texts differ in nothing else.
 */
import type { NestKernel } from '../../../src/kernel/nest.ts'
import { printStages } from '../../../src/kernel/print.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { Module } from '../../../src/program/types.ts'
import { isConst } from '../../../src/types/ix.ts'
import type { PrintedKernel } from './kernel.ts'
import { printKernel } from './kernel.ts'
import type { Language, Printer } from '../printer.ts'
import { printer } from '../printer.ts'
import { indent } from '../text.ts'

type Schedule = (kernel: StageKernel) => NestKernel

/** Packing kernels; those that print alike are one function. */
export function packKernels(
  module: Module,
  p: Printer,
  schedule: Schedule,
): { printed: PrintedKernel[]; of: (slot: number) => string | undefined } {
  const byBody = new Map<string, string>()
  const printed: PrintedKernel[] = []
  const families = packFamilies(module, schedule)
  const add = (kernel: StageKernel): string => {
    const family = families.get(kernel)
    if (family === undefined) {
      const made = printKernel(schedule(kernel), p)
      printed.push(made)
      return made.name
    }
    let made = names.get(family)
    if (made === undefined) {
      made = p.names.name(kernel.name)
      names.set(family, made)
      printed.push({ name: made, lines: family.lines(made, p) })
    }
    return family.call(made, kernel)
  }
  const names = new Map<PackFamily, string>()
  const known = new Map<StageKernel, string>()
  const nameOf = module.weights.map(({ pack }) => {
    if (pack === undefined) return undefined
    let name = known.get(pack)
    if (name === undefined) {
      const key = printStages(pack)
      name = byBody.get(key) ?? add(pack)
      byBody.set(key, name)
      known.set(pack, name)
    }
    return name
  })
  return { printed, of: (slot) => nameOf[slot] }
}

interface PackFamily {
  readonly lines: (name: string, p: Printer) => string[]
  /** The function for one member: an expression. */
  readonly call: (name: string, kernel: StageKernel) => string
}

/** The family of each packing kernel that is in one; the others are printed as they are. */
function packFamilies(module: Module, schedule: Schedule): ReadonlyMap<StageKernel, PackFamily> {
  const groups = new Map<string, StageKernel[]>()
  for (const { pack } of module.weights) {
    if (pack === undefined || pack.args.length !== 2 || pack.args[0].buffer.shape.some((x) => isConst(x) === undefined))
      continue
    const key = `${pack.name} ${pack.args[0].buffer.shape.length}`
    groups.set(key, [...(groups.get(key) ?? []), pack])
  }
  const found = new Map<StageKernel, PackFamily>()
  for (const group of groups.values()) {
    const family = familyOf(group, schedule)
    if (family !== undefined) for (const kernel of group) found.set(kernel, family)
  }
  return found
}

const extents = (kernel: StageKernel): number[] => kernel.args[0].buffer.shape.map((x) => isConst(x)!)
/** Words, numbers and what is between them; the tensor is called `from`. */
function tokensOf(kernel: StageKernel, language: Language, schedule: Schedule): string[] {
  const { name, lines } = printKernel(schedule(kernel), printer(language))
  const tensor = /^ {2}(\w+)/.exec(lines.find((l) => l.startsWith('  '))!)![1]
  const text = lines.join('\n').replace(new RegExp(`\\b${tensor}(_at)?\\b`, 'g'), 'from$1')
  return text.replace(`function ${name}(`, 'function ?(').split(/(\b\w+\b)/)
}

function familyOf(all: readonly StageKernel[], schedule: Schedule): PackFamily | undefined {
  // One member of each size will do.
  const group = [...new Map(all.map((k) => [String(extents(k)), k])).values()]
  const sizes = group.map(extents)
  if (group.length < 2) return undefined
  const dims = sizes[0].map((_, i) => (sizes[0].length === 2 ? ['K', 'N'][i] : `n${i}`))
  const used = new Set<string>()
  const print = (language: Language): string[] | undefined => {
    const all = group.map((k) => tokensOf(k, language, schedule))
    const [first] = all
    if (all.some((t) => t.length !== first.length) || dims.some((d) => first.includes(d))) return undefined
    const merged = first.map((token, i) => {
      if (all.every((t) => t[i] === token)) return token
      for (const [d, name] of dims.entries()) {
        const is = (f: (n: number) => number): boolean => all.every((t, k) => t[i] === String(f(sizes[k][d])))
        const text = is((n) => n)
          ? name
          : is((n) => n - 1)
            ? `(${name} - 1)`
            : is((n) => 4 * n)
              ? `(${name} * 4)`
              : is((n) => 4 * (n - 1))
                ? `((${name} - 1) * 4)`
                : undefined
        if (text === undefined) continue
        used.add(name)
        return text
      }
      return undefined
    })
    return merged.includes(undefined) ? undefined : merged.join('').split('\n')
  }
  if (print('ts') === undefined) return undefined
  const params = dims.filter((d) => used.has(d))
  return {
    lines: (name, p) => [
      `function ${name}(${params.map((d) => `${d}${p.type('number')}`).join(', ')}) {`,
      ...indent(
        print(p.language)!.map((l) => l.replace('function ?(', 'return (').replace(/^(\)(?:: void)?) \{$/, '$1 => {')),
      ),
      '}',
    ],
    call: (name, kernel) => `${name}(${params.map((d) => extents(kernel)[dims.indexOf(d)]).join(', ')})`,
  }
}
