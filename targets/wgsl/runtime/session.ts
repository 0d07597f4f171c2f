// Calls of compiled programs on a device: dims, buffers, one command encoder and pass per call, and the state kept between calls.
import { TfmError } from '../../runtime/errors.ts'
import type { Dims, Extent, PortSpec, Tensor } from '../../runtime/inputs.ts'
import { bindInputs, extent } from '../../runtime/inputs.ts'
import type { Buffers } from './buffers.ts'
import { entryFor, makeKernels, type Kernel } from './device.ts'
import { checkCall, gridOf } from './limits.ts'
import type { Keeper } from './load.ts'
import { cut, Slices } from './slices.ts'
import { selftestOn, type KernelTest, type Ways } from './selftest.ts'
import type { SelftestReport } from '../../runtime/sample.ts'

/** A kernel and its buffers: `w:` weights, `s:` state, `v:` inputs, `o:` outputs, `d:` what ids are drawn with, numbers for activation slots. */
export type Dispatch = readonly [kernel: string, ...buffers: readonly (string | number)[]]
/** Steps that run for each t in turn. Their kernels read t among the dims. */
interface Loop {
  readonly t: string
  readonly count: (d: Dims) => number
  /** From the last t to 0. */
  readonly reverse?: boolean
  readonly steps: readonly Step[]
}
export type Step = Dispatch | Loop
export interface ProgramSpec {
  readonly inputs: readonly PortSpec[]
  readonly outputs: readonly PortSpec[]
  /** Conditions on dims as the source states them. */
  readonly checks: readonly (readonly [text: string, holds: (d: Dims) => boolean])[]
  /** Elements of each activation slot. */
  readonly slots: readonly ((d: Dims) => number)[]
  readonly steps: readonly Step[]
  /** Always one submission. */
  readonly whole?: boolean
}
/** States of one size. `grows`: the size is for one position, and positions come first. */
export interface StateSpec {
  readonly names: readonly string[]
  readonly size: (d: Dims) => number
  readonly grows: boolean
  readonly ints?: boolean
  /** `reorder` gathers them. */
  readonly rows?: boolean
}
export interface ModelSpec {
  readonly programs: Partial<Record<'run' | 'prepare' | 'prefill' | 'step' | 'reorder', ProgramSpec>>
  readonly state: readonly StateSpec[]
  /** Records programs with loops. */
  readonly record?: (
    session: Session,
    program: ProgramSpec,
    store: Store,
    dims: Dims,
    slices: Slices,
    size: number,
  ) => Promise<[encoder: GPUCommandEncoder, count: number]>
  /** Names of dims in the order of the block that kernels read. */
  readonly dims: readonly string[]
  /** The dims of new and past positions, and how many there may be. */
  readonly sequence?: { readonly T: string; readonly past: string; readonly max: number }
  readonly sampling?: SamplingSpec
}
/** Kernels that draw an id from the last logits into `d:id`. */
export interface SamplingSpec {
  /** The input of a step that takes the id. */
  readonly ids: string
  /** Whether a step that was not wanted is undone by counting positions back. */
  readonly ahead: boolean
  readonly vocabulary: number
  /** Elements of the lists between the kernels. */
  readonly lists: readonly number[]
  readonly greedy: Pick<ProgramSpec, 'steps'>
  readonly top: Pick<ProgramSpec, 'steps'>
}
export type Store = 's' | 'r'
type Results = Record<string, Tensor<Float32Array | Int32Array>>
export type Given = Readonly<Record<string, unknown>>
/** What is to be done with the inputs of a call whose dims are not all known yet; `before` is called when they are. */
type Call<R> = (program: ProgramSpec, inputs: Given, dims: Dims, store: Store, before: (d: Dims) => void) => Promise<R>
/** Positions so far, and where their state lies: `s` for that of the model, `r` for that of a run on its own. */
interface Sequence {
  past: number
  /** Dims that the state holds on to. */
  held?: Dims
  readonly store: Store
}
export interface BoundDispatch {
  readonly name: string
  readonly kernel: Kernel
  readonly group: GPUBindGroup
}
interface Bound {
  readonly generation: number
  readonly steps: readonly BoundDispatch[]
}

