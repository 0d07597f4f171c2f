/** `tfmc init`: a small model to start from. */
import { join, resolve } from 'node:path'
import { access } from 'node:fs/promises'
import { fail, say } from '../../diagnostics/index.ts'
import { writeFilesAtomically } from '../../fs-atomic.ts'
import type { Context, Outcome } from '../context.ts'

export async function init(ctx: Context, [dir = '.']: string[]): Promise<Outcome> {
  const folder = resolve(ctx.io.cwd, dir)
  const files = new Map([['model.tfm', model], ['README.md', readme]]) // prettier-ignore
  for (const name of files.keys()) {
    const there = await access(join(folder, name)).then(
      () => true,
      () => false,
    )
    if (there) fail(say.wontOverwrite(undefined, join(dir, name)))
  }
  await writeFilesAtomically(folder, files)
  const paths = [...files.keys()].map((name) => join(dir, name))
  ctx.print(
    `wrote ${paths.join(' and ')}\n\nNext:\n  tfmc check ${paths[0]}\n  tfmc run ${paths[0]} --random-weights 1\n`,
  )
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
