/** `tfmc doctor`: what this machine and this Node offer to compiled models, what the lack of it costs, and what to do. */
import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import type { Context, Outcome } from '../context.ts'
import { device } from '../device.ts'
import { bytes, table, type Cell } from '../output.ts'

export interface Finding {
  readonly what: string
  readonly ok: boolean
  readonly found: string
  /** What it costs not to have it, and what to do; of what is there, nothing. */
  readonly advice?: string
}

/** Modules with one function: `v128.const` and `i8x16.popcnt`; `f32x4.relaxed_madd`. */
const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11] // prettier-ignore
const relaxed = [0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 0, 32, 0, 253, 133, 2, 11] // prettier-ignore
const has = (module: readonly number[]): boolean => WebAssembly.validate(Uint8Array.from(module))

export async function doctor(ctx: Context): Promise<Outcome> {
  const gpu = await graphics()
  const findings = [node(), cores(), vectors(), multiplyAdd(), threads(), wide(), ...gpu]
  const rows = findings.map((f): Cell[] => [f.ok ? ['good', '✓'] : ['warn', '–'], f.what, f.found])
  const lines = table([{ head: '' }, { head: '' }, { head: '' }], rows, ctx.paint).split('\n')
  for (const [i, f] of findings.entries())
    ctx.print(`${lines[i]}\n${f.advice === undefined ? '' : `    ${f.advice}\n`}`)
  return { data: { findings } }
}

const [major, minor] = process.versions.node.split('.').map(Number)

function node(): Finding {
  const ok = major > 20 || (major === 20 && minor >= 20)
  const found = `${process.versions.node} (V8 ${process.versions.v8}, ${process.platform} ${process.arch})`
  return {
    what: 'Node',
    ok,
    found,
    ...(ok ? {} : { advice: 'tfm is tested with 20.20 and later: install a newer Node' }),
  }
}

function cores(): Finding {
  return { what: 'Cores and memory', ok: true, found: `${availableParallelism()}, ${bytes(totalmem())}` }
}

function vectors(): Finding {
  const ok = has(simd)
  return {
    what: 'WebAssembly SIMD', ok, found: ok ? 'yes' : 'no',
    ...(ok ? {} : { advice: 'the target wasm cannot run here: use --target typescript, or a processor and Node that have it' }),
  } // prettier-ignore
}

function multiplyAdd(): Finding {
  const ok = has(relaxed)
  return {
    what: 'Relaxed SIMD', ok, found: ok ? 'yes' : 'no',
    ...(ok ? {} : { advice: `multiply and add stay two instructions in wasm: Node 22 and later fuse them${major >= 20 ? ', this one with node --experimental-wasm-relaxed-simd' : ''}` }),
  } // prettier-ignore
}

function threads(): Finding {
  const ok = typeof SharedArrayBuffer === 'function'
  const n = Math.min(availableParallelism(), 8)
  return {
    what: 'Threads', ok, found: ok ? `shared memory; wasm computes on ${n} unless --threads says otherwise` : 'no shared memory',
    ...(ok ? {} : { advice: 'wasm computes on one thread; pages need the headers COOP and COEP' }),
  } // prettier-ignore
}

/** V8 pairs vectors from version 13 on, on x64 with AVX2. */
function wide(): Finding {
  const newer = Number(process.versions.v8.split('.')[0]) >= 13
  const lacking = [
    ...(newer ? [] : ['Node 24 or later']),
    ...(process.arch === 'x64' && hasAvx2() ? [] : ['a processor with AVX2']),
  ]
  const ok = lacking.length === 0
  return {
    what: 'Vectors of 256 bits (--wide)', ok, found: ok ? 'possible' : 'no',
    ...(ok ? {} : { advice: `--wide changes nothing here: it takes ${lacking.join(' and ')}` }),
  } // prettier-ignore
}
/** Where the system does not say, as if it had. */
function hasAvx2(): boolean {
  try {
    return /\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8'))
  } catch {
    return true
  }
}

async function graphics(): Promise<Finding[]> {
  try {
    const { description, software } = await device()
    const advice = 'a processor plays the graphics card: right results, slowly; --target wasm is faster here'
    return [{ what: 'WebGPU', ok: !software, found: description, ...(software ? { advice } : {}) }]
  } catch (error) {
    const { what, why, help } = error as { what?: string; why?: string; help?: string }
    if (what === undefined) throw error
    return [{ what: 'WebGPU', ok: false, found: 'no', advice: `the target wgsl does not run here. ${why} ${help}` }]
  }
}
