"""The tokenizer of l-DeTok, against a second writing of it under its own names."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench.components.tokenizers.denoised import DeTok
from mgbench.errors import Unfit, UserError

State = dict[str, Tensor]
PATCH, SIDE, DIM, HEADS = 4, 3, 6, 2
SHAPE = (3, PATCH * SIDE, PATCH * SIDE)


def layout(encoder: int = 16, decoder: int = 24) -> State:
    """Random weights of a small one, an encoder with one block and a decoder with two."""
    made = torch.Generator().manual_seed(0)

    def drawn(name: str, *shape: int, bias: bool = True) -> State:
        state = {f"{name}.weight": torch.randn(shape, generator=made) / math.prod(shape[1:]) ** 0.5}
        return {**state, f"{name}.bias": 0.3 * torch.randn(shape[0], generator=made)} if bias else state

    state = {"decoder.mask_token": torch.zeros(1, 1, decoder)}
    for half, width, depth in (("encoder", encoder, 1), ("decoder", decoder, 2)):
        state[f"{half}.positional_embedding"] = torch.randn(1, SIDE**2, width, generator=made)
        norms = ["ln_pre", "ln_post", *(f"transformer.{layer}.norm{norm}" for layer in range(depth) for norm in (1, 2))]
        state |= {f"{half}.{norm}.weight": 1 + 0.2 * torch.randn(width, generator=made) for norm in norms}
        hidden = int(2 / 3 * width * 4.0)
        for layer in range(depth):
            at = f"{half}.transformer.{layer}"
            state |= {**drawn(f"{at}.attn.qkv", 3 * width, width), **drawn(f"{at}.attn.proj", width, width)}
            state |= {**drawn(f"{at}.mlp.w12", 2 * hidden, width), **drawn(f"{at}.mlp.w3", width, hidden)}
    state |= {
        **drawn("encoder.patch_embed.0", encoder, 3, PATCH, PATCH),
        **drawn("encoder.latent_head", 2 * DIM, encoder),
    }
    state |= {**drawn("decoder.decoder_embed", decoder, DIM), **drawn("decoder.ffn.1", 3 * PATCH**2, decoder, 1, 1)}
    return {**state, **drawn("decoder.conv_out", 3, 3, 3, 3)}


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].flatten(1).T + state[f"{name}.bias"]


def norm(state: State, name: str, x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * state[f"{name}.weight"]


def turned(x: Tensor) -> Tensor:
    """Every head [·] at every place, number by number: pair p of numbers is turned by an angle of its own for each number."""
    out, count = torch.empty_like(x), x.shape[-1]
    for place in range(SIDE**2):
        where = (place // SIDE / (SIDE - 1), place % SIDE / (SIDE - 1))
        for number in range(count):
            half, inside = divmod(number, count // 2)
            exponent = inside % (count // 4) / max(count // 4 - 1, 1)
            angle = 2 * math.pi * where[half] * 7 * (7 / 7e-4) ** -exponent
            other = -x[..., place, number + 1] if number % 2 == 0 else x[..., place, number - 1]
            out[..., place, number] = x[..., place, number] * math.cos(angle) + other * math.sin(angle)
    return out


def through(state: State, half: str, x: Tensor) -> Tensor:
    x = norm(state, f"{half}.ln_pre", x + state[f"{half}.positional_embedding"])
    layer = 0
    while f"{half}.transformer.{layer}.norm1.weight" in state:
        at = f"{half}.transformer.{layer}"
        parts = linear(state, f"{at}.attn.qkv", norm(state, f"{at}.norm1", x)).chunk(3, -1)
        q, k, v = (part.reshape(*part.shape[:2], HEADS, -1).transpose(1, 2) for part in parts)
        weights = (turned(q) @ turned(k).transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1)
        x = x + linear(state, f"{at}.attn.proj", (weights @ v).transpose(1, 2).flatten(2))
        gate, up = linear(state, f"{at}.mlp.w12", norm(state, f"{at}.norm2", x)).chunk(2, -1)
        x = x + linear(state, f"{at}.mlp.w3", gate / (1 + torch.exp(-gate)) * up)
        layer += 1
    return norm(state, f"{half}.ln_post", x)


def cut(pixels: Tensor) -> Tensor:
    """Patches [B,N,3·P·P] of pixels, by channel, row and column."""
    rows = pixels.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    return rows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


def encoded(state: State, images: Tensor) -> Tensor:
    x = linear(state, "encoder.patch_embed.0", cut(images.float() / 127.5 - 1))
    return linear(state, "encoder.latent_head", through(state, "encoder", x))[..., :DIM]


def decoded(state: State, latents: Tensor) -> Tensor:
    patches = linear(state, "decoder.ffn.1", through(state, "decoder", linear(state, "decoder.decoder_embed", latents)))
    pixels = torch.zeros(len(latents), *SHAPE)
    for place in range(SIDE**2):
        top, left = PATCH * (place // SIDE), PATCH * (place % SIDE)
        patch = patches[:, place].reshape(-1, PATCH, PATCH, 3).permute(0, 3, 1, 2)
        pixels[:, :, top : top + PATCH, left : left + PATCH] = patch
    weight, bias = state["decoder.conv_out.weight"], state["decoder.conv_out.bias"]
    return torch.nn.functional.conv2d(pixels, weight, bias, padding=1)


def images(count: int = 7) -> Tensor:
    return torch.randint(256, (count, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def tokenizer(folder: Path, state: State | None = None, **options: Any) -> Any:
    averaged = layout() if state is None else state
    torch.save(
        {"model": {name: value + 1 for name, value in averaged.items()}, "model_ema": averaged}, folder / "detok.pth"
    )
    return DeTok(str(folder / "detok.pth"), **{"heads": HEADS, **options}).build(SHAPE)


@torch.no_grad()
def test_tokens_and_images_are_those_of_the_names(tmp_path: Path) -> None:
    state, module, shown = layout(), tokenizer(tmp_path), images()
    latents = encoded(state, shown)
    torch.testing.assert_close(module.encode(shown), latents, rtol=1e-4, atol=1e-5)
    (*_, last) = module.fit(shown, 0)
    assert last[:2] == (7, 7)
    tokens = (latents - latents.mean((0, 1))) / latents.std((0, 1), correction=0)
    torch.testing.assert_close(module.encode(shown), tokens, rtol=1e-4, atol=1e-4)
    expected = ((decoded(state, latents).clamp(-1, 1) + 1) * 127.5).round()
    assert (module.decode(tokens).double() - expected).abs().max() <= 1
    assert expected.std() > 20


def test_statistics_are_of_as_many_images_as_are_asked_for(tmp_path: Path) -> None:
    some, again, others = (tokenizer(tmp_path, count=3) for _ in range(3))
    for module, seed in ((some, 0), (again, 0), (others, 1)):
        assert list(module.fit(images(), seed))[-1][:2] == (3, 3)
    assert torch.equal(some.mean, again.mean)
    assert not torch.equal(some.mean, others.mean)
    assert tokenizer(tmp_path).load_state_dict(some.state_dict())


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    def without(name: str) -> Callable[[State], State]:
        return lambda state: {other: value for other, value in state.items() if other != name}

    for change, sentence in (
        (without("decoder.transformer.1.mlp.w3.bias"), r"lacks decoder\.transformer\.1\.mlp\.w3\.bias"),
        (without("encoder.latent_head.weight"), r"lacks encoder\.latent_head\.weight"),
        (lambda state: {**state, "decoder.extra": torch.zeros(1)}, r"also has decoder\.extra"),
    ):
        with pytest.raises(UserError, match=sentence):
            tokenizer(tmp_path, change(layout()))
    with pytest.raises(UserError, match=r"is 16 wide, which is no published size; .* detok\(heads=N\)"):
        tokenizer(tmp_path, heads=0)
    with pytest.raises(Unfit, match="takes images of 3x12x12, and these are 1x12x12"):
        DeTok(str(tmp_path / "detok.pth"), heads=HEADS).build((1, 12, 12))
    assert DeTok("nowhere.pth").files == ()
    with pytest.raises(UserError, match=r"there is no file nowhere\.pth"):
        DeTok("nowhere.pth").build(SHAPE)
