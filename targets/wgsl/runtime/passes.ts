// Kernels that are several dispatches in sequence: how they are tested. Calls need to know nothing of it.
import { variantsOf, type Ways } from './selftest.ts'

/** The variants of a kernel, and its passes; each of these in its nth variant, or its last. */
export const withPasses: Ways = (test, form, whole) => {
  const { run, passes = [], lengths } = test
  const own = variantsOf({ ...test, lengths: lengths.slice(0, form.get(run)?.buffers.length) }, form, whole)
  const steps = passes.map(([name, ...buffers]) => [form.get(name) ?? whole.get(name)!, buffers] as const)
  const count = Math.max(0, ...passes.map(([name]) => form.get(name)?.entries.length ?? 0))
  const nth = (n: number) => steps.map(([k, buffers]) => [k, Math.min(n, k.entries.length - 1), buffers] as const)
  return [...own, ...Array.from({ length: count }, (_, n) => nth(n))]
}
