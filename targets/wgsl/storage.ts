/** Whether threads hand values to each other through storage buffers: only then must a barrier order storage, too. */
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { For, NestKernel } from '../../src/kernel/nest.ts'
import { exprsOf, loadsOf, visitStmts } from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { of, substitute } from '../../src/types/ix.ts'

interface Access {
  readonly at: readonly Ix[]
  readonly loops: readonly For[]
}

export function passesStorage(nest: NestKernel): boolean {
  const stores = new Map<Buffer, Access[]>()
  const loads: { readonly buf: Buffer; readonly access: Access }[] = []
  visitStmts(nest.body, (s, around) => {
    const loops = around.flatMap((x) => (x.k === 'for' ? [x] : []))
    if (s.k === 'store' && s.buf.space === 'global')
      stores.set(s.buf, [...(stores.get(s.buf) ?? []), { at: s.at, loops }])
    for (const l of exprsOf(s).flatMap(loadsOf))
      if (l.buf.space === 'global') loads.push({ buf: l.buf, access: { at: l.at, loops } })
  })
  return loads.some(({ buf, access }) => (stores.get(buf) ?? []).some((s) => !sameThread(s, access)))
}

/** The loops around both run alike, and lead to the same element in each iteration. */
function sameThread(a: Access, b: Access): boolean {
  const map = new Map<Sym, Ix>()
  const alike = a.loops.every((l, i) => {
    const m = b.loops[i]
    if (m === undefined || l.step !== m.step || l.lo !== substitute(m.lo, map) || l.hi !== substitute(m.hi, map))
      return false
    map.set(m.v, of(l.v))
    return true
  })
  return alike && a.loops.length === b.loops.length && b.at.every((x, i) => substitute(x, map) === a.at[i])
}
