/**
 * The buffers of a session, replayed by size: what a loaded model makes, replaces and frees in a sequence of calls. Buffers have names, and equal names
 * are equal buffers, as in the host module.
 */
import type { DeviceProfile } from '../program/profiles.ts'
import type { Program, ProgramName } from '../program/types.ts'
import type { Needs } from '../target.ts'
import type { Sym } from '../types/ix.ts'
import { symbolsOf } from '../types/ix.ts'
import { elements } from '../types/shape.ts'
import { buffer, bytesAt, roomFor, statesOf, type Env } from './values.ts'

export interface Memory {
  readonly weights: number
  /** Caches have room for positions to come; where they grow, the old ones are there beside the new. Where rows are reordered, their copies. */
  readonly state: number
  readonly activations: number
  /** Inputs, outputs, the buffer through which outputs are read, that of the dims, and what ids are drawn with. */
  readonly ports: number
  readonly total: number
}

/** Tokens that `generate` and `generateBeams` make where nothing is said (`targets/runtime`). */
const TOKENS = 128

/** The same dims but for some by name. */
const withDims =
  (env: Env, values: Readonly<Record<string, number>>): Env =>
  (s: Sym) =>
    values[s.name] ?? env(s)

export class Replay {
  private needs: Needs
  /** Bytes of a binding and of a buffer at most. */
  private most: number
  private sizes = new Map<string, number>()
  private live = { state: 0, activations: 0, ports: 0 }
  /** When most was held. */
  private peak = { state: 0, activations: 0, ports: 0 }