/** One list of entries for each layer. */
export function layers<T>(count: number, entries: (i: number) => T | readonly T[]): T[] {
  return Array.from({ length: count }, (_, i) => i).flatMap((i) => entries(i))
}

export class Session {
  sequence: Sequence = { past: 0, store: 's' }
  spec: ModelSpec
  device: GPUDevice
  private kernels: ReadonlyMap<string, Kernel>
  buffers: Buffers
  private release: () => void
  /** A block of dims, or 4096 with loops: kernels of a loop see one for each t. Any device can bind at multiples of 256. */
  readonly dimsBuffer: GPUBuffer
  private readback: GPUBuffer | undefined
  private bound = { s: new Map<object, Bound>(), r: new Map<object, Bound>() }
  /** Calls wait for each other: they share buffers. */
  private last: Promise<unknown> = Promise.resolve()
  private gone = ''
  private slices = new Slices()

  constructor(
    spec: ModelSpec,
    device: GPUDevice,
    kernels: ReadonlyMap<string, Kernel>,
    buffers: Buffers,
    release: () => void,
  ) {
    this.spec = spec
    this.device = device
    this.kernels = kernels
    this.buffers = buffers
    this.release = release
    const size = 256 * Math.ceil(spec.dims.length / 64) * (spec.record ? 4096 : 1)
    this.dimsBuffer = device.createBuffer({ label: 'dims', size, usage: 8 | 64 })
    void device.lost.then(
      ({ reason, message }) => (this.gone ||= `the GPU device was lost (${reason || 'unknown'}): ${message}`),
    )
  }

  get past(): number {
    return this.sequence.past
  }

  run(inputs: Given): Promise<Results> {
    return this.inTurn(() => this.execute(this.program('run'), inputs, {}))
  }

  /** A run as a prefill without past, beside the model's own positions. */
  alone(inputs: Given): Promise<Results> {
    return this.inTurn(() => this.next(this.program('prefill'), inputs, { past: 0, store: 'r' }))
  }

  selftest(tests: readonly KernelTest[], keeper?: Keeper, ways?: Ways): Promise<SelftestReport> {
    return this.inTurn(async () => {
      const plain = Object.fromEntries([...this.kernels].filter(([, k]) => k.uses.size > 0))
      const forms = [this.kernels, makeKernels(this.device, plain, undefined, [])]
      const all = forms.flatMap((form) => [...form.values()])
      await Promise.all(all.flatMap(({ entries, compile }) => entries.map((_, i) => compile(i))))
      return selftestOn(this.device, forms, this.spec.dims, tests, keeper, ways)
    })
  }

  /** Positions after the past ones. The first call also takes what does not depend on positions (an encoder's inputs). */
  advance(name: 'prefill' | 'step', inputs: Given): Promise<Results> {
    const { sequence } = this
    return this.inTurn(() => this.next(this.program(name), inputs, sequence))
  }

