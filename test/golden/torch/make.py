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


if __name__ == "__main__":
    for make in (mamba, swin, retnet, linear_attention, wavenet, mobilenet, perceiver, tagger):
        make()
