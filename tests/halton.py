"""The transformer of Halton-MaskGIT (arXiv:2503.17076) under its official names: a second writing of it, and random weights."""

import torch
from torch import Tensor

State = dict[str, Tensor]


def layout(
    width: int = 32,
    depth: int = 2,
    inner: int = 30,
    hidden: int = 256,
    codes: int = 16,
    length: int = 16,
    classes: int = 10,
) -> State:
    """Random weights of a small one, whose heads together are narrower than it is, as in the official small model."""
    made = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return 0.2 * torch.randn(shape, generator=made)

    state = {
        "cls_emb.weight": drawn(classes + 1, width),
        "tok_emb.weight": drawn(codes + 1, width),
        "pos_emb.weight": drawn(length, width),
        "reg_tokens.weight": drawn(1, width),
        "last_norm.norm_final.weight": drawn(width),
        "last_norm.norm_final.bias": drawn(width),
        "last_norm.mlp.1.weight": drawn(2 * width, width),
        "last_norm.mlp.1.bias": drawn(2 * width),
        "head.bias": drawn(codes + 1),
    }
    for layer in range(depth):
        at = f"transformer.layers.{layer}."
        state |= {f"{at}mlp.1.weight": drawn(6 * width, width), f"{at}mlp.1.bias": drawn(6 * width)}
        state |= {f"{at}{norm}.weight": drawn(width) for norm in ("ln1", "ln2")}
        state |= {f"{at}attn.{name}.weight": drawn(inner, width) for name in ("wq", "wk", "wv")}
        state |= {f"{at}attn.wo.weight": drawn(width, inner), f"{at}ff.w2.weight": drawn(width, hidden)}
        state |= {f"{at}ff.{name}.weight": drawn(hidden, width) for name in ("w1", "w3")}
    return {**state, "head.weight": state["tok_emb.weight"]}


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def unit(x: Tensor) -> Tensor:
    """Vectors of root mean square 1."""
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


def logits(state: State, codes: Tensor, classes: Tensor, heads: int) -> Tensor:
    """Logits [B,N,K + 1] of codes int64 [B,N] (K: masked) and classes int64 [B] (the last: none), sum by sum."""
    label, (batch, length) = state["cls_emb.weight"][classes], codes.shape
    x = state["tok_emb.weight"][codes] + state["pos_emb.weight"]
    x = torch.cat([x, state["reg_tokens.weight"].expand(batch, -1, -1)], 1)

    def linear(name: str, y: Tensor) -> Tensor:
        out = torch.einsum("oi,b...i->b...o", state[f"{name}.weight"], y)
        return out + state[f"{name}.bias"] if f"{name}.bias" in state else out

    layer = 0
    while (at := f"transformer.layers.{layer}") + ".ln1.weight" in state:
        shift1, scale1, gate1, shift2, scale2, gate2 = linear(f"{at}.mlp.1", silu(label))[:, None].chunk(6, -1)
        y = unit(x) * state[f"{at}.ln1.weight"] * (1 + scale1) + shift1
        q, k, v = unit(linear(f"{at}.attn.wq", y)), unit(linear(f"{at}.attn.wk", y)), linear(f"{at}.attn.wv", y)
        q, k, v = (part.reshape(batch, x.shape[1], heads, -1) for part in (q, k, v))
        weights = (torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5).softmax(-1)
        x = x + gate1 * linear(f"{at}.attn.wo", torch.einsum("bhij,bjhd->bihd", weights, v).flatten(2))
        y = unit(x) * state[f"{at}.ln2.weight"] * (1 + scale2) + shift2
        x = x + gate2 * linear(f"{at}.ff.w2", silu(linear(f"{at}.ff.w1", y)) * linear(f"{at}.ff.w3", y))
        layer += 1
    shift, scale = linear("last_norm.mlp.1", silu(label))[:, None].chunk(2, -1)
    x = unit(x[:, :length]) * state["last_norm.norm_final.weight"] + state["last_norm.norm_final.bias"]
    return linear("head", x * (1 + scale) + shift)
