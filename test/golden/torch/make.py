"""Makes the cases of this folder: small random models computed by PyTorch in float64, rounded to float32.

python3 make.py   (needs torch, transformers, safetensors)
Each folder gets config.json, model.safetensors (float32, names as published or as in torch.nn) and io.safetensors (in.*, out.*).
"""
import json, math, pathlib, shutil, tempfile
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
import transformers
from transformers import MambaConfig, MambaForCausalLM, SwinConfig, SwinForImageClassification

here = pathlib.Path(__file__).resolve().parent
about = {"torch": torch.__version__, "transformers": transformers.__version__, "made_by": "make.py"}


def randomise(model, scale=1.0):
    """Weights for which nothing is degenerate: norms and biases are random too."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() >= 2:
                fan = p[0].numel()
                p.normal_(0, scale / math.sqrt(fan))
            elif "norm" in name or ".bn" in name or name.endswith(("D", "alpha")):
                p.normal_(1 if name.endswith(("weight", "D")) else 0, 0.2)
            else:
                p.normal_(0, 0.2)
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.normal_(0, 0.3)
            elif name.endswith("running_var"):
                b.uniform_(0.5, 1.5)
    # What is stored is float32; the truth is computed from what is stored.
    return model.float().double().eval()


def write(name, config, tensors, inputs, outputs):
    folder = here / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    keep = {k: v.detach().float().contiguous() for k, v in tensors.items() if v.is_floating_point()}
    save_file(keep, folder / "model.safetensors")
    io = {"in." + k: (v.float() if v.is_floating_point() else v.to(torch.int32)).contiguous() for k, v in inputs.items()}
    io |= {"out." + k: v.detach().float().contiguous() for k, v in outputs.items()}
    save_file(io, folder / "io.safetensors", metadata=about)
    print(name, sum(f.stat().st_size for f in folder.iterdir()), {k: tuple(v.shape) for k, v in outputs.items()},
          "rms", {k: round(v.pow(2).mean().sqrt().item(), 3) for k, v in outputs.items()})


def published(model):
    """The tensors under the names that save_pretrained writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(folder + "/model.safetensors")


def mamba():
    torch.manual_seed(1)
    config = MambaConfig(vocab_size=61, hidden_size=24, state_size=5, num_hidden_layers=2, conv_kernel=4, expand=2)
    model = MambaForCausalLM(config)
    with torch.no_grad():
        a_log = {n: p.clone() for n, p in model.named_parameters() if n.endswith("A_log")}
    randomise(model)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if n in a_log:
                p.copy_(a_log[n] + 0.3 * torch.randn_like(p)).copy_(p.float())
        ids = torch.randint(0, 61, (2, 11))
        logits = model(ids, use_cache=False).logits
    write("mamba", json.loads(config.to_json_string(use_diff=False)), published(model), {"ids": ids}, {"logits": logits})


def swin():
    torch.manual_seed(2)
    config = SwinConfig(image_size=32, patch_size=2, num_channels=3, embed_dim=8, depths=[2, 2], num_heads=[2, 4],
                        window_size=4, mlp_ratio=2.0, num_labels=5, drop_path_rate=0.0)
    model = randomise(SwinForImageClassification(config))
    with torch.no_grad():
        pixels = torch.randn(2, 3, 32, 32).double()
        pixels = pixels.float().double()
        logits = model(pixels).logits
    write("swin", json.loads(config.to_json_string(use_diff=False)), published(model), {"pixel_values": pixels}, {"logits": logits})


