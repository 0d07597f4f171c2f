/** Tensors that `tie_word_embeddings` makes one, as transformers does it (`tie_weights` of its PreTrainedModel). */
import { open } from 'node:fs/promises'
import { fail, say, type Diagnostic } from '../diagnostics/index.ts'
import type { ParamSpec, WeightRules } from '../types/model.ts'
import { formatOf, modelName, readStored, type StoredTensor, type WeightsFile } from '../weights/index.ts'
import type { JsonObject } from './json.ts'
import type { FieldRules } from './registry.ts'

/** The field of `config.json`; what it means where it is left out is among the `defaults` of an architecture, else true. */
export const tieField = 'tie_word_embeddings'

export interface Ties {
  /** Name of a tensor → name of the one that it equals; names as the model has them. */
  readonly pairs: Readonly<Record<string, string>>
  readonly tied: boolean
}

export function tiesOf(rules: readonly FieldRules[], config: JsonObject): Ties {
  return { pairs: Object.assign({}, ...rules.map((r) => r.tied)) as Ties['pairs'], tied: config[tieField] !== false }
}

/** Without ties a parameter must be in the file: it does not fall back to another one. */
export const untied = (params: readonly ParamSpec[], { pairs, tied }: Ties): readonly ParamSpec[] =>
  params.map(({ fallback, ...p }) =>
    fallback === undefined || (!tied && Object.hasOwn(pairs, p.name)) ? p : { ...p, fallback },
  )

/**
 * Compares what `config` says with the tensors of a file. A file with both tensors of a pair that differ is not tied, whatever the
 * configuration says: that is a warning where the model takes the file's own.
 * @throws DiagnosticError (TFM1916) where the model would be another one than that of transformers.
 */
export async function checkTies(
  file: WeightsFile,
  params: readonly { readonly name: string }[],
  rules: WeightRules,
  { pairs, tied }: Ties,
  config: string,
): Promise<readonly Diagnostic[]> {
  const stored = new Map([...file.tensors.values()].map((t) => [modelName(t.name, { ...rules, ignore: [] }), t]))
  const warnings: Diagnostic[] = []
  for (const [name, other] of Object.entries(pairs)) {
    const own = params.some((p) => p.name === name)
    const [a, b] = [stored.get(name), stored.get(other)]
    if (own && !tied && !a) fail(say.notTied(undefined, `${config}: "${tieField}" is false, and the file has no ${name}`, 'transformers would make it up; if it is to equal another tensor, say true in config.json')) // prettier-ignore
    // Without ties, that the two differ is what the configuration says.
    if (!a || !b || (own && !tied) || (await sameBytes(a, b))) continue
    if (!own) fail(say.notTied(undefined, `${a.name} and ${b.name} differ, and the model takes them for one`, 'write the model out with `tfmc init --hf <folder> -o <dir>` and give it a parameter for each')) // prettier-ignore
    warnings.push(say.tiedButStored(undefined, `${config}: "${tieField}" is ${String(tied)}, but ${a.name} and ${b.name} differ`)) // prettier-ignore
  }
  return warnings
}

const piece = 1 << 20

async function sameValues(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  if (formatOf(a) !== formatOf(b) || String(a.shape) !== String(b.shape)) return false
  const [x, y] = [await readStored(a), await readStored(b)]
  return x.data.every((value, i) => value === y.data[i])
}

async function sameBytes(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  if (a.quantised || b.quantised) return sameValues(a, b)
  const size = a.end - a.begin
  if (a.dtype !== b.dtype || String(a.shape) !== String(b.shape) || size !== b.end - b.begin) return false
  const files = [await open(a.file), await open(b.file)]
  try {
    for (let at = 0; at < size; at += piece) {
      const length = Math.min(piece, size - at)
      const [x, y] = await Promise.all(
        [a, b].map(async (t, i) => {
          const { buffer, bytesRead } = await files[i].read(Buffer.alloc(length), 0, length, t.position + at)
          if (bytesRead < length) fail(say.weightsTruncated(undefined, t.file, t.name))
          return buffer
        }),
      )
      if (!x.equals(y)) return false
    }
    return true
  } finally {
    for (const file of files) await file.close()
  }
}
