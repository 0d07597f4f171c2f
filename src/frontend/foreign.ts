/** Words of other frameworks and languages, and what stands for them here. */

const calls: Readonly<Record<string, string>> = {
  amax: 'it is `max(x, axis = …)`',
  arange: 'it is `iota(n)`',
  astype: 'write `f32(x)`, `i32(x)` or `bool(x)`',
  bmm: 'write `a @ b`',
  cast: 'write `f32(x)`, `i32(x)` or `bool(x)`',
  cat: 'it is `concat([a, b], axis)`',
  chunk: 'it is `split(x, n)`',
  cumprod: 'carry the product in a `scan`',
  dense: 'it is `linear(x, n)`',
  dot: 'write `a @ b`',
  einsum: 'write `a @ b`, or the sum: `[for i < n, j < m: sum[for k < p: a[i, k] * b[k, j]]]`',
  embedding: 'it is `embed(ids, vocab, n)`, or `table[ids]`',
  expand: 'it is `broadcast(x, shape)`',
  full_like: 'it is `full(v, shape(x))`',
  index_select: 'write `x[ids]`',
  linspace: 'write `[for i < n: …]`',
  masked_fill: 'it is `select(mask, value, x)`',
  ones_like: 'it is `ones(shape(x))`',
  range: 'count with `repeat n as i`, `[for i < n: …]` or `iota(n)`',
  rearrange: 'use `reshape` and `permute`',
  scaled_dot_product_attention: 'it is `attention(q, k, v)`',
  size: 'it is `dim(x, axis)`; a dim of a type, such as `T`, is a number too',
  swapaxes: 'it is `permute(x, order)`, for the last two axes `transpose(x)`',
  swish: 'it is `silu(x)`',
  view: 'it is `reshape(x, shape)`',
  zeros_like: 'it is `zeros(shape(x))`',
}

const names: Readonly<Record<string, string>> = {
  True: 'it is `true`',
  False: 'it is `false`',
  None: 'it is `none`',
  null: 'it is `none`',
  inf: 'take a large number, such as `1e30`; masks of attention and of `softmax` exclude without one',
  self: 'hyperparameters and parameters are named as they are',
}

const said = (table: Readonly<Record<string, string>>, word: string): string | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined

/** What to write instead of an unknown call. */
export const foreignCall = (word: string): string | undefined => said(calls, word)

/** What to write instead of an unknown name. */
export const foreignName = (word: string): string | undefined => said(names, word)

/** The words, for the test that none of them exists here. */
export const foreignWords = (): string[] => [...Object.keys(calls), ...Object.keys(names)]