class Retention(nn.Module):
    """Multi-scale retention in its parallel form (Sun et al. 2023), without its rotation: (q kᵀ * decay) v, a group norm per head, a gate."""
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        for n in ("q_proj", "k_proj", "v_proj", "g_proj", "out_proj"):
            setattr(self, n, nn.Linear(d, d, bias=False))

    def forward(self, x):
        b, t, d = x.shape
        e = d // self.heads
        q, k, v = (p(x).view(b, t, self.heads, e).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        gamma = 1 - 2.0 ** (-5 - torch.arange(self.heads, dtype=x.dtype))
        i = torch.arange(t, dtype=x.dtype)
        distance = i[:, None] - i[None, :]
        decay = torch.where(distance >= 0, gamma[:, None, None] ** distance.clamp(min=0), torch.zeros((), dtype=x.dtype))
        y = (q @ k.transpose(-1, -2) * e ** -0.5 * decay) @ v
        y = F.layer_norm(y, (e,), eps=1e-6)
        y = y.transpose(1, 2).reshape(b, t, d)
        return self.out_proj(F.silu(self.g_proj(x)) * y)


class RetNet(nn.Module):
    def __init__(self, vocab, d, heads, ff, layers):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.layers = nn.ModuleList()
        for _ in range(layers):
            self.layers.append(nn.ModuleDict(dict(norm1=nn.LayerNorm(d), retention=Retention(d, heads), norm2=nn.LayerNorm(d),
                                                  fc1=nn.Linear(d, ff), fc2=nn.Linear(ff, d))))
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, vocab, bias=False)

    def forward(self, ids):
        x = self.embed(ids)
        for m in self.layers:
            x = x + m["retention"](m["norm1"](x))
            x = x + m["fc2"](F.gelu(m["fc1"](m["norm2"](x))))
        return self.head(self.norm(x))


def retnet():
    torch.manual_seed(3)
    config = dict(vocab_size=53, hidden_size=24, num_heads=3, intermediate_size=40, num_layers=2)
    model = randomise(RetNet(53, 24, 3, 40, 2))
    ids = torch.randint(0, 53, (2, 9))
    write("retnet", config, model.state_dict(), {"ids": ids}, {"logits": model(ids)})


