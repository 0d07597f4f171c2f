/** The passes in order. A comment only where the order matters. */
import { canonicalise } from './canonicalise.ts'
import { fold } from './fold.ts'
import type { Pass } from './pass.ts'
import { projections } from './projections.ts'

export const pipeline: readonly Pass[] = [
  fold,
  canonicalise,
  projections,
  // Slices of merged projections meet slices of the source; concatenated weights meet the tensor they are slices of.
  { ...canonicalise, name: 'canonicalise-projections' },
]