  next(program: ProgramSpec, inputs: Given, seq: Sequence): Promise<Results>
  next<R>(program: ProgramSpec, inputs: Given, seq: Sequence, call: Call<R>): Promise<R>
  async next(
    program: ProgramSpec,
    inputs: Given,
    seq: Sequence,
    call: Call<unknown> = (...all) => this.execute(...all),
  ): Promise<unknown> {
    const { sequence, programs } = this.spec
    if (!sequence) throw new TfmError('TFM2007', 'this model has no sequence to continue')
    const { prepare } = programs
    const own: Record<string, unknown> = { ...inputs }
    let { held } = seq
    const first = prepare?.inputs.filter((p) => !program.inputs.some((q) => q.name === p.name)) ?? []
    if (prepare && (held === undefined || first.some((p) => inputs[p.name] !== undefined))) {
      if (held !== undefined)
        throw new TfmError('TFM2007', `${first.map((p) => p.name).join(', ')}: already taken; reset() starts anew`)
      const given = Object.fromEntries(prepare.inputs.map((p) => [p.name, inputs[p.name]]))
      for (const p of first) delete own[p.name]
      held = {}
      // What is kept may have dims that only the inputs of positions give.
      bindInputs([...prepare.inputs, ...program.inputs], { ...given, ...own }, held)
      delete held[sequence.T]
      await this.execute(prepare, given, held, seq.store, (d) => this.reserve(prepare, d, 0, seq.store))
    }
    const dims: Dims = { ...held, [sequence.past]: seq.past }
    const outputs = await call(program, own, dims, seq.store, (d) => {
      const total = seq.past + (d[sequence.T] ??= 1)
      if (total > sequence.max)
        throw new TfmError('TFM2006', `${seq.past} past and ${d[sequence.T]} new positions, at most ${sequence.max}`)
      this.reserve(program, d, total, seq.store)
    })
    seq.past += dims[sequence.T]
    delete dims[sequence.T]
    delete dims[sequence.past]
    seq.held = dims
    return outputs
  }

  /** Buffers are kept: what lies behind the past positions is never read. */
  reset(): void {
    this.sequence = { past: 0, store: 's' }
  }

  dispose(): void {
    this.reset()
    this.gone ||= 'the model was disposed'
    this.buffers.destroy()
    this.dimsBuffer.destroy()
    this.readback?.destroy()
    // The device may live on, and knows this session.
    this.kernels = new Map()
    this.bound = { s: new Map(), r: new Map() }
    this.release()
  }

  inTurn<T>(call: () => Promise<T>): Promise<T> {
    const result = this.last.then(() => {
      this.alive()
      return call()
    })
    this.last = result.catch(() => {})
    return result
  }
  alive(): void {
    if (this.gone) throw new TfmError('TFM2105', this.gone)
  }

  program(name: 'run' | 'prefill' | 'step'): ProgramSpec {
    const program = this.spec.programs[name]
    if (!program) throw new TfmError('TFM2007', `the model has no ${name}`)
    return program
  }

  async execute(
    program: ProgramSpec,
    inputs: Given,
    dims: Dims,
    store: Store = 's',
    before?: (d: Dims) => void,
  ): Promise<Results> {
    const { buffers } = this
    let readback = this.readback!
    /** Copies what positions from `from` on gave to where it belongs among all. */
    const copy = (encoder: GPUCommandEncoder, part: Dims, from: number) => {
      const all = this.results(program, dims)
      const total = all.reduce((n, p) => n + p.bytes, 0)
      if (!this.readback || this.readback.size < total) {
        this.readback?.destroy()
        this.readback = buffers.create('  the results', total, 1 | 8)
      }
      readback = this.readback
      const T = this.spec.sequence?.T ?? ''
      let start = 0
      for (const [i, { port, bytes }] of this.results(program, part).entries()) {
        const whole = bytes === all[i].bytes
        const rows = whole ? 1 : this.rowsOf(port, dims)
        const step = all[i].bytes / rows
        const skip = whole ? 0 : (step / dims[T]) * from
        for (let row = 0; row < rows; row++)
          encoder.copyBufferToBuffer(
            buffers.get(`o:${port.name}`),
            (row * bytes) / rows,
            readback,
            start + row * step + skip,
            bytes / rows,
          )
        start += all[i].bytes
      }
    }
    const encoder = await this.encode(program, inputs, dims, store, before, copy)
    const ports = this.results(program, dims)
    const total = ports.reduce((n, p) => n + p.bytes, 0)
    await this.submit(encoder)
    const outputs: Results = {}
    if (total === 0) return outputs
    await this.map(readback, total)
    let at = 0
    const mapped = readback.getMappedRange(0, total)
    for (const { port, shape, bytes } of ports) {
      const data = mapped.slice(at, at + bytes)
      outputs[port.name] = { data: port.dtype === 'f32' ? new Float32Array(data) : new Int32Array(data), shape }
      at += bytes
    }
    readback.unmap()
    return outputs
  }

