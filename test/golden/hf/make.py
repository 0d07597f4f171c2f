"""Golden data of decoder language models: tiny random models of Hugging Face `transformers`.

    python3 make.py [case ...]

writes, beside this file and for each case, config.json and model.safetensors as `save_pretrained` does, and io.safetensors:
`in.ids`, `out.logits`, and for a batch that is padded on the left `in.padded_ids`, `in.start` (pads of each row), `out.padded_logits` (0 at the pads).
Every parameter is random, norms and biases too, so that none can be left out unnoticed. Computed in float64 with eager attention from weights
rounded to float32, apart from rotary angles, which transformers computes in float32; outputs are rounded to float32.
Made with torch 2.13 and transformers 5.18.

    python3 make.py published

counts, in published.json, the numbers of the models that configurations of published checkpoints describe.
"""
import copy
import hashlib
import inspect
import json
import os
import pathlib
import sys
import tempfile

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent
B, T, START = 2, 9, [3, 0]
TINY = dict(
    vocab_size=97, hidden_size=32, intermediate_size=28, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=16, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
NO_GROUPS = {k: v for k, v in TINY.items() if k != "num_key_value_heads"}
LLAMA3 = dict(
    rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
YARN = dict(
    rope_type="yarn", rope_theta=150.0, factor=32.0, beta_fast=8.0, beta_slow=1.0, truncate=False,
    original_max_position_embeddings=64,
)
OPT = dict(vocab_size=97, hidden_size=32, ffn_dim=28, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=16)
FALCON = dict(vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_hidden_size=28)
STABLELM = dict(use_qkv_bias=True, partial_rotary_factor=0.25)
# case -> (class, configuration, attention)
CASES = {
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=16, n_inner=28)),
    "gpt_neox": (hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig(**NO_GROUPS, rotary_pct=0.25)),
    "gpt_neox-serial": (
        hf.GPTNeoXForCausalLM,
        hf.GPTNeoXConfig(**NO_GROUPS, rotary_pct=1.0, use_parallel_residual=False, attention_bias=False, hidden_act="gelu_fast"),
    ),
    "opt": (hf.OPTForCausalLM, hf.OPTConfig(**OPT)),
    "opt-postnorm": (
        hf.OPTForCausalLM, hf.OPTConfig(**OPT, do_layer_norm_before=False, word_embed_proj_dim=12, activation_function="gelu"),
    ),
    "bloom": (hf.BloomForCausalLM, hf.BloomConfig(vocab_size=97, hidden_size=24, n_layer=2, n_head=6)),
    "falcon": (hf.FalconForCausalLM, hf.FalconConfig(**FALCON)),
    "falcon-new": (hf.FalconForCausalLM, hf.FalconConfig(**FALCON, new_decoder_architecture=True, num_kv_heads=2)),
    # Eager attention of transformers adds ALiBi twice; its attention by scaled_dot_product_attention is right.
    "falcon-alibi": (
        hf.FalconForCausalLM, hf.FalconConfig(**FALCON, alibi=True, multi_query=False, parallel_attn=False, bias=True), "sdpa",
    ),
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig(**TINY, rope_parameters=LLAMA3, head_dim=12)),
    "llama-linear": (
        hf.LlamaForCausalLM,
        hf.LlamaConfig(
            **TINY, tie_word_embeddings=True, attention_bias=True, mlp_bias=True,
            rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0),
        ),
    ),
    "mistral": (hf.MistralForCausalLM, hf.MistralConfig(**TINY, sliding_window=3)),
    "mixtral": (
        hf.MixtralForCausalLM,
        hf.MixtralConfig(**{**TINY, "intermediate_size": 12}, num_local_experts=4, num_experts_per_tok=2),
    ),
    "qwen2": (
        hf.Qwen2ForCausalLM,
        hf.Qwen2Config(**{**TINY, "num_hidden_layers": 3}, use_sliding_window=True, sliding_window=3, max_window_layers=1),
    ),
    "qwen3": (hf.Qwen3ForCausalLM, hf.Qwen3Config(**TINY, head_dim=12, tie_word_embeddings=True)),
    "gemma": (hf.GemmaForCausalLM, hf.GemmaConfig(**TINY, head_dim=12)),
    "gemma2": (
        hf.Gemma2ForCausalLM,
        hf.Gemma2Config(
            **{**TINY, "num_hidden_layers": 3}, head_dim=12, query_pre_attn_scalar=20, sliding_window=3,
            attn_logit_softcapping=1.5, final_logit_softcapping=3.0,
        ),
    ),
    "phi": (hf.PhiForCausalLM, hf.PhiConfig(**TINY, partial_rotary_factor=0.5, qk_layernorm=True)),
    "gpt_oss": (
        hf.GptOssForCausalLM,
        hf.GptOssConfig(
            **{**TINY, "intermediate_size": 10}, head_dim=12, num_local_experts=4, num_experts_per_tok=2, sliding_window=3,
            rope_parameters=YARN,
        ),
    ),
    "olmo2": (hf.Olmo2ForCausalLM, hf.Olmo2Config(**TINY)),
    "stablelm": (hf.StableLmForCausalLM, hf.StableLmConfig(**TINY, **STABLELM)),
    "stablelm-parallel": (
        hf.StableLmForCausalLM, hf.StableLmConfig(**TINY, **STABLELM, qk_layernorm=True, use_parallel_residual=True),
    ),
    "phi3": (hf.Phi3ForCausalLM, hf.Phi3Config(**TINY, sliding_window=3, partial_rotary_factor=0.5)),
    "gemma3_text": (
        hf.Gemma3ForCausalLM,
        hf.Gemma3TextConfig(
            **{**TINY, "num_hidden_layers": 3}, head_dim=12, query_pre_attn_scalar=20, sliding_window=3, sliding_window_pattern=2,
            rope_parameters=dict(
                full_attention=dict(rope_type="linear", rope_theta=300.0, factor=2.0),
                sliding_attention=dict(rope_type="default", rope_theta=50.0),
            ),
        ),
    ),
    "gptj": (
        hf.GPTJForCausalLM, hf.GPTJConfig(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=16, n_inner=28, rotary_dim=4),
    ),
    "qwen3_moe": (
        hf.Qwen3MoeForCausalLM,
        hf.Qwen3MoeConfig(
            **TINY, moe_intermediate_size=10, num_experts=4, num_experts_per_tok=2, decoder_sparse_step=2, head_dim=12,
        ),
    ),
    "granite": (
        hf.GraniteForCausalLM,
        hf.GraniteConfig(
            **TINY, embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.4, logits_scaling=1.5,
            tie_word_embeddings=True,
        ),
    ),
    "cohere": (hf.CohereForCausalLM, hf.CohereConfig(**TINY, logit_scale=0.7, use_qk_norm=True)),
    "smollm3": (hf.SmolLM3ForCausalLM, hf.SmolLM3Config(**TINY, no_rope_layer_interval=2)),
    "mpt": (
        hf.MptForCausalLM,
        hf.MptConfig(vocab_size=97, d_model=24, n_heads=6, n_layers=2, attn_config=dict(clip_qkv=1.5)),
    ),
    "gpt_bigcode": (
        hf.GPTBigCodeForCausalLM, hf.GPTBigCodeConfig(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=16, n_inner=28),
    ),
    "starcoder2": (hf.Starcoder2ForCausalLM, hf.Starcoder2Config(**TINY, sliding_window=3)),
}


