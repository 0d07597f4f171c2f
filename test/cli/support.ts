/** The command line in this process: arguments in; exit code, stdout and stderr out. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { run } from '../../src/cli/cli.ts'
import { packageRoot } from '../../src/package-root.ts'
import { writeSafetensors, type TensorToWrite } from '../../src/weights/write.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}
export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly tty?: boolean
  readonly onOut?: (text: string) => void
  /** What comes in on stdin. */
  readonly piped?: readonly Uint8Array[]
}

export async function tfmc(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  let [out, err] = ['', '']
  const io = {
    out: { write: (text: string) => ((out += text), options.onOut?.(text)), isTTY: options.tty },
    err: { write: (text: string) => (err += text), isTTY: options.tty },
    cwd: options.cwd ?? packageRoot(),
    env: options.env ?? {},
    in: async function* () {
      yield* options.piped ?? []
    },
    signal: options.signal ?? new AbortController().signal,
  }
  const code = await run(argv, io)
  return { code, out, err }
}

/** The one JSON document of a command that was given `--json`. */
export async function json(argv: readonly string[], options: RunOptions = {}) {
  const ran = await tfmc([...argv, '--json'], options)
  const data = JSON.parse(ran.out) as { ok: boolean; diagnostics: { code: string; message: string }[] } & Record<string, unknown> // prettier-ignore
  return { ...ran, data }
}

const made: string[] = []
/** An empty folder that is gone after the test. */
export function folder(files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'tfm-cli-'))
  made.push(path)
  for (const [name, contents] of Object.entries(files)) writeFileSync(join(path, name), contents)
  return path
}
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true })
})

/** Everything below a folder. */
export const contents = (path: string): string[] => readdirSync(path, { recursive: true }).map(String).sort()

export const example = (name: string): string => `examples/${name}/model.tfm`

/** A model that is quick to do anything with. */
export const tiny = `model tiny(vocab = 11, ctx = 12, d = 8, heads = 2) {
  sequence T
  input ids: i32[B, T] where T <= ctx
  param wte: f32[vocab, d] = "wte.weight"
  x = wte[ids]
  x = residual(self_attention(layernorm(x, name = "norm"), mask = causal(T), name = "attn"))
  output logits = x @ transpose(wte)
}
`
const tinyShapes: Readonly<Record<string, readonly number[]>> = {
  'wte.weight': [11, 8],
  'norm.weight': [8],
  'norm.bias': [8],
  'attn.q.weight': [8, 8],
  'attn.q.bias': [8],
  'attn.k.weight': [8, 8],
  'attn.k.bias': [8],
  'attn.v.weight': [8, 8],
  'attn.v.bias': [8],
  'attn.o.weight': [8, 8],
  'attn.o.bias': [8],
}

/** A checkpoint of `tiny`, changed as a test needs it. */
export function checkpoint(change: (tensors: Map<string, TensorToWrite>) => void = () => undefined): Uint8Array {
  const tensors = new Map<string, TensorToWrite>()
  for (const [name, shape] of Object.entries(tinyShapes)) {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + name.length))
    tensors.set(name, { name, shape, data })
  }
  change(tensors)
  return writeSafetensors([...tensors.values()])
}
