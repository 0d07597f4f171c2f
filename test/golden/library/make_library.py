"""What torch gives in float64 for blocks of the library: two sizes of symbolic dims, ties, NaN. Writes io.safetensors. Needs torch, safetensors."""
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(5)
W = {
    "c1.weight": torch.randn(8, 3, 4), "c1.bias": torch.randn(8),
    "c2.weight": torch.randn(4, 2, 3, 2), "c2.bias": torch.randn(4),
    "dw.weight": torch.randn(6, 1, 3), "dw.bias": torch.randn(6),
    "mult.weight": torch.randn(12, 1, 3, 3), "mult.bias": torch.randn(12),
    "gaps": torch.tensor([1, torch.nan, 0, torch.nan, -1, 1, 0]), "act.weight": torch.rand(6), "bn.running_mean": torch.randn(6), "bn.running_var": torch.rand(6) + 0.1,
    "se.fc1.weight": torch.randn(2, 6, 1, 1), "se.fc1.bias": torch.randn(2),
    "se.fc2.weight": torch.randn(6, 2, 1, 1), "se.fc2.bias": torch.randn(6),
}
P = {k: v.double() for k, v in W.items()}


def outputs(seq, img, ties, u, idx, row):
    sig = torch.sigmoid
    pooled = img.mean((2, 3), keepdim=True)
    se = sig(F.conv2d(F.relu(F.conv2d(pooled, P["se.fc1.weight"], P["se.fc1.bias"])), P["se.fc2.weight"], P["se.fc2.bias"]))
    by = torch.sort(ties, dim=1, stable=True, descending=True)
    up = torch.sort(ties, dim=1, stable=True)
    order = torch.argsort(torch.nan_to_num(P["gaps"], nan=torch.inf), dim=-1, stable=True)
    down = torch.argsort(torch.nan_to_num(P["gaps"], nan=-torch.inf), dim=-1, stable=True, descending=True)
    return {
        "causal1d": F.conv1d(F.pad(seq, (6, 0)), P["c1.weight"], P["c1.bias"], dilation=2, groups=2),
        "ends1d": F.conv1d(F.pad(seq, (1, 3)), P["c1.weight"], P["c1.bias"], stride=3, groups=2),
        "ends2d": F.conv2d(F.pad(img[:, :4], (0, 3, 2, 1)), P["c2.weight"], P["c2.bias"], stride=(2, 1), dilation=(1, 2), groups=2),
        "depthwise": F.conv1d(seq, P["dw.weight"], P["dw.bias"], padding=1, groups=6),
        "multiplier": F.conv2d(img, P["mult.weight"], P["mult.bias"], padding=1, groups=6),
        "max_dilated": F.max_pool2d(img, 3, stride=2, padding=1, dilation=2),
        "avg_rect": F.avg_pool2d(img, (3, 2), stride=(1, 2), padding=(1, 0), count_include_pad=False),
        "adaptive1": F.adaptive_avg_pool1d(seq, 4), "adaptive2": F.adaptive_avg_pool2d(img, (3, 2)),
        "global_max": img.amax((2, 3)), "up": F.interpolate(img, scale_factor=(2, 3), mode="nearest"),
        "prelu": F.prelu(img, P["act.weight"]), "bn": F.batch_norm(img, P["bn.running_mean"], P["bn.running_var"]),
        "in1d": F.instance_norm(seq), "gn1d": F.group_norm(seq, 2), "se": img * se,
        "topk_values": by.values[:, :2], "topk_indices": by.indices[:, :2],
        "sort_values": up.values, "sort_indices": up.indices, "descending": by.indices,
        "nan_last": order, "nan_last_too": down[..., :3], "argmin": ties.argmin(-1), "argmax": ties.argmax(1),
        "cumsum": ties.cumsum(0), "rolled": seq.roll(-2, 2), "rolled_channels": seq.roll(8, 1),
        "tiled": seq.repeat(2, 1, 1, 3), "interleaved": seq.repeat_interleave(3, -1),
        "reflected": F.pad(seq, (0, 2), mode="reflect"), "triu": torch.triu(img, -1), "tril": torch.tril(img, 2),
        "taken": torch.take_along_dim(seq, idx, 2), "added": seq.index_add(2, row, u), "scattered": seq.scatter_add(2, idx, u),
        "picked": torch.gather(seq, 2, idx) * 2, "every": seq[:, ::2, 1::3], "normalized": F.normalize(seq, dim=1),
        "flat": img.flatten(1), "selu": F.selu(seq), "softsign": F.softsign(seq),
    }


out = {}
for tag, b, n, h, w in (("a", 2, 11, 7, 5), ("b", 1, 8, 5, 6)):
    seq, img = torch.randn(b, 6, n), torch.randn(b, 6, h, w)
    ties = torch.randint(-2, 3, (b, 7, n)).float()
    u, idx, row = torch.randn(b, 6, 4), torch.randint(0, n, (b, 6, 4)), torch.randint(0, n, (4,))
    ins = {"seq": seq, "img": img, "ties": ties, "u": u, "idx": idx, "row": row}
    for k, v in ins.items():
        out[f"{tag}.in.{k}"] = v.to(torch.int32) if v.dtype == torch.int64 else v
    for k, v in outputs(*(v.double() if v.is_floating_point() else v for v in ins.values())).items():
        out[f"{tag}.out.{k}"] = v.to(torch.int32) if v.dtype == torch.int64 else v.float()
here = pathlib.Path(__file__).parent
save_file({k: v.contiguous() for k, v in out.items()}, here / "io.safetensors")
save_file(W, here / "weights.safetensors")
