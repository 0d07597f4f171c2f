/** 19xx, continued: folders as Hugging Face writes them. */
import { define, type Said } from '../define.ts'

export const unknownArchitecture = define(
  'TFM1910',
  {
    title: 'no architecture for this config.json',
    explain:
      'With --hf the model is found by `model_type` and by the class in `architectures`, among the folders of examples/ that have an architecture.json.',
    example: 'tfmc generate --hf folder, whose config.json says { "model_type": "lama" }',
  },
  (message: string, known: readonly string[], near?: string): Said => ({
    message,
    ...(near === undefined ? {} : { fix: near }),
    help: `${known.length > 0 ? `known are ${known.join(', ')}; ` : ''}docs/hugging-face.md says how to add one, without TypeScript`,
  }),
)

export const badArchitecture = define(
  'TFM1911',
  {
    title: 'an architecture.json cannot be used',
    explain: 'It says which models of the model.tfm beside it stand for which classes, and how fields of config.json are dealt with.',
    example: '{ "model_type": ["llama"], "architectures": { "LlamaForCausalLM": 1 } }',
  }, // prettier-ignore
  (file: string, what: string) => `${file}: ${what}`,
)

export const configField = define(
  'TFM1912',
  {
    title: 'a field of config.json is not dealt with',
    explain: 'Each field must be read by the model, have a value that the model stands for, or be known not to matter: else this may be another model.',
    example: 'a config.json of GPT-2 with "scale_attn_by_inverse_layer_idx": true',
  }, // prettier-ignore
  (file: string, field: string, value: string, why: string): Said => ({
    message: `${file}: "${field}" is ${value}, and ${why}`,
    help: 'write the model out with `tfmc init --hf <folder> -o <dir>`, deal with the field in its model.tfm and architecture.json, and go on with `<dir>/model.tfm --hf <folder>`',
  }),
)

export const badFolder = define(
  'TFM1913',
  {
    title: 'a folder of Hugging Face lacks something',
    explain: 'Read are config.json, model.safetensors or its index and shards, tokenizer.json and, where there are, the other configurations.',
    example: 'tfmc generate --hf folder, which holds pytorch_model.bin only',
  }, // prettier-ignore
  (message: string, help?: string): Said => ({ message, ...(help === undefined ? {} : { help }) }),
)

export const badChat = define(
  'TFM1914',
  {
    title: 'the chat template cannot be used',
    explain: '--chat renders chat_template.jinja, or the chat_template of tokenizer_config.json, with the messages.',
    example: 'tfmc generate --hf folder --chat --prompt Hi, for a model that was not trained on chats',
  },
  (message: string, help?: string): Said => ({ message, ...(help === undefined ? {} : { help }) }),
)

export const notTied = define(
  'TFM1916',
  {
    title: 'weights are not tied as config.json says',
    explain: 'tie_word_embeddings true makes a head equal to the table of embeddings; without it the head must be in the file. Else this may be another model.',
    example: 'a config.json of Llama with "tie_word_embeddings": false, and a model.safetensors without lm_head.weight',
  }, // prettier-ignore
  (message: string, help: string): Said => ({ message, help }),
)

export const tiedButStored = define(
  'TFM1917',
  {
    title: 'weights that config.json ties differ in the file',
    explain: 'Both are used as they are in the file, as transformers 5 does; earlier versions take the table of embeddings for both.',
    example: 'a config.json of Gemma with "tie_word_embeddings": true, and a model.safetensors with an lm_head.weight of its own',
    severity: 'warning',
  }, // prettier-ignore
  (message: string): Said => ({
    message,
    help: 'as in transformers 5 both are used as they are stored; say "tie_word_embeddings": false in config.json if that is meant',
  }),
)

export const cannotTask = define(
  'TFM1915',
  {
    title: 'the model cannot do this task',
    explain: 'Each --task needs an output in its form: hidden states to embed, logits with labels to classify, logits of the vocabulary to fill masks.',
    example: 'tfmc run --hf gpt2 --task fill-mask --text "a [MASK]"',
  }, // prettier-ignore
  (model: string, task: string, why: string): Said => ({ message: `${model} cannot ${task}: ${why}` }),
)
