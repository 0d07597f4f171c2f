/** `tfmc init`: a small model to start from. */
import { join, resolve } from 'node:path'
import { access } from 'node:fs/promises'
import { fail, say } from '../../diagnostics/index.ts'
import { writeFilesAtomically } from '../../fs-atomic.ts'
import { UsageError, type Context, type Outcome } from '../context.ts'

export interface InitOptions {
  readonly out?: string
  /** A folder of Hugging Face, whose model is written out. */
  readonly hf?: string
  readonly class?: string
}

export async function init(ctx: Context, [given]: (string | undefined)[], options: InitOptions): Promise<Outcome> {
  if (given !== undefined && options.out !== undefined) throw new UsageError('name the folder once: [dir] or --out')
  if (options.class !== undefined && options.hf === undefined) throw new UsageError('--class goes with --hf')
  const dir = given ?? options.out ?? '.'
  if (options.hf !== undefined) {
    const { writtenOut } = await import('../hf-init.ts')
    const { files, next } = await writtenOut(ctx, { ...options, hf: options.hf }, dir)
    return write(ctx, dir, files, next)
  }
  const source = join(dir, 'model.tfm')
  return write(ctx, dir, new Map([['model.tfm', model], ['README.md', readme]]), [
    `tfmc check ${source}`,
    `tfmc run ${source} --random-weights 1`,
  ]) // prettier-ignore
}

async function write(
  ctx: Context,
  dir: string,
  files: ReadonlyMap<string, string>,
  next: readonly string[],
): Promise<Outcome> {
  const folder = resolve(ctx.io.cwd, dir)
  for (const name of files.keys()) {
    const there = await access(join(folder, name)).then(
      () => true,
      () => false,
    )
    if (there) fail(say.wontOverwrite(undefined, join(dir, name)))
  }
  await writeFilesAtomically(folder, files)
  const paths = [...files.keys()].map((name) => join(dir, name))
  const listed = paths.length === 2 ? paths.join(' and ') : `${paths.slice(0, -1).join(', ')} and ${paths.at(-1)}`
  ctx.print(`wrote ${listed}\n\nNext:\n${next.map((line) => `  ${line}\n`).join('')}`)
  return { data: { files: paths } }
}

const model = `/// A small language model: token ids in, a score for each token to come next out.
model small(vocab = 256, ctx = 128, d = 64, heads = 4, layers = 2) {
  // Written over the whole text; the program for one more token, with its caches, is derived along T.
  sequence T

  // A block is a function on tensors. Names give the paths of its weights in the checkpoint.
  block layer(x: f32[B, T, d]) {
    h = residual(self_attention(layernorm(x, name = "norm1"), mask = causal(T), name = "attn"))
    return residual(mlp(layernorm(h, name = "norm2"), 4 * d, name = "mlp"))
  }

  // B and T are free: one compiled model runs at any size that the condition allows.
  input ids: i32[B, T] where T <= ctx
  param tokens: f32[vocab, d]
  param positions: f32[ctx, d]

  x = tokens[ids] + positions[0:T]
  repeat layers as i scope "layers.{i}" {
    x = layer(x)
  }
  output logits = layernorm(x, name = "norm") @ transpose(tokens)
}
`

const readme = `# A model in tfm

    tfmc check model.tfm                       # names, shapes, dims
    tfmc explain model.tfm                     # kernels, fusions, bytes
    tfmc run model.tfm --random-weights 1      # once, with made-up weights
    tfmc diff model.tfm --random-weights 1     # targets against the exact reference
    tfmc compile model.tfm --target wgsl       # files to use in a browser

In your program:

    import { load } from './small-typescript/model.ts'

    const model = await load({ weights: 'model.safetensors' })
    const { logits } = await model.run({ ids: [1, 2, 3] })

\`tfmc check model.tfm --set layers=6\` sets a hyperparameter, and \`tfmc info model.tfm\` lists the tensors that a checkpoint must have.
`
