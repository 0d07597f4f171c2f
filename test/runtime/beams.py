"""Beam search of transformers over logits from a table: what follows a token depends on it and on the length. Prints beams.json."""
import json
import torch
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

V, STEPS = 12, 9


class Table(PreTrainedModel, GenerationMixin):
    config_class = PretrainedConfig

    def __init__(self, table):
        config = PretrainedConfig()
        config.vocab_size = V
        super().__init__(config)
        self.table = torch.nn.Parameter(table, requires_grad=False)

    def forward(self, input_ids, **_):
        length = input_ids.shape[1]
        return CausalLMOutput(logits=self.table[torch.arange(length)[None, :] % STEPS, input_ids])

    def prepare_inputs_for_generation(self, input_ids, **_):
        return {"input_ids": input_ids}


torch.manual_seed(7)
table = (torch.randn(STEPS, V, V) * 2).round(decimals=3)
model = Table(table)
cases = []
for options in [
    {},
    {"num_beams": 2, "num_return_sequences": 2},
    {"num_beams": 3, "num_return_sequences": 3, "length_penalty": 0.0},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 2.0, "early_stopping": "never"},
    {"num_beams": 4, "num_return_sequences": 4, "early_stopping": True},
    {"num_beams": 3, "num_return_sequences": 3, "eos_token_id": [3, 5]},
    {"num_beams": 3, "num_return_sequences": 3, "repetition_penalty": 1.7, "no_repeat_ngram_size": 2},
    {"num_beams": 3, "num_return_sequences": 2, "min_new_tokens": 4, "suppress_tokens": [1, 2]},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": -1.0},
    {"num_beams": 1, "repetition_penalty": 1.5},
    {"num_beams": 1, "no_repeat_ngram_size": 1},
    {"num_beams": 1, "no_repeat_ngram_size": 3, "min_new_tokens": 3},
]:
    for prompt in [[1], [4, 7, 4]]:
        all_options = {"num_beams": 4, "eos_token_id": 3, "max_new_tokens": 8, "pad_token_id": 0, **options}
        got = model.generate(
            torch.tensor([prompt]), generation_config=GenerationConfig(**all_options, use_cache=False),
            return_dict_in_generate=True, output_scores=True,
        )
        stops = torch.tensor(all_options["eos_token_id"]).reshape(-1).tolist()
        rows = []
        for sequence in got.sequences[:, len(prompt):].tolist():
            end = next((i for i, x in enumerate(sequence) if x in stops), len(sequence))
            rows.append(sequence[:end])
        case = {"prompt": prompt, "options": all_options, "ids": rows}
        if all_options["num_beams"] > 1:
            case["scores"] = got.sequences_scores.tolist()
        cases.append(case)
flat = [round(x, 3) for x in table.flatten().tolist()]
print(json.dumps({"vocab": V, "steps": STEPS, "table": flat, "cases": cases}))