  constructor(needs: Needs, { limits }: DeviceProfile) {
    this.needs = needs
    this.most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize)
    this.made('dims', needs.uniform.buffer)
  }

  get memory(): Memory {
    const weights = this.needs.weights.reduce((n, w) => n + buffer(w.bytes), 0)
    const { state, activations, ports } = this.peak
    return { weights, ...this.peak, total: weights + state + activations + ports }
  }

  // ---- calls ----

  run(env: Env): void {
    this.call('run', env)
  }
  prepare(env: Env): void {
    this.call('prepare', env)
  }
  /** The first call: what does not depend on positions, then new positions. */
  prefill(env: Env): void {
    this.call('prepare', env)
    this.call('prefill', env)
  }
  /** Steps one by one, up to one that has as many positions behind it as `env` says. */
  steps(env: Env): void {
    const { past } = this.needs.module.sequence!
    this.call('prepare', env)
    this.advance(env, 0, env(past), (at) => this.call('step', at))
  }
  /** A prompt, and tokens after it that are drawn on the device. */
  generate(env: Env): void {
    const { sequence } = this.needs.module
    const { ids, lists, ahead } = this.needs.drawing!
    this.call('prepare', env)
    this.make('d:id', 4)
    this.make('d:options', 16)
    lists.forEach((count, i) => ['values', 'ids'].forEach((of) => this.make(`d:${of} ${i}`, 4 * count)))
    this.call('prefill', env, false)
    const T = env(sequence!.T)
    const tokens = Math.min(TOKENS, sequence!.max - T + 1)
    for (let i = 0; i < Math.min(ahead, tokens); i++) this.make(`d:drawn ${i}`, 4)
    this.advance(env, T, T + tokens - 2, (at) => this.call('step', at, false, ids))
  }
  /** A prompt, and beams after it: rows are reordered between any two calls. */
  beams(env: Env, count: number): void {
    const { sequence } = this.needs.module
    const { T, batch, max } = sequence!
    const one = withDims(env, { [batch!.name]: 1 })
    const rows = withDims(env, { [batch!.name]: count })
    this.call('prepare', one)
    this.call('prefill', one)
    const prompt = env(T)
    const tokens = Math.min(TOKENS, max - prompt + 1)
    if (tokens < 2) return
    this.reorder(one, rows, prompt, count)
    this.advance(rows, prompt, prompt + tokens - 2, (at, past) => {
      this.call('step', at)
      if (past < prompt + tokens - 2) this.reorder(rows, rows, past + 1, count)
    })
  }

  /** Steps with `from` to `to` positions behind them; those that cannot differ from the one before are left out. */
  private advance(env: Env, from: number, to: number, call: (env: Env, past: number) => void): void {
    const { T, past } = this.needs.module.sequence!
    const caches = statesOf(this.needs.module, false).filter((s) => s.grows)
    for (let p = from; p <= to;) {
      const at = withDims(env, { [T.name]: 1, [past.name]: p })
      call(at, p)
      // The last step before anything must grow, and that one.
      const roomy = caches.flatMap((s) =>
        ['s:', 's:~'].flatMap((prefix) => {
          const [size, each] = [this.sizes.get(prefix + s.name), bytesAt(s.size, at)]
          return size === undefined || each === 0 ? [] : [Math.max(p + 1, Math.floor(size / each) - 1)]
        }),
      )
      p = p === to ? p + 1 : Math.min(to, ...roomy)
    }
  }

  private call(name: ProgramName, env: Env, read = true, without?: string): void {
    const program = this.needs.module.programs.find((p) => p.name === name)
    if (program === undefined) return
    if (name !== 'run') this.keep(env, name === 'prepare')
    this.execute(program, env, read, without)
  }
  private execute({ inputs, outputs, slots }: Program, env: Env, read: boolean, without?: string): void {
    for (const p of inputs) if (p.name !== without) this.make(`v:${p.name}`, bytesAt(elements(p.shape), env))
    slots.forEach((size, i) => this.make(`a:${i}`, bytesAt(size, env)))
    for (const p of outputs) this.make(`o:${p.name}`, bytesAt(elements(p.shape), env))
    const total = outputs.reduce((n, p) => n + bytesAt(elements(p.shape), env), 0)
    if (!read || (this.sizes.get('readback') ?? -1) >= total) return
    this.freed('readback', this.sizes.get('readback') ?? 0)
    this.made('readback', Math.max(16, total))
  }
  /** Room for the state: all that must grow is there twice. */
  private keep(env: Env, only: boolean): void {
    const { sequence } = this.needs.module
    const positions = only ? 0 : env(sequence!.T) + env(sequence!.past)
    const old: [string, number][] = []
    for (const s of statesOf(this.needs.module, only)) {
      const each = bytesAt(s.size, env)
      const name = `s:${s.name}`
      const known = this.sizes.get(name)
      if ((known ?? 0) >= each * (s.grows ? positions : 1)) continue
      if (known !== undefined) old.push([name, known])
      this.made(name, buffer(each * (s.grows ? roomFor(positions, each, sequence!.max, this.most) : 1)))
    }
    for (const [name, bytes] of old) this.freed(name, bytes)
  }
  /** Rows of the state are gathered into copies, and these copied back. */
  private reorder(before: Env, after: Env, past: number, count: number): void {
    const { module } = this.needs
    const { sequence } = module
    const program = module.programs.find((p) => p.name === 'reorder')!
    const moved = statesOf(module, false)
      .filter((s) => s.rows)
      .map((s) => {
        const each = bytesAt(s.size, after)
        return { name: s.name, used: each * (s.grows ? past : 1), room: each * (s.grows ? Math.min(2 * past, sequence!.max) : 1) }
      }) // prettier-ignore
    const room = (prefix: string, one: (typeof moved)[number]): void => {
      if ((this.sizes.get(prefix + one.name) ?? 0) < one.used) this.make(prefix + one.name, one.room)
    }
    for (const one of moved) room('s:~', one)
    const [rows] = program.inputs.flatMap((p) => p.shape.flatMap((x) => [...symbolsOf(x)]))
    this.execute(program, withDims(before, { [sequence!.past.name]: past, [rows.name]: count }), true)
    for (const one of moved) room('s:', one)
  }

  // ---- buffers ----

  /** A storage buffer of at least so many bytes; the old one goes once the new one is there. */
  private make(name: string, bytes: number): void {
    const old = this.sizes.get(name)
    if (old !== undefined && old >= bytes) return
    this.made(name, buffer(bytes))
    if (old !== undefined) this.freed(name, old)
  }
  private made(name: string, bytes: number): void {
    this.sizes.set(name, bytes)
    this.live[kindOf(name)] += bytes
    if (sum(this.live) > sum(this.peak)) this.peak = { ...this.live }
  }
  private freed(name: string, bytes: number): void {
    this.live[kindOf(name)] -= bytes
  }
}

const kindOf = (name: string) => (name.startsWith('s:') ? 'state' : name.startsWith('a:') ? 'activations' : 'ports')
const sum = (of: { readonly state: number; readonly activations: number; readonly ports: number }): number =>
  of.state + of.activations + of.ports
