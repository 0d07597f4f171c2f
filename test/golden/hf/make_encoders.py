"""Golden data of encoders, encoder-decoders, vision and audio models: tiny random models of Hugging Face `transformers`.

    python3 make_encoders.py [case ...]
    python3 make_encoders.py published

writes, beside this file and for each case, config.json, model.safetensors (the names that `save_pretrained` writes; the tensors of all classes in
one file, its metadata say which of them a class lacks) and io.safetensors (`in.NAME`, `out.CLASS.NAME`; outputs in float64 from weights rounded to float32, stored as float32).
Every parameter is random, norms and biases too, so that none can be left out unnoticed. Made with torch 2.13 and transformers 5.18.
"""
import copy
import hashlib
import json
import os
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent
CASES = {}


def case(name):
    return lambda make: CASES.setdefault(name, make)


def generator(name):
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little"))


def fill(model, prefix, spread=0.25):
    """The same values for a parameter of the same name in every class; gains lie around 1."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            key = name.removeprefix(prefix)
            noise = torch.randn(p.shape, generator=generator(key))
            gain = p.dim() == 1 and "norm" in key.lower() and key.endswith("weight")
            p.copy_(1 + 0.3 * noise if gain else spread * noise)
        for name, b in model.named_buffers():
            if name.endswith("logits_bias"):
                b.copy_(torch.randn(b.shape, generator=generator(name)))
    model.tie_weights()
    # One table for both sides even where the head has its own.
    if hasattr(model, "shared"):
        for side in (model.encoder, getattr(model, "decoder", None)):
            if side is not None:
                side.embed_tokens.weight = model.shared.weight
    return model.eval()


def published(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        return load_file(pathlib.Path(folder) / "model.safetensors"), config


def floats(name, *shape):
    return torch.randn(shape, generator=generator(name))


def ids(name, high, *shape, low=2):
    return torch.randint(low, high, shape, generator=generator(name))


def results(out, wanted):
    return {ours: out[theirs] for ours, theirs in (wanted if isinstance(wanted, dict) else {n: n for n in wanted}).items()}


def write(name, config, classes, inputs, keep, spread=0.25, extra=None):
    """`classes`: class -> names of outputs, or our name -> theirs, or a function from the model and its inputs to outputs; `keep`: their name of an input -> ours."""
    weights, outs, held, saved_config = {}, {}, {}, None
    for class_name, wanted in classes.items():
        cls = getattr(transformers, class_name)
        config._attn_implementation = "eager"
        prefix = cls.base_model_prefix + "."
        labelled = copy.deepcopy(config)
        if "QuestionAnswering" in class_name:
            labelled.num_labels = 2
        model = fill(cls(labelled), prefix, spread)
        state, saved = published(model)
        saved_config = saved_config or saved
        held[class_name] = []
        for key, value in state.items():
            other = next((k for k in (key, prefix + key, key.removeprefix(prefix)) if k in weights), None)
            held[class_name].append(other or key)
            if other is None:
                weights[key] = value.contiguous()
            else:
                assert torch.equal(weights[other], value), (class_name, key)
        model = model.double()
        given = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
        with torch.no_grad():
            got = wanted(model, given) if callable(wanted) else results(model(**given), wanted)
        for key, value in got.items():
            outs[f"out.{class_name}.{key}"] = value.float() if value.is_floating_point() else value
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    saved_config["architectures"] = list(classes)[:1]
    (folder / "config.json").write_text(json.dumps(saved_config, indent=1) + "\n")
    about = {"torch": torch.__version__, "transformers": transformers.__version__}
    without = {c: " ".join(k for k in weights if k not in names) for c, names in held.items()}
    save_file(weights, folder / "model.safetensors", metadata=without)
    given = {f"in.{keep.get(k, k)}": v for k, v in inputs.items()}
    contiguous = {k: v.contiguous() for k, v in {**given, **outs}.items()}
    save_file(contiguous, folder / "io.safetensors", metadata=about)
    size = sum(os.path.getsize(folder / f) for f in os.listdir(folder))
    print(f"{name}: {len(weights)} tensors, {size} bytes")


TINY = dict(
    vocab_size=97, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=37,
    max_position_embeddings=16, id2label={0: "a", 1: "b", 2: "c"},
)
# Padding on the right, and on the left.
MASK = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1, 1, 1, 1]])
KEEP = {"input_ids": "ids", "decoder_input_ids": "decoder_ids"}


def text(**more):
    return {"input_ids": ids("ids", 97, 2, 9), "attention_mask": MASK, **more}


@case("bert")
def bert():
    config = transformers.BertConfig(**TINY, layer_norm_eps=1e-5)
    write("bert", config, {
        "BertForPreTraining": {"logits": "prediction_logits", "seq_relationship_logits": "seq_relationship_logits"},
        "BertModel": ["last_hidden_state", "pooler_output"],
        "BertForMaskedLM": ["logits"],
        "BertForNextSentencePrediction": {"seq_relationship_logits": "logits"},
        "BertForSequenceClassification": ["logits"],
        "BertForTokenClassification": ["logits"],
        "BertForQuestionAnswering": ["start_logits", "end_logits"],
    }, text(token_type_ids=TYPES), KEEP)


def padded(pad):
    given = text()
    return {**given, "input_ids": torch.where(MASK == 1, given["input_ids"], pad)}


@case("roberta")
def roberta():
    config = transformers.RobertaConfig(**TINY, layer_norm_eps=1e-5, type_vocab_size=1, pad_token_id=1)
    write("roberta", config, {
        "RobertaForMaskedLM": ["logits"],
        "RobertaModel": ["last_hidden_state", "pooler_output"],
        "RobertaForSequenceClassification": ["logits"],
        "RobertaForTokenClassification": ["logits"],
        "RobertaForQuestionAnswering": ["start_logits", "end_logits"],
    }, padded(1), KEEP)


@case("distilbert")
def distilbert():
    config = transformers.DistilBertConfig(
        vocab_size=97, dim=24, n_layers=2, n_heads=3, hidden_dim=37, max_position_embeddings=16, id2label=TINY["id2label"]
    )
    write("distilbert", config, {
        "DistilBertForMaskedLM": ["logits"],
        "DistilBertModel": ["last_hidden_state"],
        "DistilBertForSequenceClassification": ["logits"],
        "DistilBertForTokenClassification": ["logits"],
        "DistilBertForQuestionAnswering": ["start_logits", "end_logits"],
    }, text(), KEEP)


def seq2seq(model, given, source=("input_ids", "attention_mask"), start=0, steps=6):
    """Logits of given targets, and the ids that greedy decoding without a cache gives."""
    out = model(**given)
    source = {k: given[k] for k in source if k in given}
    greedy = torch.full((len(next(iter(source.values()))), 1), start)
    for _ in range(steps):
        last = model(**source, decoder_input_ids=greedy).logits[:, -1]
        greedy = torch.cat([greedy, last.argmax(-1, keepdim=True)], 1)
    return {"logits": out.logits, "memory": out.encoder_last_hidden_state, "greedy": greedy}


softmax = torch.nn.functional.softmax
# Some attentions ask for float32 whatever the model is in.
torch.nn.functional.softmax = lambda x, dim=None, dtype=None, **more: softmax(x, dim=dim, **more)


def exact_rms(self, x):
    """T5's own takes the mean of squares in float32 whatever the model is in."""
    return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)


