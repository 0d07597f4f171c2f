/** Packing kernels as programs of the module, so that threads share the work; plain copies pack any number of rows. */
import { newBuffer } from '../../src/kernel/buffer.ts'
import { load } from '../../src/kernel/expr.ts'
import { printStages } from '../../src/kernel/print.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { extentOf } from '../../src/kernel/walk.ts'
import type { Module } from '../../src/program/types.ts'
import { add, isConst, of, sub, sym } from '../../src/types/ix.ts'

export interface Packs {
  /** Distinct kernels. */
  readonly kernels: readonly StageKernel[]
  /** By weight slot: the place of its kernel in the list, and whether that takes some rows at a time. */
  readonly of: readonly (number | undefined)[]
  readonly sliced: (kernel: number) => boolean
  /** Tensors of the kernel that takes most, the result included. */
  readonly most: number
}
/** Names of the params of a kernel that packs rows: the first, and how many. */
export const rowDims = ['from', 'rows'] as const

export function packsOf(module: Module): Packs {
  const kernels: StageKernel[] = []
  const sliced: boolean[] = []
  const byText = new Map<string, number>()
  const of = module.weights.map(({ pack }) => {
    if (pack === undefined) return undefined
    const key = printStages(pack)
    let found = byText.get(key)
    if (found === undefined) {
      byText.set(key, (found = kernels.length))
      const rows = byRows(pack)
      kernels.push(rows ?? pack)
      sliced.push(rows !== undefined)
    }
    return found
  })
  return { kernels, of, sliced: (k) => sliced[k], most: Math.max(0, ...kernels.map((k) => k.args.length)) }
}

/** The kernel for rows `from … from + rows - 1`, where each element of the tensor is copied to one place. */
function byRows(pack: StageKernel): StageKernel | undefined {
  const [stage, ...others] = pack.stages
  const [source, result, ...more] = pack.args
  const { body, domain } = stage
  if (others.length > 0 || more.length > 0 || result === undefined || pack.params.length > 0) return undefined
  if (body.k !== 'map' || body.e.k !== 'load' || body.e.buf !== source.buffer || stage.at || stage.guard)
    return undefined
  const plain = body.e.at.length === domain.length && body.e.at.every((x, i) => x === of(domain[i]))
  const height = domain.length > 0 ? isConst(extentOf(domain[0])) : undefined
  if (!plain || height === undefined) return undefined
  const rows = sym(rowDims[1], { lo: 1, hi: height, role: 'dim' })
  const from = sym(rowDims[0], { lo: 0, hi: sub(height, of(rows)), role: 'dim' })
  const i = sym(domain[0].name, { lo: 0, hi: sub(of(rows), 1), role: 'loop' })
  const rest = domain.slice(1)
  const tensor = source.buffer
  const some = newBuffer(tensor.name, tensor.of, 'global', [of(rows), ...tensor.shape.slice(1)])
  const at = [of(i), ...rest.map(of)]
  return {
    ...pack,
    params: [from, rows],
    args: [{ ...source, buffer: some }, result],
    stages: [
      {
        ...stage,
        domain: [i, ...rest],
        at: [add(of(from), of(i)), ...rest.map(of)],
        body: { k: 'map', e: load(some, at) },
      },
    ],
  }
}
