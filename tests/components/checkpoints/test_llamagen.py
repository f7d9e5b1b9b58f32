"""The autoencoder of LlamaGen, against a second writing of its network; its names are those of latent diffusion, renamed."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mgbench.components.checkpoints.llamagen import is_llamagen, read_llamagen
from mgbench.components.tokenizers.patches import to_unit
from mgbench.components.tokenizers.pretrained import PretrainedVq
from mgbench.errors import UserError
from tests.ldm import BLOCKS, Net, State, layout, put

LATENT, DIM, CODES, WIDTHS = 8, 4, 32, (32, 32, 64)


def weights() -> State:
    """Random weights under the names of latent diffusion, with attention in the last levels, and a codebook."""
    state = {name: value for name, value in layout(WIDTHS).items() if "quant_conv" not in name}
    made = torch.Generator().manual_seed(3)
    put(state, "decoder.conv_in", WIDTHS[-1], LATENT, 3)
    for block in range(BLOCKS + 1):
        at = f"decoder.up.{len(WIDTHS) - 1}.attn.{block}"
        state |= {f"{at}.norm.weight": torch.ones(WIDTHS[-1]), f"{at}.norm.bias": torch.zeros(WIDTHS[-1])}
        for part in ("q", "k", "v", "proj_out"):
            put(state, f"{at}.{part}", WIDTHS[-1], WIDTHS[-1], 1)
    put(state, "quant_conv", DIM, LATENT, 1)
    put(state, "post_quant_conv", LATENT, DIM, 1)
    return {**state, "quantize.embedding.weight": torch.randn(CODES, DIM, generator=made)}


def theirs(state: State) -> State:
    """The same under LlamaGen's names, with what only training reads."""
    return {**{_theirs(name): value for name, value in state.items()}, "quantize.codebook_used": torch.zeros(9)}


def _theirs(name: str) -> str:
    last = len(WIDTHS) - 1
    name = re.sub(r"encoder\.down\.(\d)", r"encoder.conv_blocks.\1", name)
    name = re.sub(r"decoder\.up\.(\d)", lambda found: f"decoder.conv_blocks.{last - int(found[1])}", name)
    for ours, place in (("block_1", 0), ("attn_1", 1), ("block_2", 2)):
        name = name.replace(f".mid.{ours}.", f".mid.{place}.")
    return name.replace(".block.", ".res.") if "conv_blocks" in name else name


@torch.no_grad()
def test_the_converted_autoencoder_says_what_the_network_says(tmp_path: Path) -> None:
    state = weights()
    assert is_llamagen(theirs(state).keys())
    found = read_llamagen(theirs(state), "vq")
    assert (found.form, found.left_out) == ("f4c4", ("quantize.codebook_used",))
    (tmp_path / "config.json").write_text(json.dumps(found.config))
    save_file(
        {name: value.contiguous() for name, value in found.tensors.items()},
        tmp_path / "diffusion_pytorch_model.safetensors",
    )
    tokenizer = PretrainedVq(str(tmp_path)).build((3, 16, 16))
    images = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    net, book = Net(state), torch.nn.functional.normalize(state["quantize.embedding.weight"], dim=-1)
    latents = torch.nn.functional.normalize(net.latents(to_unit(images)), dim=1)
    nearest = torch.einsum("bdhw,kd->bhwk", latents, book).argmax(-1)
    codes = tokenizer.encode(images)
    assert torch.equal(codes, nearest.flatten(1))
    assert len(codes.unique()) > 4
    pixels = net.decode(book[nearest].permute(0, 3, 1, 2))
    expected = ((pixels.clamp(-1, 1) + 1) * 127.5).round()
    assert (tokenizer.decode(codes).double() - expected).abs().max() <= 1


def without(name: str) -> Callable[[State], State]:
    return lambda state: {other: value for other, value in state.items() if other != name}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("encoder.mid.1.q.bias"), r"lacks encoder\.mid\.1\.q\.bias"),
        (without("decoder.conv_blocks.2.res.0.conv1.weight"), r"lacks decoder\.conv_blocks\.2\.res\.0\.conv1\.weight"),
        (without("quantize.embedding.weight"), r"lacks quantize\.embedding\.weight"),
        (lambda state: {**state, "decoder.extra": torch.zeros(2)}, r"also has decoder\.extra"),
        (lambda state: {**state, "quant_conv.bias": torch.zeros(3)}, r"quant_conv\.bias \(3 instead of 4\)"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[State], State], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_llamagen(change(theirs(weights())), "vq_ds16_c2i.pt")