transformers.models.t5.modeling_t5.T5LayerNorm.forward = exact_rms

# Longer than the distance from which all are alike.
LONG = torch.tensor([[1] * 17, [0] * 2 + [1] * 15])


@case("t5")
def t5(name="t5", **more):
    config = transformers.T5Config(
        vocab_size=61, d_model=24, d_kv=6, d_ff=37, num_layers=2, num_decoder_layers=1, num_heads=3,
        relative_attention_num_buckets=8, relative_attention_max_distance=12, **more,
    )
    config.tie_word_embeddings = more.get("tie_word_embeddings", True)
    given = {"input_ids": ids("ids", 61, 2, 17), "attention_mask": LONG, "decoder_input_ids": ids("decoder", 61, 2, 14)}
    write(name, config, {
        "T5ForConditionalGeneration": seq2seq,
        "T5EncoderModel": lambda m, g: {"memory": m(g["input_ids"], g["attention_mask"]).last_hidden_state},
    }, given, KEEP)


@case("t5-gated")
def t5_gated():
    t5("t5-gated", feed_forward_proj="gated-gelu", tie_word_embeddings=False)


@case("vit")
def vit():
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=37, image_size=[12, 20], patch_size=4,
        layer_norm_eps=1e-5, hidden_act="gelu_pytorch_tanh", id2label=TINY["id2label"],
    )
    write("vit", config, {
        "ViTForImageClassification": ["logits"],
        "ViTModel": ["last_hidden_state", "pooler_output"],
    }, {"pixel_values": floats("pixels", 2, 3, 12, 20)}, KEEP)


@case("whisper")
def whisper():
    config = transformers.WhisperConfig(
        vocab_size=61, num_mel_bins=10, d_model=24, encoder_layers=2, encoder_attention_heads=3, encoder_ffn_dim=37,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=29, max_source_positions=11, max_target_positions=16,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
    )
    given = {"input_features": floats("mel", 2, 10, 22), "decoder_input_ids": ids("decoder", 61, 2, 9)}
    write("whisper", config, {
        "WhisperForConditionalGeneration": lambda m, g: seq2seq(m, g, ("input_features",), start=1),
    }, given, KEEP)


