/** Swapping two loops of which one directly contains the other. */
import type { Sym } from '../../types/ix.ts'
import type { NestKernel } from '../nest.ts'
import { effectsOf, symbolsOfIx } from '../walk.ts'
import { IllegalSchedule, replaceLoop } from './edit.ts'

/**
 * `inner` moves outside of `outer`. Legal: outer holds nothing but inner, bounds do not depend on each other, no barrier inside. Of folds
 * only the order of additions changes, which bounds of rounding errors allow for.
 */
export function reorder(nest: NestKernel, outer: Sym, inner: Sym): NestKernel {
  return replaceLoop(nest, outer, (loop) => {
    const [inside] = loop.body
    if (loop.body.length !== 1 || inside.k !== 'for' || inside.v !== inner) {
      throw new IllegalSchedule('reorder', `${outer.name} holds more than the loop over ${inner.name}`)
    }
    for (const bound of [inside.lo, inside.hi]) {
      if (symbolsOfIx(bound).has(outer))
        throw new IllegalSchedule('reorder', `the bounds of ${inner.name} depend on ${outer.name}`)
    }
    if (effectsOf(inside.body).barrier) throw new IllegalSchedule('reorder', `there is a barrier inside ${inner.name}`)
    return [{ ...inside, body: [{ ...loop, body: inside.body }] }]
  })
}

/** Moves `v` inwards past the given loops, one after another. */
export const sink = (nest: NestKernel, v: Sym, past: readonly Sym[]): NestKernel =>
  past.reduce((n, inner) => reorder(n, v, inner), nest)
