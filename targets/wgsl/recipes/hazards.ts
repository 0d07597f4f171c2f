/** Barriers where they are needed: a statement that touches what other threads have touched since the last one has one before it. */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'

/** Buffers that other threads may have read or written since the last barrier. */
export class Hazards {
  readonly stmts: Stmt[] = []
  private reads = new Set<Buffer>()
  private writes = new Set<Buffer>()
  private head: { readonly reads: ReadonlySet<Buffer>; readonly writes: ReadonlySet<Buffer> } | undefined

  private barrier(): void {
    this.stmts.push({ k: 'barrier' })
    this.head ??= { reads: this.reads, writes: this.writes }
    this.reads = new Set()
    this.writes = new Set()
  }
  push(reads: readonly Buffer[], writes: readonly Buffer[], ...stmts: readonly Stmt[]): void {
    if (reads.some((b) => this.writes.has(b)) || writes.some((b) => this.reads.has(b) || this.writes.has(b))) this.barrier()
    for (const b of reads) this.reads.add(b)
    for (const b of writes) this.writes.add(b)
    this.stmts.push(...stmts)
  } // prettier-ignore
  /** The body of a loop: what ends one iteration must not meet what begins the next. */
  loop(): readonly Stmt[] {
    const { reads, writes } = this.head ?? { reads: this.reads, writes: this.writes }
    const meets = [...this.writes].some((b) => reads.has(b) || writes.has(b)) || [...this.reads].some((b) => writes.has(b)) // prettier-ignore
    if (meets) this.barrier()
    return this.stmts
  }
}