class LinearAttention(nn.Module):
    """Causal linear attention with the feature map elu + 1 (Katharopoulos et al. 2020), in its quadratic form."""
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        for n in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, n, nn.Linear(d, d))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (p(x).view(b, t, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = F.elu(q) + 1, F.elu(k) + 1
        w = torch.tril(q @ k.transpose(-1, -2))
        y = w @ v / w.sum(-1, keepdim=True)
        return self.out_proj(y.transpose(1, 2).reshape(b, t, d))


def linear_attention():
    torch.manual_seed(4)
    model = randomise(LinearAttention(20, 4))
    x = torch.randn(2, 7, 20).double().float().double()
    write("linear-attention", dict(d=20, heads=4), model.state_dict(), {"x": x}, {"y": model(x)})


class WaveNet(nn.Module):
    """Dilated causal convolutions with gated units, residual and skip sums (van den Oord et al. 2016)."""
    def __init__(self, vocab, c, s, kernel, dilations):
        super().__init__()
        self.kernel, self.dilations = kernel, dilations
        self.embed = nn.Embedding(vocab, c)
        self.layers = nn.ModuleList()
        for dilation in dilations:
            self.layers.append(nn.ModuleDict(dict(conv=nn.Conv1d(c, 2 * c, kernel, dilation=dilation), res=nn.Conv1d(c, c, 1), skip=nn.Conv1d(c, s, 1))))
        self.out = nn.Conv1d(s, vocab, 1)

    def forward(self, ids):
        x = self.embed(ids).transpose(1, 2)
        skip = 0
        for dilation, m in zip(self.dilations, self.layers):
            f, g = m["conv"](F.pad(x, ((self.kernel - 1) * dilation, 0))).chunk(2, dim=1)
            h = torch.tanh(f) * torch.sigmoid(g)
            skip = skip + m["skip"](h)
            x = x + m["res"](h)
        return self.out(F.relu(skip)).transpose(1, 2)


def wavenet():
    torch.manual_seed(5)
    config = dict(vocab_size=31, channels=12, skip_channels=14, kernel_size=3, dilations=[1, 2, 4])
    model = randomise(WaveNet(31, 12, 14, 3, [1, 2, 4]))
    ids = torch.randint(0, 31, (2, 21))
    write("wavenet", config, model.state_dict(), {"ids": ids}, {"logits": model(ids)})


class MBConv(nn.Module):
    """Inverted residual with squeeze-and-excite (Tan & Le 2019; Howard et al. 2019)."""
    def __init__(self, c, wide, out, squeeze, kernel, stride):
        super().__init__()
        self.expand, self.bn1 = nn.Conv2d(c, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.depthwise, self.bn2 = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False), nn.BatchNorm2d(wide)
        self.se_reduce, self.se_expand = nn.Conv2d(wide, squeeze, 1), nn.Conv2d(squeeze, wide, 1)
        self.project, self.bn3 = nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)
        self.skip = stride == 1 and c == out

    def forward(self, x):
        h = F.hardswish(self.bn1(self.expand(x)))
        h = F.hardswish(self.bn2(self.depthwise(h)))
        s = h.mean((2, 3), keepdim=True)
        h = h * F.hardsigmoid(self.se_expand(F.relu(self.se_reduce(s))))
        h = self.bn3(self.project(h))
        return x + h if self.skip else h


class MobileNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
        self.blocks = nn.ModuleList([MBConv(6, 18, 6, 4, 3, 1), MBConv(6, 20, 10, 5, 5, 2)])
        self.classifier = nn.Linear(10, classes)

    def forward(self, x):
        x = F.hardswish(self.bn(self.stem(x)))
        for b in self.blocks:
            x = b(x)
        return self.classifier(x.mean((2, 3)))


def mobilenet():
    torch.manual_seed(6)
    model = randomise(MobileNet(7))
    x = torch.randn(2, 3, 17, 13).double().float().double()
    write("mobilenet", dict(classes=7), model.state_dict(), {"x": x}, {"logits": model(x)})


class Perceiver(nn.Module):
    """Learned latents that read the inputs by cross-attention, then attend to each other (Jaegle et al. 2021)."""
    def __init__(self, c, d, latents, heads, layers, classes):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(latents, d))
        self.norm_in, self.norm_q = nn.LayerNorm(c), nn.LayerNorm(d)
        self.cross = nn.MultiheadAttention(d, heads, kdim=c, vdim=c, batch_first=True)
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(d, heads, 2 * d, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(layers)])
        self.head = nn.Linear(d, classes)

    def forward(self, x, keep):
        q = self.latents.expand(x.shape[0], -1, -1)
        y = self.norm_in(x)
        h = q + self.cross(self.norm_q(q), y, y, key_padding_mask=keep == 0, need_weights=False)[0]
        for layer in self.layers:
            h = layer(h)
        return self.head(h.mean(1))


def perceiver():
    torch.manual_seed(7)
    model = randomise(Perceiver(10, 16, 5, 2, 2, 3))
    x = torch.randn(2, 13, 10).double().float().double()
    keep = torch.ones(2, 13, dtype=torch.int64)
    keep[1, 8:] = 0
    torch.backends.mha.set_fastpath_enabled(False)
    write("perceiver", dict(c=10, d=16, latents=5, heads=2, layers=2, classes=3), model.state_dict(), {"x": x, "keep": keep}, {"logits": model(x, keep)})


class Tagger(nn.Module):
    """Embeddings, two bidirectional LSTM layers, a label for each token (Graves & Schmidhuber 2005)."""
    def __init__(self, vocab, d, n, labels):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.lstm = nn.LSTM(d, n, num_layers=2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * n, labels)

    def forward(self, ids):
        return self.out(self.lstm(self.embed(ids))[0])


