"""Makes cookbook.safetensors: weights, inputs and outputs of each recipe in docs/cookbook.md, computed by PyTorch in float64.

python3 make.py   (needs torch, safetensors). Keys: <model>.w.<tensor>, <model>.in.<input>, <model>.out.<output>.
"""
import math, pathlib
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

here = pathlib.Path(__file__).resolve().parent
out = {}
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
g = lambda *s: torch.randn(s).float().double()


class Case:
    def __init__(self, name):
        self.name = name

    def put(self, kind, name, t):
        out[f"{self.name}.{kind}.{name}"] = (t.float() if t.is_floating_point() else t.int()).contiguous().clone()
        return t

    def w(self, name, *shape, scale=None):
        t = g(*shape) * (scale or (shape[-1] ** -0.5 if len(shape) > 1 else 0.5))
        return self.put("w", name, t.float().double())

    def lin(self, x, name, n, bias=True):
        y = x @ self.w(name + ".weight", n, x.shape[-1]).T
        return y + self.w(name + ".bias", n) if bias else y

    def x(self, *shape, name="x"):
        return self.put("in", name, g(*shape))

    def done(self, y, name="y"):
        self.put("out", name, y)


def heads(x, h):
    b, t, d = x.shape
    return x.view(b, t, h, d // h).transpose(1, 2)


def merge(x):
    b, h, t, e = x.shape
    return x.transpose(1, 2).reshape(b, t, h * e)


def attend(q, k, v, mask=None, bias=None, scale=None, cap=None, sinks=None):
    k, v = (z.repeat_interleave(q.shape[1] // z.shape[1], 1) for z in (k, v))
    s = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if cap is not None:
        s = cap * torch.tanh(s / cap)
    if bias is not None:
        s = s + bias
    if mask is not None:
        s = s.masked_fill(~mask, -math.inf)
    if sinks is not None:
        s = torch.cat([s, sinks[None, :, None, None].expand(*s.shape[:3], 1)], -1)
        return s.softmax(-1)[..., :-1] @ v
    return s.softmax(-1).nan_to_num(0) @ v


causal = lambda t: torch.ones(t, t, dtype=torch.bool).tril()
positions = torch.arange


def qkv(c, x, h):
    return [heads(z, h) for z in c.lin(x, "qkv", 3 * x.shape[-1]).chunk(3, -1)]


def rope(x, factor=1.0):
    t, e = x.shape[-2:]
    angle = positions(t)[:, None] / factor * 10000.0 ** (-2 * positions(e // 2) / e)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def norm(c, x, name, eps=1e-5):
    d = x.shape[-1]
    return F.layer_norm(x, (d,), c.w(name + ".weight", d), c.w(name + ".bias", d), eps)


c = Case("ordered"); x = c.x(2, 5, 12)
h = norm(c, x, "norm"); c.done(x + c.lin(F.gelu(c.lin(h, "up", 24)), "down", 12))

c = Case("grouped"); x = c.x(2, 7, 24)
q, k, v = heads(c.lin(x, "q_proj", 24, False), 6), heads(c.lin(x, "k_proj", 8, False), 2), heads(c.lin(x, "v_proj", 8, False), 2)
c.done(c.lin(merge(attend(q, k, v, causal(7))), "o_proj", 24, False))

c = Case("interleaved"); x = c.x(2, 5, 12)
t = c.lin(x, "query_key_value", 36).view(2, 5, 3, 3, 4)
q, k, v = (t[:, :, :, i].transpose(1, 2) for i in range(3))
c.done(c.lin(merge(attend(q, k, v, causal(5))), "dense", 12))

c = Case("partly"); x = c.x(2, 7, 16)
q, k, v = qkv(c, x, 2)
part = lambda z: torch.cat([rope(z[..., :4]), z[..., 4:]], -1)
c.done(merge(attend(part(q), part(k), v, causal(7))))

c = Case("stretched"); x = c.x(2, 9, 16)
q, k, v = qkv(c, x, 2); c.done(merge(attend(rope(q, 4.0), rope(k, 4.0), v, causal(9))))

c = Case("linear_biases"); x = c.x(2, 7, 16)
q, k, v = qkv(c, x, 4)
distance = positions(7)[None, :] - positions(7)[:, None]
slopes = 2.0 ** (-8 * (positions(4) + 1) / 4)
c.done(merge(attend(q, k, v, causal(7), slopes[:, None, None] * distance)))

c = Case("relative"); x = c.x(2, 8, 12)
table = c.w("relative.weight", 7, 2)
q, k, v = qkv(c, x, 2)
distance = positions(8)[None, :] - positions(8)[:, None]
c.done(merge(attend(q, k, v, bias=table[distance.clamp(-3, 3) + 3].permute(2, 0, 1))))

c = Case("bucketed"); x = c.x(2, 26, 12)
table = c.w("bias.weight", 8, 2)
q, k, v = qkv(c, x, 2)
back = positions(26)[:, None] - positions(26)[None, :]
far = 4 + (torch.log(back.clamp(min=1) / 4) / math.log(20 / 4) * 4).long()
bucket = torch.where(back < 4, back.clamp(min=0), far.clamp(max=7))
c.done(merge(attend(q, k, v, causal(26), table[bucket].permute(2, 0, 1), scale=1)))

c = Case("windowed"); x = c.x(2, 9, 12)
q, k, v = qkv(c, x, 2)
back = positions(9)[:, None] - positions(9)[None, :]
c.done(merge(attend(q, k, v, (back >= 0) & (back < 3))))

c = Case("capped"); x = c.x(2, 7, 12)
sinks = c.w("sinks", 2)
q, k, v = qkv(c, x, 2); c.done(merge(attend(q, k, v, causal(7), cap=5.0, sinks=sinks)))

c = Case("parallel"); x = c.x(2, 5, 12)
h = norm(c, x, "norm")
q, k, v = [heads(z, 2) for z in c.lin(h, "attn.qkv", 36).chunk(3, -1)]
a = c.lin(merge(attend(q, k, v, causal(5))), "attn.out", 12)
c.done(x + a + c.lin(F.gelu(c.lin(h, "mlp.fc1", 48), approximate="tanh"), "mlp.fc2", 12))

c = Case("scaled"); x = c.x(2, 5, 12)
gamma, zero = c.w("gamma", 12), c.put("w", "zero", g())
f = lambda z, n: torch.tanh(c.lin(z, n + ".fc", 12))
h = x + gamma * f(x, "a"); h = h + zero * f(h, "b"); c.done(norm(c, 1.7 * h + f(h, "c"), "norm"))

c = Case("gated"); x = c.x(2, 5, 12)
a, b = c.lin(x, "gate_up", 40, False).chunk(2, -1)
c.done(x + c.lin(F.mish(a) * b, "down", 12, False))

c = Case("mixture"); x = c.x(2, 5, 12)
best, chosen = c.lin(x, "gate", 4, False).topk(2)
share = best.softmax(-1)
y = torch.zeros_like(x)
for i in range(4):
    e = f"experts.{i}"
    out_i = c.lin(F.silu(c.lin(x, e + ".w1", 16, False)) * c.lin(x, e + ".w3", 16, False), e + ".w2", 12, False)
    y = y + (share * (chosen == i)).sum(-1, keepdim=True) * out_i
c.done(y)

c = Case("normed"); x = c.x(2, 5, 12)
h = c.lin(x, "fc", 12)
c.done(h / (h.abs().pow(3).mean(-1, keepdim=True) ** (1 / 3) + 1e-6) * c.w("norm.weight", 12))

c = Case("shifted"); x = c.x(2, 7, 12)
c.done(F.silu(F.conv1d(F.pad(x.transpose(1, 2), (3, 0)), c.w("conv.weight", 12, 1, 4), c.w("conv.bias", 12), groups=12).transpose(1, 2)))

c = Case("squeezed"); x = c.x(2, 6, 5, 7)
s = torch.sigmoid(c.lin(F.relu(c.lin(x.mean((2, 3)), "fc1", 3)), "fc2", 6))
c.done(x * s[:, :, None, None])

c = Case("in_windows"); x = c.x(2, 12, 12)
q, k, v = qkv(c, x.view(6, 4, 12), 2); c.done(merge(attend(q, k, v)).view(2, 12, 12))

c = Case("latents"); x = c.x(2, 9, 10)
learned = c.w("latents", 3, 12).expand(2, -1, -1)
c.done(merge(attend(heads(c.lin(learned, "q", 12), 2), heads(c.lin(x, "k", 12), 2), heads(c.lin(x, "v", 12), 2))))

c = Case("decaying"); x = c.x(2, 7, 12)
t = c.lin(x, "qkv", 36).view(2, 7, 3, 2, 6)
q, k, v = (t[:, :, i].transpose(1, 2) for i in range(3))
back = positions(7)[:, None] - positions(7)[None, :]
decay = 1 - 2.0 ** (-5 - positions(2))
weight = torch.where(back >= 0, decay[:, None, None] ** back.clamp(min=0), torch.zeros(()))
c.done(merge((q @ k.transpose(-1, -2) * weight) @ v))

c = Case("both"); x = c.x(2, 7, 6)
def sweep(name, backwards):
    u = c.w(name + ".weight_hh", 5, 5)
    a = c.lin(x, name + ".ih", 5)
    h, ys = torch.zeros(2, 5), [None] * 7
    for t in (reversed(range(7)) if backwards else range(7)):
        h = ys[t] = torch.tanh(a[:, t] + h @ u.T)
    return torch.stack(ys, 1)
c.done(torch.cat([sweep("forth", False), sweep("back", True)], -1))

c = Case("padded")
ids, start = c.put("in", "ids", torch.randint(0, 17, (3, 6))), c.put("in", "start", torch.tensor([0, 2, 5]))
at = (positions(6)[None] - start[:, None]).clamp(min=0)
x = c.w("wte.weight", 17, 12)[ids] + c.w("wpe", 16, 12)[at]
q, k, v = qkv(c, x, 2)
c.done(merge(attend(q, k, v, causal(6)[None, None] & (positions(6)[None, :] >= start[:, None])[:, None, None])))

c = Case("hidden"); x = c.x(2, 6, 12)
keep = c.put("in", "keep", torch.tensor([[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]))
q, k, v = qkv(c, x, 2)
c.done(merge(attend(q, k, v, ((keep[:, :, None] == 1) & (keep[:, None, :] == 1))[:, None])))

c = Case("tied"); ids = c.put("in", "ids", torch.randint(0, 17, (2, 5)))
table = c.w("model.wte.weight", 17, 12)
x = table[ids] @ c.w("model.fc.weight", 12, 12) + c.w("model.fc.bias", 12)
c.done(x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * c.w("model.norm.gamma", 12) @ table.T, "logits")

save_file(out, here / "cookbook.safetensors", metadata={"torch": torch.__version__, "made_by": "make.py"})
print(len({k.split(".")[0] for k in out}), "recipes", (here / "cookbook.safetensors").stat().st_size, "bytes")
