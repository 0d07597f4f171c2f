// Limits of the device against what a module and its calls need, before anything runs.
import { TfmError } from '../../runtime/errors.ts'
import { extent, type Dims, type Extent } from '../../runtime/inputs.ts'
import { entryFor, type Kernel } from './device.ts'
import type { ModelSpec, ProgramSpec, StateSpec, Step } from './session.ts'

type Limits = GPUDevice['limits']

/** Throws when a device has less than what is needed. */
export function within(what: string, need: number, unit: string, limit: string, most: number): void {
  if (need > most) throw new TfmError('TFM2103', `${what} ${need} ${unit}, the device has ${limit} = ${most}`)
}

/** Bytes of a buffer for so many: kernels read whole vectors of four. */
export const roomOf = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16)

/** A tensor in one buffer that kernels bind. */
export function fits(what: string, bytes: number, limits: Limits): void {
  for (const limit of ['maxBufferSize', 'maxStorageBufferBindingSize'] as const)
    within(`${what} takes`, roomOf(bytes), 'bytes', limit, limits[limit])
}

/** A grid of so many workgroups: rows of as many as a dimension has. Kernels count workgroups as i32. */
export function gridOf(name: string, count: number, { maxComputeWorkgroupsPerDimension: most }: Limits) {
  const y = Math.ceil(count / most)
  const rows = Math.min(most, Math.floor((2 ** 31 - 1) / most))
  within(`kernel ${name} needs`, y, `times ${most} workgroups`, 'maxComputeWorkgroupsPerDimension', rows)
  return [Math.ceil(count / y), y] as const
}

/**
 * Throws where a program, with the state that it needs, is beyond the device at these dims: says what is too large, and the largest value of
 * each dim that is not, the others as they are.
 */
export function checkCall(
  limits: Limits,
  { sequence }: ModelSpec,
  { inputs, outputs, slots, steps }: ProgramSpec,
  state: readonly StateSpec[],
  kernels: ReadonlyMap<string, Kernel>,
  dims: Dims,
): void {
  const { T, past } = sequence ?? { T: '', past: '' }
  const check = (d: Dims) => {
    const bytes = (shape: readonly Extent[]) => shape.reduce((n: number, e) => n * extent(e, d), 4)
    for (const { name, shape } of [...inputs, ...outputs]) fits(name, bytes(shape), limits)
    const results = outputs.reduce((n, { shape }) => n + bytes(shape), 0)
    within('the results take', results, 'bytes', 'maxBufferSize', limits.maxBufferSize)
    slots.forEach((size, i) => fits(`activation ${i}`, size(d) * 4, limits))
    for (const { names, size, grows } of state) fits(names[0], size(d) * 4 * (grows ? d[past] + d[T] : 1), limits)
    const grids = (list: readonly Step[]) => {
      for (const step of list) {
        if ('t' in step) grids(step.steps)
        else {
          const kernel = kernels.get(step[0])!
          gridOf(step[0], kernel.entries[entryFor(kernel, d)]?.groups(d) ?? 0, limits)
        }
      }
    }
    grids(steps)
  }
  try {
    check(dims)
  } catch (thrown) {
    const most = Object.keys(dims).flatMap((name) => {
      let [low, high] = [0, dims[name]]
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2)
        try {
          check({ ...dims, [name]: middle })
          low = middle
        } catch {
          high = middle
        }
      }
      return low ? `${name} = ${low}` : []
    })
    const advice = most.length ? `the largest that fits is ${most.join(' or ')}` : 'nothing smaller fits'
    if (thrown instanceof TfmError) thrown.message += `; ${advice}`
    throw thrown
  }
}
