/** The models: their modules, as `tfmc compile` wrote them, their weights and their tokenizers. All are fetched when they are first used. */
import { Tokenizer } from '@huggingface/tokenizers'
import shakespeareWeights from '../../shakespeare/model.safetensors?url'
import translateWeights from '../../translate/model.safetensors?url'
import type { Loading, ModelName, TargetName } from './protocol.ts'

interface Options {
  readonly weights: string
  readonly onProgress: (progress: Pick<Loading, 'phase' | 'loaded' | 'total'>) => void
  readonly onWarning: (warning: { readonly message: string }) => void
  readonly signal: AbortSignal
  /** Where WGSL keeps what it measured. */
  readonly tuning: { get(key: string): Promise<string | undefined>; set(key: string, value: string): Promise<void> }
}
interface Drawing {
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly stop: number
  readonly signal: AbortSignal
}
/** What both models have on every target. */
export interface Opened {
  generate(text: string, options: Drawing): AsyncIterable<number>
  selftest(): Promise<{
    readonly kernels: readonly { readonly name: string; readonly error: number; readonly passes?: readonly string[] }[]
  }>
  readonly threads?: number
  dispose(): void
}
export interface ModelKind {
  /** What ends a text. */
  readonly stop: number
  open(target: TargetName, options: Omit<Options, 'weights'>): Promise<Opened>
  /** What the given text is followed by. */
  decode(ids: readonly number[]): string
}

/** The library looks for the token of unknown words beside the tokenizer. */
async function tokenizerOf(
  module: Promise<{ readonly default: { readonly model: { readonly unk_token?: string | null } } }>,
) {
  const json = (await module).default
  return new Tokenizer(json, { unk_token: json.model.unk_token ?? undefined })
}

async function shakespeare(): Promise<ModelKind> {
  const tokenizer = await tokenizerOf(import('../../shakespeare/tokenizer.json'))
  const modules = {
    wgsl: () => import('../models/shakespeare/wgsl/shakespeare.ts'),
    wasm: () => import('../models/shakespeare/wasm/shakespeare.ts'),
    typescript: () => import('../models/shakespeare/typescript/shakespeare.ts'),
  }
  return {
    stop: 1023,
    decode: (ids) => (ids.length === 0 ? '' : tokenizer.decode([...ids], { clean_up_tokenization_spaces: false })),
    async open(target, options) {
      const model = await (await modules[target]()).load({ ...options, weights: absolute(shakespeareWeights) })
      const generate = (text: string, drawing: Drawing) => model.generate(tokenizer.encode(text).ids, drawing)
      return { ...parts(model), generate }
    },
  }
}

/** Token ids of translate: what a text begins with, what ends it, and any word that is not in the vocabulary. */
const [begin, end, unknown] = [1, 2, 3]

async function translate(): Promise<ModelKind> {
  const [spanish, english] = await Promise.all([
    tokenizerOf(import('../../translate/tokenizer.source.json')),
    tokenizerOf(import('../../translate/tokenizer.target.json')),
  ])
  const modules = {
    wgsl: () => import('../models/translate/wgsl/translate.ts'),
    wasm: () => import('../models/translate/wasm/translate.ts'),
    typescript: () => import('../models/translate/typescript/translate.ts'),
  }
  return {
    stop: end,
    decode: (ids) => (ids.length === 0 ? '' : english.decode([...ids], { skip_special_tokens: true })),
    async open(target, options) {
      const model = await (await modules[target]()).load({ ...options, weights: absolute(translateWeights) })
      const generate = (text: string, drawing: Drawing) => {
        const strange = text.trim().split(/\s+/).filter((word) => spanish.encode(word, { add_special_tokens: false }).ids.includes(unknown)) // prettier-ignore
        if (strange.length > 0) throw new Error(`not a Spanish number word that it knows: ${strange.join(', ')}`)
        return model.generate([begin], { ...drawing, src: [spanish.encode(text).ids] })
      }
      return { ...parts(model), generate }
    },
  }
}

const parts = (model: Omit<Opened, 'generate'>): Omit<Opened, 'generate'> => ({
  selftest: () => model.selftest(),
  dispose: () => model.dispose(),
  ...(model.threads === undefined ? {} : { threads: model.threads }),
})
/** Addresses are those of the page; the worker's script lies deeper. */
const absolute = (url: string): string => new URL(url, self.location.href).href

const kinds: Partial<Record<ModelName, Promise<ModelKind>>> = {}
export const kindOf = (name: ModelName): Promise<ModelKind> =>
  (kinds[name] ??= name === 'shakespeare' ? shakespeare() : translate())