def keep_float64():
    """Attention asks for a softmax in float32; masked rows of padding, filled with the least float64, would become NaN there and spread."""
    softmax = torch.nn.functional.softmax

    def wide(x, dim=None, _stacklevel=3, dtype=None):
        return softmax(x, dim=dim, dtype=None if x.dtype == torch.float64 else dtype)

    torch.nn.functional.softmax = wide


def generator(name):
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little"))


def fill(model):
    """Matrices that keep the size of what they are applied to, gains around what they start at, other vectors small."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator(name))
            if "embed" in name or "wte" in name or "wpe" in name:
                p.copy_(0.5 * noise)
            elif p.dim() > 1:
                inward = p.shape[-2] if p.shape[-1] > p.shape[-2] and p.dim() == 3 else p.shape[-1]
                p.copy_(1.2 * inward**-0.5 * noise)
            elif name.endswith("bias"):
                p.copy_(0.2 * noise)
            else:
                p.copy_(noise if name.endswith("sinks") else p + 0.3 * noise)
    model.tie_weights()
    return model.eval()


def write(name, cls, config, attention="eager"):
    config._attn_implementation, config._experts_implementation = attention, "eager"
    model = fill(cls(config))
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        (folder / "config.json").write_text((pathlib.Path(saved) / "config.json").read_text() + "\n")
        weights = load_file(pathlib.Path(saved) / "model.safetensors")
    save_file({k: v.float().contiguous() for k, v in weights.items()}, folder / "model.safetensors")
    model = model.double()
    ids = torch.randint(3, 97, (B, T), generator=generator("ids"))
    start = torch.tensor(START)
    keep = (torch.arange(T)[None] >= start[:, None]).long()
    positions = (keep.cumsum(-1) - 1).clamp(min=0)
    padded = torch.where(keep == 1, ids, 0)
    given = {"input_ids": padded, "attention_mask": keep}
    if "position_ids" in inspect.signature(cls.forward).parameters:
        given["position_ids"] = positions
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        padded_logits = model(**given).logits
        if padded_logits.isnan().any():
            # MPT turns masked scores into float32, where the least float64 is no number.
            padded_logits = model.float()(**given).logits
    padded_logits = padded_logits * keep[..., None]
    io = {
        "in.ids": ids, "out.logits": logits.float(),
        "in.padded_ids": padded, "in.start": start, "out.padded_logits": padded_logits.float(),
    }
    about = {"torch": torch.__version__, "transformers": hf.__version__}
    save_file({k: v.contiguous() for k, v in io.items()}, folder / "io.safetensors", metadata=about)
    size = sum(os.path.getsize(folder / f) for f in os.listdir(folder))
    flat = logits.std(dim=-1)
    print(f"{name}: {len(weights)} tensors, {size} bytes, logits {flat.min():.2f} … {flat.max():.2f}")
    return weights


def count():
    """Tied weights count once. The configurations are as published (fields that only name files or authors are left out)."""
    path = HERE / "published.json"
    found = json.loads(path.read_text())
    for about in found.values():
        fields = copy.deepcopy(about["config"])
        config = hf.AutoConfig.for_model(fields.pop("model_type"), **fields)
        with torch.device("meta"):
            model = getattr(hf, fields["architectures"][0].replace("MPT", "Mpt"))(config)
        about["numbers"] = sum(p.numel() for p in model.parameters())
    rows = [f" {json.dumps(name)}: {json.dumps(about)}" for name, about in found.items()]
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["published"]:
        count()
        sys.exit()
    keep_float64()
    for name in sys.argv[1:] or CASES:
        torch.manual_seed(0)
        found = write(name, *CASES[name])
        if len(sys.argv) > 1:
            print(json.dumps({k: list(v.shape) for k, v in found.items()}, indent=1))
