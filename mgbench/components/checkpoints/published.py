"""Checkpoints as the published trainers of MAR and eMIGM write them, under our names.

Both have one skeleton (MAR, arXiv:2406.11838; eMIGM, arXiv:2503.07197): the `mae` network and the `diffusion` head. A
checkpoint is a dictionary with the online weights, `model`, and their moving average, `model_ema`, by which images are
published; some hold only one of the two.
"""

import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal

import torch
from torch import Tensor

from mgbench.components.heads.diffusion import Diffusion
from mgbench.components.networks.transformers import MAE
from mgbench.components.processes.masked import MaskedModel
from mgbench.errors import UserError
from mgbench.interfaces.data import TokenSpace

Sees = Literal["visible", "mask_tokens"]

_NETWORK = (
    (r"z_proj\.", "embed."),
    (r"z_proj_ln\.", "embed_norm."),
    (r"class_emb\.", "label.classes."),
    (r"(en|de)coder_pos_embed_learned", r"\1coder_positions"),
    (r"diffusion_pos_embed_learned", "head_positions"),
    (r"(en|de)coder_blocks\.(\d+)\.mlp\.", r"\1coder.\2."),
    (r"(en|de)coder_blocks\.", r"\1coder."),
    (r"decoder_embed\.", "bridge."),
    (r"fake_latent", "class_token"),
)
_HEAD = (
    (r"time_embed\.mlp\.", "time."),
    (r"cond_embed\.", "condition."),
    (r"input_proj\.", "entry."),
    (r"res_blocks\.(\d+)\.in_ln\.", r"blocks.\1.norm."),
    (r"res_blocks\.(\d+)\.adaLN_modulation\.1\.", r"blocks.\1.modulation."),
    (r"res_blocks\.", "blocks."),
    (r"final_layer\.adaLN_modulation\.1\.", "exit_modulation."),
    (r"final_layer\.linear\.", "exit."),
)
_HEAD_PREFIX = "diffloss.net."
_WANTED = ("mask_token", "fake_latent", "z_proj.weight", "class_emb.weight", f"{_HEAD_PREFIX}input_proj.weight")

_ASKED = "give a checkpoint as their trainers write it"


def read_published(path: Path, weights: Literal["model_ema", "model"] = "model_ema") -> dict[str, Tensor]:
    """The weights in a checkpoint under their published names, without running any code that it may hold.

    Raises:
        UserError: if the file does not hold them.
    """
    try:
        with torch.serialization.safe_globals([Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise UserError(f"{path} cannot be read ({_first_line(error)}); {_ASKED}") from None
    state = content.get(weights) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(name in state for name in _WANTED):
        raise UserError(f"{path} holds no {weights!r} of MAR or eMIGM; {_ASKED}")
    return {name: value.detach() for name, value in state.items()}


def published_model(
    state: Mapping[str, Tensor], heads: int, grid: tuple[int, int] | None = None, sees: Sees = "visible"
) -> MaskedModel:
    """The published model with its weights; sizes follow from their shapes, but for the `heads` of attention and the `grid`.

    Where one vector is both the mask token and "no label" (eMIGM), a checkpoint names it twice, and in `model_ema` the two
    differ: `fake_latent` is the average, and `mask_token` is not. The published loader lets `mask_token` win, and so does this.
    """
    tied = state["mask_token"].ndim == 2
    width, dim = state["z_proj.weight"].shape
    length = state["diffusion_pos_embed_learned"].shape[1]
    network = MAE(
        width=width,
        depth=_count(state, r"encoder_blocks\.(\d+)\."),
        heads=heads,
        class_tokens=state["encoder_pos_embed_learned"].shape[1] - length,
        unconditional="mask_token" if tied else "class_token",
        sees=sees,
    )
    head = Diffusion(
        width=len(state[f"{_HEAD_PREFIX}input_proj.weight"]),
        depth=_count(state, rf"{re.escape(_HEAD_PREFIX)}res_blocks\.(\d+)\."),
    )
    space = TokenSpace(length, dim, grid=grid)
    model = MaskedModel(network.build(space, len(state["class_emb.weight"])), head.build(space, width))
    model.load_state_dict(_translated(state, tied), strict=True)
    return model.eval()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({found[1] for name in state if (found := re.match(pattern, name))})


def _translated(state: Mapping[str, Tensor], tied: bool) -> dict[str, Tensor]:
    """The weights under the names of `MaskedModel`."""
    ours = {}
    for name, value in state.items():
        if name.startswith(_HEAD_PREFIX):
            ours["head." + _renamed(name.removeprefix(_HEAD_PREFIX), _HEAD)] = value
        elif name in ("mask_token", "fake_latent"):
            if name == "mask_token" or not tied:
                ours["network." + _renamed(name, _NETWORK)] = value.flatten()
        else:
            ours["network." + _renamed(name, _NETWORK)] = value
    return ours


def _renamed(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for pattern, ours in pairs:
        name, count = re.subn(f"^{pattern}", ours, name)
        if count:
            break
    return name