  /** Rows of positions. */
  private rowsOf({ shape }: PortSpec, dims: Dims): number {
    const axis = shape.indexOf(this.spec.sequence!.T)
    return shape.slice(0, axis).reduce((n: number, e) => n * extent(e, dims), 1)
  }

  /**
   * The commands of a call, or the last of them: inputs and dims are written, and there is room for all that it writes. `done` adds what is to be done
   * with the results; a long prefill has several parts, each with results of its own.
   */
  async encode(
    program: ProgramSpec,
    inputs: Given,
    dims: Dims,
    store: Store,
    before?: (d: Dims) => void,
    done?: (encoder: GPUCommandEncoder, part: Dims, from: number) => void,
  ): Promise<GPUCommandEncoder> {
    const { device, buffers, slices, spec } = this
    const arrays = bindInputs(program.inputs, inputs, dims)
    for (const [text, holds] of program.checks) {
      if (!holds(dims))
        throw new TfmError(
          'TFM2004',
          `${text} does not hold for ${Object.entries(dims)
            .map(([k, n]) => `${k} = ${n}`)
            .join(', ')}`,
        )
    }
    if (before) before(dims)
    else this.check(program, dims, [])
    for (const [name, data] of Object.entries(arrays)) buffers.reserve(`v:${name}`, data.byteLength)?.destroy()
    program.slots.forEach((size, i) => buffers.reserve(`a:activation ${i}`, size(dims) * 4)?.destroy())
    for (const { port, bytes } of this.results(program, dims)) buffers.reserve(`o:${port.name}`, bytes)?.destroy()
    const all = Object.values(arrays).reduce((n, { length }) => n + length, 0)
    const { T, past } = spec.sequence ?? { T: '', past: '' }
    for (let from = 0; ;) {
      const count = slices.next(program, spec, dims, from, all / dims[T])
      const to = from + count
      const last = !(to < dims[T])
      const whole = last && from === 0
      const part = whole ? dims : { ...dims, [T]: count, [past]: dims[past] + from }
      await this.compiled(program.steps, part)
      for (const port of program.inputs) {
        const data = arrays[port.name]
        const own = whole || !port.shape.includes(T) ? data : cut(data, this.rowsOf(port, dims), dims[T], from, to)
        device.queue.writeBuffer(buffers.get(`v:${port.name}`), 0, own as Float32Array<ArrayBuffer>)
      }
      const size = whole ? all : (all / dims[T]) * count
      if (!spec.record)
        device.queue.writeBuffer(this.dimsBuffer, 0, Int32Array.from(spec.dims, (name) => part[name] ?? 0)) // prettier-ignore
      const [encoder, dispatches] = spec.record
        ? await spec.record(this, program, store, part, slices, size)
        : await slices.record(this, program, this.bind(program, store), part, size)
      done?.(encoder, part, from)
      if (last) return encoder
      await slices.submit(this, program, encoder, dispatches, size)
      from = to
    }
  }

  /** More dispatches of a call, with the dims as they were written. */
  async pass(encoder: GPUCommandEncoder, program: Pick<ProgramSpec, 'steps'>, store: Store, dims: Dims): Promise<void> {
    await this.compiled(program.steps, dims)
    const pass = encoder.beginComputePass()
    for (const step of this.bind(program, store)) this.dispatch(pass, step, dims)
    pass.end()
  }

  private results(program: ProgramSpec, dims: Dims) {
    return program.outputs.map((port) => {
      const shape = port.shape.map((e: Extent) => extent(e, dims) as number)
      return { port, shape, bytes: shape.reduce((n, x) => n * x, 4) }
    })
  }

  async submit(encoder: GPUCommandEncoder): Promise<void> {
    this.device.queue.submit([encoder.finish()])
    const full = await this.buffers.full()
    if (full) throw new TfmError('TFM2106', `the GPU has too little memory: ${full}`)
  }

