"""Autoencoders in the layout of latent diffusion, against a second writing of that network under its own names."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL

from mgbench.components.checkpoints.ldm import is_autoencoder, read_autoencoder, write_autoencoder
from mgbench.components.tokenizers.patches import to_unit
from mgbench.errors import UserError
from tests.ldm import LATENT, Net, State, layout


def images() -> torch.Tensor:
    return torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_converted_autoencoder_says_what_the_layout_says() -> None:
    state, shown = layout(), to_unit(images())
    found = read_autoencoder(state, "kl")
    assert (found.form, found.left_out) == ("f4c4", ())
    ours: Any = AutoencoderKL.from_config(found.config).eval()  # type: ignore[no-untyped-call]
    ours.load_state_dict(dict(found.tensors))
    z = torch.randn(2, LATENT, 4, 4, generator=torch.Generator().manual_seed(2))
    for mine, theirs in (
        (Net(state).encode(shown), ours.encode(shown).latent_dist.mean),
        (Net(state).decode(z), ours.decode(z).sample),
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5 * float(theirs.abs().max()))


def test_what_is_written_is_what_was_read() -> None:
    state = layout()
    found = read_autoencoder(state, "kl")
    again = write_autoencoder({name: part for name, part in found.config.items() if name[0] != "_"}, found.tensors)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_what_only_trains_it_and_the_model_around_it_are_left_out() -> None:
    around = {f"first_stage_model.{name}": value for name, value in layout().items()}
    more = {"first_stage_model.loss.logvar": torch.zeros(1), "model.diffusion_model.out": torch.zeros(1)}
    assert is_autoencoder(around)
    found = read_autoencoder({**around, **more}, "sd")
    assert found.left_out == ("loss.logvar",)
    assert found.tensors.keys() == read_autoencoder(layout(), "kl").tensors.keys()


def without(name: str) -> Callable[[State], State]:
    return lambda state: {other: value for other, value in state.items() if other != name}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("encoder.mid.attn_1.q.bias"), r"lacks encoder\.mid\.attn_1\.q\.bias"),
        (without("encoder.down.1.block.0.conv1.weight"), r"lacks encoder\.down\.1\.block\.0\.conv1\.weight"),
        (without("decoder.conv_out.weight"), r"lacks decoder\.conv_out\.weight"),
        (lambda state: {**state, "decoder.extra": torch.zeros(2)}, r"also has decoder\.extra"),
        (lambda state: {**state, "quant_conv.bias": torch.zeros(3)}, r"quant_conv\.bias \(3 instead of 8\)"),
        (lambda state: {**state, "quant_conv.bias": torch.full((8,), torch.nan)}, r"not finite in quant_conv\.bias"),
        (lambda state: {**state, "quantize.embedding.weight": torch.zeros(9, 4)}, "one with a codebook"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[State], State], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_autoencoder(change(layout()), "kl16.ckpt")
