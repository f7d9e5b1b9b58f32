"""The published models' parameters under our names, and how closely numbers must agree."""

import re
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from mgbench.components.diffusion_head import Diffusion, DiffusionMLP
from mgbench.components.networks import MAE, MaskedAutoencoder
from mgbench.kinds import TokenSpace

Z_AND_HEAD, LOSS, SAMPLING = 3e-6, 1e-5, 2e-5
SPACE = TokenSpace(16, 4, grid=(4, 4))
EMIGM = ("emigm_tiny_256", "emigm_tiny_trained")
SINGLE = "emigm_tiny_single"
MODELS = (*EMIGM, "mar_tiny")

_NETWORK = (
    (r"z_proj\.", "embed."),
    (r"z_proj_ln\.", "embed_norm."),
    (r"class_emb\.", "label.classes."),
    (r"(en|de)coder_pos_embed_learned", r"\1coder_positions"),
    (r"diffusion_pos_embed_learned", "head_positions"),
    (r"(en|de)coder_blocks\.(\d)\.mlp\.", r"\1coder.\2."),
    (r"(en|de)coder_blocks\.", r"\1coder."),
    (r"decoder_embed\.", "bridge."),
    (r"fake_latent", "class_token"),
)
_HEAD = (
    (r"time_embed\.mlp\.", "time."),
    (r"cond_embed\.", "condition."),
    (r"input_proj\.", "entry."),
    (r"res_blocks\.(\d)\.in_ln\.", r"blocks.\1.norm."),
    (r"res_blocks\.(\d)\.adaLN_modulation\.1\.", r"blocks.\1.modulation."),
    (r"res_blocks\.", "blocks."),
    (r"final_layer\.adaLN_modulation\.1\.", "exit_modulation."),
    (r"final_layer\.linear\.", "exit."),
)


@cache
def golden(name: str) -> dict[str, Tensor]:
    return load_file(Path(__file__).parent / f"{name}.safetensors")


def assert_near(value: Tensor, reference: Tensor, tolerance: float) -> None:
    assert value.shape == reference.shape
    away = (value.double() - reference.double()).abs().max() / reference.double().abs().max()
    assert away <= tolerance, f"differs by {away:.1e} of the largest value; at most {tolerance:.0e} is allowed"


def _renamed(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for pattern, ours in pairs:
        name, count = re.subn(f"^{pattern}", ours, name)
        if count:
            break
    return name


def _state(tensors: dict[str, Tensor], prefix: str, pairs: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    kept = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return {_renamed(name, pairs): value for name, value in kept.items() if not name.startswith("diffloss.")}


def network(name: str) -> MaskedAutoencoder:
    """The published network with its weights: the mask token means "no label" in eMIGM, the others have a vector for that."""
    state = _state(golden(name), "sd.", _NETWORK)
    state["mask_token"] = state["mask_token"].flatten()
    class_token = state.pop("class_token").flatten()
    tied = name in EMIGM
    if tied:
        assert torch.equal(class_token, state["mask_token"])
    else:
        state["class_token"] = class_token
    options = MAE(
        width=32,
        depth=2,
        heads=4,
        slots=4,
        unconditional="mask_token" if tied else "class_token",
        sees="mask_tokens" if name == SINGLE else "visible",
    )
    module = options.build(SPACE, 10)
    module.load_state_dict(state, strict=True)
    return module.eval()


def load_head(module: DiffusionMLP, name: str) -> DiffusionMLP:
    module.load_state_dict(_state(golden(name), "sd.diffloss.net.", _HEAD), strict=True)
    return module.eval()


def head(name: str) -> DiffusionMLP:
    """The published head with its weights."""
    return load_head(Diffusion(width=32, depth=2, repeats=2).build(SPACE, 32), name)


class Recorded:
    """Streams that give stored noise [F,R,D]: `fold(k).normal(D)` is noise[k]."""

    def __init__(self, noise: Tensor) -> None:
        self.noise = noise
        self.keys = torch.arange(noise.shape[1] if noise.ndim == 3 else len(noise))

    def fold(self, number: int) -> "Recorded":
        return Recorded(self.noise[number])

    def normal(self, count: int) -> Tensor:
        assert count == self.noise.shape[-1]
        return self.noise.double()