  /** Waits until a buffer can be read. */
  async map(buffer: GPUBuffer, bytes: number): Promise<void> {
    try {
      await buffer.mapAsync(1, 0, bytes)
    } catch (thrown) {
      // A lost device says so only after its callbacks ran.
      await new Promise((resolve) => setTimeout(resolve))
      this.alive()
      throw new TfmError('TFM2105', `the results cannot be read: ${thrown}`)
    }
  }

  /** The pipelines that these steps need; in loops, where t decides, all of a kernel. */
  private async compiled(steps: readonly Step[], dims: Dims): Promise<void> {
    this.alive()
    const need = (steps: readonly Step[], looped = false): Promise<void>[] =>
      steps.flatMap((step) => {
        if ('t' in step) return need(step.steps, true)
        const kernel = this.kernels.get(step[0])!
        const wanted = looped ? kernel.order : [entryFor(kernel, dims)]
        return wanted.filter((i) => i >= 0 && !kernel.pipelines[i]).map(kernel.compile)
      })
    const missing = need(steps)
    if (missing.length > 0) await Promise.all(missing)
  }

  /** One kernel; its block of dims lies at `offset`. */
  dispatch(pass: GPUComputePassEncoder, { name, kernel, group }: BoundDispatch, dims: Dims, offset = 0) {
    const i = entryFor(kernel, dims)
    if (i < 0) return
    pass.setPipeline(kernel.pipelines[i])
    pass.setBindGroup(0, group, kernel.dims ? [offset] : [])
    pass.dispatchWorkgroups(...gridOf(name, kernel.entries[i].groups(dims), this.device.limits))
  }

  /** Kernels and bind groups of dispatches, made anew when a buffer was replaced. */
  bind(program: Pick<ProgramSpec, 'steps'>, store: Store): Bound['steps'] {
    const { device, buffers, kernels } = this
    const known = this.bound[store].get(program)
    if (known?.generation === buffers.generation) return known.steps
    const steps = (program.steps as readonly Dispatch[]).map(([name, ...args]) => {
      const kernel = kernels.get(name)!
      const bufferName = (a: string | number) =>
        typeof a === 'number' ? `a:activation ${a}` : a.replace(/^s:/, `${store}:`)
      const entries: GPUBindGroupEntry[] = args.map((a, i) => ({
        binding: i + 1,
        resource: { buffer: buffers.get(bufferName(a)) },
      }))
      if (kernel.dims)
        entries.unshift({ binding: 0, resource: { buffer: this.dimsBuffer, size: 4 * this.spec.dims.length } })
      return { name, kernel, group: device.createBindGroup({ label: name, layout: kernel.layout, entries }) }
    })
    this.bound[store].set(program, { generation: buffers.generation, steps })
    return steps
  }

  private check(program: ProgramSpec, d: Dims, state: readonly StateSpec[]): void {
    checkCall(this.device.limits, this.spec, program, state, this.kernels, d)
  }

  /** Room for `positions` in the caches; grown by doubling as far as a binding goes, the past kept. */
  private reserve(program: ProgramSpec, d: Dims, positions: number, store: Store): void {
    const state = this.spec.state.filter((s) => !s.grows || positions)
    this.check(program, d, state)
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits
    const most = Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / 16) * 16
    const copies: { from: GPUBuffer; name: string }[] = []
    const room = Math.min(Math.max(2 ** Math.ceil(Math.log2(positions)), 64), this.spec.sequence?.max ?? Infinity)
    for (const s of state) {
      const each = s.size(d) * 4
      for (const name of s.names.map((n) => `${store}:${n}`)) {
        if (this.buffers.has(name, each * (s.grows ? positions : 1))) continue
        const old = this.buffers.reserve(name, each * (s.grows ? Math.min(room, Math.floor(most / each)) : 1))
        if (old) copies.push({ from: old, name })
      }
    }
    if (copies.length === 0) return
    const encoder = this.device.createCommandEncoder()
    for (const { from, name } of copies) encoder.copyBufferToBuffer(from, 0, this.buffers.get(name), 0, from.size)
    this.device.queue.submit([encoder.finish()])
    for (const { from } of copies) from.destroy()
  }
}