def tagger():
    torch.manual_seed(8)
    model = randomise(Tagger(37, 10, 12, 5))
    ids = torch.randint(0, 37, (3, 8))
    write("bilstm-tagger", dict(vocab=37, d=10, n=12, labels=5), model.state_dict(), {"ids": ids}, {"logits": model(ids)})


class Drawn:
    """Weights that are drawn where they are first asked for, by name and shape, and rounded to float32."""
    def __init__(self):
        self.tensors = {}

    def __call__(self, name, *shape):
        if name not in self.tensors:
            t = torch.randn(shape) * (0.5 if len(shape) < 2 else 1 / math.sqrt(shape[-1]))
            if name.endswith("running_var"):
                t = 0.5 + t.abs()
            elif any(n in name.split(".")[-2] for n in ("norm", "ln")):
                t = 0.4 * t + (1 if name.endswith("weight") else 0)
            self.tensors[name] = t.float().double()
        assert self.tensors[name].shape == shape, name
        return self.tensors[name]

    def linear(self, name, x, n, bias=True):
        return F.linear(x, self(name + ".weight", n, x.shape[-1]), self(name + ".bias", n) if bias else None)

    def layernorm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self(name + ".weight", x.shape[-1]), self(name + ".bias", x.shape[-1]), 1e-5)

    def rmsnorm(self, name, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self(name + ".weight", x.shape[-1])


def by_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attended(scores, v, visible=None):
    if visible is not None:
        scores = scores.masked_fill(~visible, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def turned(x, interleaved):
    """Rotary positions as complex numbers, of neighbours or of halves."""
    t, e = x.shape[-2:]
    angle = torch.arange(t)[:, None] * 10000.0 ** (-torch.arange(0, e, 2).double() / e)
    z = torch.view_as_complex((x.unflatten(-1, (e // 2, 2)) if interleaved else x.unflatten(-1, (2, e // 2)).transpose(-1, -2)).contiguous())
    z = torch.view_as_real(z * torch.polar(torch.ones_like(angle), angle))
    return (z if interleaved else z.transpose(-1, -2)).flatten(-2)


def conformer():
    """Gulati et al. 2020; scores by distance with the padding and shift of Transformer-XL (Dai et al. 2019)."""
    torch.manual_seed(9)
    config = dict(hidden_size=16, num_heads=2, intermediate_size=24, kernel_size=5, num_layers=2)
    w, d, heads, (b, t) = Drawn(), 16, 2, (2, 7)

    def feed_forward(n, x):
        return w.linear(n + ".down", F.silu(w.linear(n + ".up", w.layernorm(n + ".norm", x), 24)), d)

    def attention(n, x):
        q, k, v = (by_heads(w.linear(f"{n}.{p}", x, d), heads) for p in ("q", "k", "v_proj"))
        angle = torch.arange(t - 1, -t, -1.0)[:, None] * 10000 ** (-torch.arange(0, d, 2) / d)
        r = by_heads(w.linear(n + ".pos", torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[None], d, bias=False), heads)
        far = (q + w(n + ".v", heads, d // heads)[:, None]) @ r.transpose(-1, -2)
        far = F.pad(far, (1, 0)).view(b, heads, 2 * t, t)[:, :, 1:].reshape(b, heads, t, 2 * t - 1)[..., :t]
        near = (q + w(n + ".u", heads, d // heads)[:, None]) @ k.transpose(-1, -2)
        return w.linear(n + ".out", attended((near + far) / math.sqrt(d // heads), v), d)

    def convolution(n, x):
        y = F.glu(w.linear(n + ".pointwise1", w.layernorm(n + ".norm", x), 2 * d), -1).transpose(1, 2)
        y = F.conv1d(y, w(n + ".depthwise.weight", d, 1, 5), w(n + ".depthwise.bias", d), padding=2, groups=d)
        y = F.batch_norm(y, *(w(f"{n}.batch_norm.{p}", d) for p in ("running_mean", "running_var", "weight", "bias")))
        return w.linear(n + ".pointwise2", F.silu(y).transpose(1, 2), d)

    y = x = torch.randn(b, t, d).float().double()
    for p in ("layers.0.", "layers.1."):
        y = y + 0.5 * feed_forward(p + "ff1", y)
        y = y + attention(p + "attn", w.layernorm(p + "attn_norm", y))
        y = y + convolution(p + "conv", y)
        y = y + 0.5 * feed_forward(p + "ff2", y)
        y = w.layernorm(p + "norm", y)
    write("conformer", config, w.tensors, {"x": x}, {"y": y})


def mla():
    """Multi-head latent attention (DeepSeek-V2, 2024), with keys and values expanded for each head."""
    torch.manual_seed(10)
    config = dict(vocab_size=32, hidden_size=24, num_attention_heads=3, num_hidden_layers=2, q_lora_rank=10, kv_lora_rank=8,
                  qk_nope_head_dim=6, qk_rope_head_dim=4, v_head_dim=5, intermediate_size=40)
    w, heads, (b, t) = Drawn(), 3, (2, 7)
    ids = torch.randint(0, 32, (b, t))
    x = w("embed_tokens.weight", 32, 24)[ids]
    for p in ("layers.0.", "layers.1."):
        a, h = p + "self_attn.", w.rmsnorm(p + "input_layernorm", x)
        q = w.linear(a + "q_b_proj", w.rmsnorm(a + "q_a_layernorm", w.linear(a + "q_a_proj", h, 10, False)), heads * 10, False)
        qn, qr = by_heads(q, heads).split([6, 4], -1)
        c, kr = w.linear(a + "kv_a_proj_with_mqa", h, 12, False).split([8, 4], -1)
        kn, v = by_heads(w.linear(a + "kv_b_proj", w.rmsnorm(a + "kv_a_layernorm", c), heads * 11, False), heads).split([6, 5], -1)
        scores = qn @ kn.transpose(-1, -2) + turned(qr, True) @ turned(kr[:, None], True).transpose(-1, -2)
        y = attended(scores / math.sqrt(10), v, torch.ones(t, t).tril().bool())
        x = x + w.linear(a + "o_proj", y, 24, False)
        m, h = p + "mlp.", w.rmsnorm(p + "post_attention_layernorm", x)
        y = F.silu(w.linear(m + "gate_proj", h, 40, False)) * w.linear(m + "up_proj", h, 40, False)
        x = x + w.linear(m + "down_proj", y, 24, False)
    write("mla", config, w.tensors, {"ids": ids}, {"logits": w.linear("lm_head", w.rmsnorm("norm", x), 32, False)})


def rwkv():
    """RWKV-4 (Peng et al. 2023), each row a softmax over all earlier positions. One channel has keys beyond ±100, so that exp alone would overflow."""
    torch.manual_seed(11)
    config = dict(vocab_size=32, hidden_size=16, intermediate_size=40, num_hidden_layers=2)
    w, d, (b, t) = Drawn(), 16, (2, 9)

    def mixed(p, n, x):
        m = w(f"{p}time_mix_{n}", 1, 1, d)
        return x * m + F.pad(x, (0, 0, 1, 0))[:, :-1] * (1 - m)

    ids = torch.randint(0, 32, (b, t))
    x = w.layernorm("rwkv.blocks.0.pre_ln", w("rwkv.embeddings.weight", 32, d)[ids])
    lag = torch.arange(t)[:, None, None] - torch.arange(t)[:, None] - 1
    for p in ("rwkv.blocks.0.", "rwkv.blocks.1."):
        a, f, h = p + "attention.", p + "feed_forward.", w.layernorm(p + "ln1", x)
        w(a + "key.weight", d, d)[3] *= 30 if p.endswith("0.") else 100
        w.tensors[a + "key.weight"].copy_(w.tensors[a + "key.weight"].float())
        k, v, r = (w.linear(a + n, mixed(a, n, h), d, False) for n in ("key", "value", "receptance"))
        weight = torch.where(lag == -1, w(a + "time_first", d), -lag * w(a + "time_decay", d).exp())
        weight = (weight + k[:, None]).masked_fill(lag < -1, -math.inf).softmax(2)
        x = x + w.linear(a + "output", r.sigmoid() * (weight * v[:, None]).sum(2), d, False)
        h = w.layernorm(p + "ln2", x)
        k = w.linear(f + "key", mixed(f, "key", h), 40, False).relu() ** 2
        x = x + w.linear(f + "receptance", mixed(f, "receptance", h), d, False).sigmoid() * w.linear(f + "value", k, d, False)
    write("rwkv", config, w.tensors, {"ids": ids}, {"logits": w.linear("head", w.layernorm("rwkv.ln_out", x), 32, False)})


def griffin():
    """Griffin (De et al. 2024): the decay is a power of sigmoid(-lambda), as in the paper, not of exp and softplus."""
    torch.manual_seed(12)
    config = dict(vocab_size=32, hidden_size=16, lru_width=24, num_attention_heads=2, num_blocks=3, intermediate_size=40,
                  num_hidden_layers=3, attention_window_size=4, conv1d_width=4)
    w, d, n, heads, (b, t) = Drawn(), 16, 24, 2, (2, 9)
    ids = torch.randint(0, 32, (b, t))
    x = w("embed.weight", 32, d)[ids]
    for i in range(3):
        p, m = f"layers.{i}.", f"layers.{i}.mix."
        h = w.rmsnorm(p + "norm1", x)
        if i % 3 == 2:
            q, k, v = (by_heads(w.linear(m + s, h, e, False), e // 8) for s, e in (("q", 16), ("k", 8), ("v", 8)))
            lag = torch.arange(t)[:, None] - torch.arange(t)
            scores = turned(q, False) @ turned(k, False).transpose(-1, -2) / math.sqrt(d // heads)
            x = x + w.linear(m + "out", attended(scores, v, (lag >= 0) & (lag < 4)), d)
        else:
            gate = F.gelu(w.linear(m + "linear_y", h, n), approximate="tanh")
            y = F.pad(w.linear(m + "linear_x", h, n).transpose(1, 2), (3, 0))
            y = F.conv1d(y, w(m + "conv.weight", n, 1, 4), w(m + "conv.bias", n), groups=n).transpose(1, 2)
            r, g = ((y.unflatten(-1, (3, 8))[..., None, :] @ w(f"{m}rg_lru.{s}.weight", 3, 8, 8)).squeeze(-2) + w(f"{m}rg_lru.{s}.bias", 3, 8)
                    for s in ("recurrence_gate", "input_gate"))
            a = torch.sigmoid(-w(m + "rg_lru.lambda", n)) ** (8 * r.sigmoid().flatten(2))
            u, state, states = torch.sqrt(1 - a**2) * g.sigmoid().flatten(2) * y, 0, []
            for s in range(t):
                state = a[:, s] * state + u[:, s]
                states.append(state)
            x = x + w.linear(m + "linear_out", gate * torch.stack(states, 1), d)
        h, m = w.rmsnorm(p + "norm2", x), p + "mlp."
        y = F.gelu(w.linear(m + "gate_proj", h, 40, False), approximate="tanh") * w.linear(m + "up_proj", h, 40, False)
        x = x + w.linear(m + "down_proj", y, d, False)
    write("griffin", config, w.tensors, {"ids": ids}, {"logits": w.linear("head", w.rmsnorm("norm", x), 32, False)})


if __name__ == "__main__":
    for make in (mamba, swin, retnet, linear_attention, wavenet, mobilenet, perceiver, tagger):
        make()
    torch.set_default_dtype(torch.float64)
    for make in (conformer, mla, rwkv, griffin):
        make()
