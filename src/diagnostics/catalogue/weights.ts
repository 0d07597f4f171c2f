/** 19xx: files with weights, configs and tokenizers; 20xx: what compiled modules say while they run, in words of their own. */
import { define } from '../define.ts'

export const weightsUnreadable = define(
  'TFM1901',
  {
    title: 'weights cannot be read',
    explain: 'The file, URL or stream that was named does not exist, is refused, or broke off.',
    example: 'tfmc run model.tfm --weights missing.safetensors',
  },
  (message: string) => message,
)

export const weightsMalformed = define(
  'TFM1902',
  {
    title: 'not a valid safetensors file',
    explain:
      'The header is checked before anything in the file is believed: sizes, dtypes, shapes and offsets must agree.',
    example: 'tfmc info page.html',
  },
  (file: string, what: string) => `${file} is not a valid safetensors file: ${what}; download or export it again`,
)

export const weightsTruncated = define(
  'TFM1903',
  {
    title: 'a safetensors file is truncated',
    explain: 'The file ends before the data that its header promises.',
    example: 'tfmc run model.tfm --weights half-downloaded.safetensors',
  },
  (file: string, tensor: string) => `${file} ends within ${tensor}; download it again`,
)

export const weightsDtype = define(
  'TFM1904',
  {
    title: 'stored values do not fit',
    explain: 'Integers become i32 and must be in its range; dtypes without exact meaning here are not read.',
    example: 'a tensor of dtype F8_E4M3, or 4294967296 in one of dtype I64',
  },
  (tensor: string, what: string) => ({ message: `tensor ${tensor} ${what}`, fix: 'convert it when exporting' }),
)

export const weightsMismatch = define(
  'TFM1905',
  {
    title: 'weights do not fit the model',
    explain:
      'Each tensor that the model declares must be there in its shape, and each one there must be declared or ignored.',
    example: 'tfmc run gpt2.tfm --set layers=6 --weights gpt2-12-layers.safetensors',
  },
  (message: string) => message,
)

export const weightsNotFinite = define(
  'TFM1906',
  {
    title: 'weights hold NaN or infinities',
    explain: 'They are used as they are, and usually spread to every output.',
    example: 'a checkpoint of a training run that diverged',
    severity: 'warning',
  },
  (tensor: string, count: number, of: number) => `${tensor}: ${count} of ${of} weights are NaN or infinite`,
)

export const weightsIndex = define(
  'TFM1907',
  {
    title: 'not an index of shards',
    explain: 'A `*.index.json` must be JSON whose `weight_map` names files that lie beside it.',
    example: '{ "weight_map": { "wte.weight": "../other/model.safetensors" } }',
  },
  (message: string) => message,
)

export const quantisedParts = define(
  'TFM1918',
  {
    title: 'a quantised tensor is not whole',
    explain:
      'The parts of a quantised tensor (`:q8` or `:q4`, `:scale`, `:zero`) must lie in one file, in the dtypes and shapes that docs/quantisation.md says.',
    example: 'a file with `wte.weight:q8` and no `wte.weight:scale`',
  },
  (message: string) => message,
)

export const cannotQuantise = define(
  'TFM1919',
  {
    title: 'weights cannot be quantised',
    explain:
      'What is quantised must be finite floats that are not quantised yet, and there must be matrices that are summed over.',
    example: 'tfmc quantize model.tfm --weights diverged.safetensors --to int8',
  },
  (what: string, fix?: string) => ({ message: what, ...(fix === undefined ? {} : { fix }) }),
)

export const badConfig = define(
  'TFM1908',
  {
    title: 'a config.json cannot be used',
    explain: 'It must be a JSON object, and what hyperparameters are bound to in it must be numbers, booleans or null.',
    example: '{ "n_embd": "wide" }',
  },
  (file: string, what: string) => `${file}: ${what}`,
)

export const badTokenizer = define(
  'TFM1909',
  {
    title: 'a tokenizer cannot be used',
    explain: 'It must be a tokenizer.json of a supported kind, and must know all of the text that it is given.',
    example: 'tfmc generate model.tfm --tokenizer vocab.txt',
  },
  (file: string, what: string) => `${file}: ${what}`,
)

export const badSampling = define(
  'TFM2020',
  {
    title: 'options of generation out of range',
    explain:
      'temperature is 0 or more, topK 1 or more, topP above 0 and at most 1, minP from 0 to 1; repetitionPenalty is above 0, noRepeatNgramSize and numBeams are whole numbers, numReturnSequences is at least 1, and at most numBeams in a beam search. See docs/generation.md.',
    example: 'tfmc generate model.tfm --top-p 2',
  },
  (message: string) => message,
)

export const emptyPrompt = define(
  'TFM2021',
  {
    title: 'the prompt is empty',
    explain: 'The first logits need at least one token before them.',
    example: 'model.generate([])',
  },
  () => 'the prompt is empty; give at least one token id',
)

export const unequalPrompts = define(
  'TFM2023',
  {
    title: 'prompts of different lengths',
    explain:
      'Rows of a batch are padded on the left, which the model must know of: through an input `start: i32[B]`, the number of pads of each row. Without it only prompts of one length can go side by side.',
    example: 'model.generateBatch([[1, 2, 3], [4]])',
  },
  (message: string) => message,
)

export const noLogit = define(
  'TFM2022',
  {
    title: 'nothing to sample from',
    explain:
      'Every logit is NaN or -Infinity: because of NaN in weights or inputs, or because options such as suppressTokens leave nothing.',
    example: 'weights of a training run that diverged',
  },
  () => 'every logit is NaN or -Infinity; look for NaN in weights and inputs',
)

export const tooManyPositions = define(
  'TFM2006',
  {
    title: 'more positions than the model has',
    explain: 'Past and new positions together may not exceed what the conditions on the sequence axis allow.',
    example: 'a prompt of 2000 tokens for a model with a context of 1024',
  },
  (past: number, added: number, most: number) => `${past} past and ${added} new positions, at most ${most}`,
)

export const notCallable = define(
  'TFM2007',
  {
    title: 'this cannot be called now',
    explain:
      'The model has no such program, has been disposed of, or has already taken what is given once per sequence.',
    example: 'model.step(…) after model.dispose()',
  },
  (message: string) => message,
)
