/**
 * Fields of configurations that never change what a network computes, whatever the architecture, each group with the reason. `*` stands for
 * any characters. A field that changes the numbers of some architectures, even if only by a value that nobody uses, does not belong here.
 */
export const neutral: readonly (readonly [reason: string, fields: readonly string[]])[] = [
  [
    'where it came from and which program wrote it',
    [
      'model_type', 'architectures', 'transformers_version', '_name_or_path', 'name_or_path', 'auto_map', 'tokenizer_class', 'processor_class',
      '_commit_hash', '_diffusers_version', 'transformers.js_config', 'unsloth_*', 'finetuning_task', 'task_specific_params', 'license',
      'vocab_file', 'tokenizer_name',
    ],
  ],
  [
    'how numbers are stored and kernels chosen; everything here is computed in f32',
    [
      'torch_dtype', 'dtype', 'use_bfloat16', 'torchscript', 'use_flash_attn', 'use_flash_attention*', '_attn_implementation*',
      'attn_implementation', '_flash_attn_2_enabled', 'use_memory_efficient_attention', 'low_cpu_mem_usage',
      'chunk_size_feed_forward', 'gradient_checkpointing*', 'use_gradient_checkpointing',
    ],
  ],
  [
    'what is handed back, and caches',
    ['use_cache', 'output_hidden_states', 'output_attentions', 'output_past', 'return_dict', 'keys_to_ignore_at_inference'],
  ],
  [
    'only used in training: dropout, initial values, losses',
    [
      '*dropout*', '*_pdrop', '*_drop', '*drop_path_rate', '*layerdrop*', '*drop_rate', 'initializer_range', 'initializer_factor',
      'init_std', '*_init_std', 'initializer_cutoff_factor', 'embedding_init_*', 'problem_type', 'label_smoothing', '*loss_coef',
      '*loss_reduction', '*loss_ignore_index', 'sparse_prediction', 'sparse_pred_ignore_index', 'repad_logits_with_grad', 'mask_time_*',
      'apply_spec_augment', 'mask_feature_*',
    ],
  ],
  ['names of labels', ['id2label', 'label2id', '_num_labels', 'num_labels']],
  [
    'token ids and lengths that only tokenizers and decoding use; a model that counts positions from the padding token reads it',
    [
      'bos_token_id', 'eos_token_id', 'pad_token_id', 'sep_token_id', 'cls_token_id', 'mask_token_id', 'unk_token_id', 'decoder_start_token_id',
      'forced_bos_token_id', 'forced_eos_token_id', 'bad_words_ids', 'suppress_tokens', 'begin_suppress_tokens', 'forced_decoder_ids',
      'tokenizer_*', 'model_max_length', 'chat_template', 'prefix',
    ],
  ],
  [
    'settings of decoding, which once lay in configurations: the network gives the same logits',
    [
      'do_sample', 'temperature', 'top_k', 'top_p', 'typical_p', 'min_p', 'repetition_penalty', 'length_penalty', 'diversity_penalty',
      'num_beams', 'num_beam_groups', 'num_return_sequences', 'early_stopping', 'no_repeat_ngram_size', 'encoder_no_repeat_ngram_size',
      'max_length', 'min_length', 'max_new_tokens', 'remove_invalid_values', 'exponential_decay_length_penalty',
      'return_dict_in_generate', 'output_scores', 'generation_config', 'force_bos_token_to_be_generated',
    ],
  ],
] // prettier-ignore

/**
 * What holds in every architecture unless its own `requires` or its model says otherwise: the field and the values that it may have.
 */
export const usual: Readonly<Record<string, readonly (null | boolean | string | object)[]>> = {
  is_encoder_decoder: [false],
  is_decoder: [false],
  add_cross_attention: [false],
  cross_attention_hidden_size: [null],
  tie_encoder_decoder: [false],
  pruned_heads: [{}],
}

const patterns = neutral.flatMap(([, fields]) => fields.map(globOf))

/** `*` stands for anything within a field name, `**` for anything. */
export function globOf(glob: string): RegExp {
  const literal = glob.replace(/[^\w*]/g, '\\$&')
  return new RegExp(`^${literal.replaceAll('**', '\0').replaceAll('*', '[^.]*').replaceAll('\0', '.*')}$`)
}

/** Whether a field at a dotted path is neutral: by its name, in the configuration or in one nested in it. */
export function isNeutral(path: string): boolean {
  const bare = ownName(path)
  const parts = bare.split('.')
  return parts.some((_, i) => patterns.some((p) => p.test(parts.slice(0, i + 1).join('.'))))
}

/** A field of a nested configuration, as it is called there. */
export const ownName = (path: string): string => path.replace(/^(?:\w+_config\.)+/, '')