TYPES = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 1, 1, 1]])


@case("mpnet")
def mpnet():
    config = transformers.MPNetConfig(**{**TINY, "max_position_embeddings": 20}, layer_norm_eps=1e-5)
    given = {"input_ids": torch.where(LONG == 1, ids("ids", 97, 2, 17), 1), "attention_mask": LONG}
    write("mpnet", config, {
        "MPNetForMaskedLM": ["logits"],
        "MPNetModel": ["last_hidden_state", "pooler_output"],
        "MPNetForSequenceClassification": ["logits"],
    }, given, KEEP)


@case("electra")
def electra():
    config = transformers.ElectraConfig(**TINY, embedding_size=16, layer_norm_eps=1e-5)
    write("electra", config, {
        "ElectraForPreTraining": ["logits"],
        "ElectraModel": ["last_hidden_state"],
        "ElectraForMaskedLM": ["logits"],
        "ElectraForSequenceClassification": ["logits"],
        "ElectraForTokenClassification": ["logits"],
        "ElectraForQuestionAnswering": ["start_logits", "end_logits"],
    }, text(token_type_ids=TYPES), KEEP)


@case("albert")
def albert():
    config = transformers.AlbertConfig(**{**TINY, "num_hidden_layers": 4}, num_hidden_groups=2, embedding_size=16, layer_norm_eps=1e-5)
    write("albert", config, {
        "AlbertForPreTraining": {"logits": "prediction_logits", "sop_logits": "sop_logits"},
        "AlbertModel": ["last_hidden_state", "pooler_output"],
        "AlbertForMaskedLM": ["logits"],
        "AlbertForSequenceClassification": ["logits"],
        "AlbertForTokenClassification": ["logits"],
        "AlbertForQuestionAnswering": ["start_logits", "end_logits"],
    }, text(token_type_ids=TYPES), KEEP)


@case("bart")
def bart():
    config = transformers.BartConfig(
        vocab_size=61, d_model=24, encoder_layers=2, encoder_attention_heads=3, encoder_ffn_dim=37, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=29, max_position_embeddings=16, scale_embedding=True, pad_token_id=1,
        bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2,
    )

    given = {**text(), "input_ids": ids("ids", 61, 2, 9), "decoder_input_ids": ids("decoder", 61, 2, 8)}
    write("bart", config, {
        "BartForConditionalGeneration": lambda m, g: seq2seq(m, g, start=2),
        "BartModel": lambda m, g: {"last_hidden_state": m(**g).last_hidden_state},
    }, given, KEEP)


@case("modernbert")
def modernbert(name="modernbert", **more):
    config = transformers.ModernBertConfig(
        **TINY, local_attention=6, global_attn_every_n_layers=2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        cls_token_id=1, sep_token_id=2, **more,
    )
    write(name, config, {
        "ModernBertForMaskedLM": ["logits"],
        "ModernBertModel": ["last_hidden_state"],
        "ModernBertForSequenceClassification": ["logits"],
        "ModernBertForTokenClassification": ["logits"],
    }, text(), KEEP)


@case("clip")
def clip():
    small = dict(hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=37)
    config = transformers.CLIPConfig(
        text_config=dict(**small, vocab_size=61, max_position_embeddings=16, eos_token_id=5, bos_token_id=3, pad_token_id=1),
        vision_config=dict(**{**small, "hidden_size": 16, "num_attention_heads": 2}, image_size=12, patch_size=4, hidden_act="gelu"),
        projection_dim=20,
    )
    given = {**text(), "input_ids": ids("ids", 61, 2, 9, low=6), "pixel_values": floats("pixels", 3, 3, 12, 12)}
    given["input_ids"][0, 4] = given["input_ids"][0, 6] = given["input_ids"][1, 8] = 5
    write("clip", config, {
        "CLIPModel": ["logits_per_image", "text_embeds", "image_embeds"],
    }, given, KEEP)


def count():
    """Numbers of the models of published configurations, and what each configuration says by default."""
    path = HERE / "published-encoders.json"
    found = json.loads(path.read_text())
    for name, about in found.items():
        fields = copy.deepcopy(about["config"])
        config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
        with torch.device("meta"):
            model = getattr(transformers, fields["architectures"][0])(config)
        model.tie_weights()
        stored = [b for n, b in model.named_buffers() if n.endswith("logits_bias")]
        about["numbers"] = sum(p.numel() for p in [*model.parameters(), *stored])
        about["defaults"] = json.loads(type(config)().to_json_string(use_diff=False))
    rows = [f" {json.dumps(name)}: {json.dumps(about)}" for name, about in found.items()]
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["published"]:
        count()
        sys.exit()
    for name in sys.argv[1:] or CASES:
        CASES[name]()
