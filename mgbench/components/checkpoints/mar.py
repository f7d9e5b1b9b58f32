"""Checkpoints of the official code of MAR and eMIGM, converted to our names.

Both (MAR, arXiv:2406.11838; eMIGM, arXiv:2503.07197) have the `mae` network and the `diffusion` head. A checkpoint is a
dictionary with the online weights, `model`, and their moving average, `model_ema`, with which official images are
drawn; some have only one of the two.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from mgbench.components.checkpoints.container import read_container
from mgbench.components.checkpoints.exact import refuse_differences, refuse_numbers, said_shape
from mgbench.components.checkpoints.reading import Reading
from mgbench.components.checkpoints.released import heads_of, sampling_of
from mgbench.components.checkpoints.renaming import Renaming
from mgbench.components.heads.diffusion import Diffusion
from mgbench.components.networks.transformers import MAE
from mgbench.components.processes.masked import MaskedModel
from mgbench.errors import UserError
from mgbench.interfaces.data import TokenSpace

Sees = Literal["visible", "mask_tokens"]

NAMES = Renaming(
    (
        ("mask_token", "network.mask_token"),
        ("fake_latent", "network.class_token"),
        ("z_proj.", "network.embed."),
        ("z_proj_ln.", "network.embed_norm."),
        ("class_emb.", "network.label.classes."),
        ("encoder_pos_embed_learned", "network.encoder_positions"),
        ("decoder_pos_embed_learned", "network.decoder_positions"),
        ("diffusion_pos_embed_learned", "network.head_positions"),
        ("encoder_blocks.#.mlp.fc", "network.encoder.#.fc"),
        ("encoder_blocks.#.", "network.encoder.#."),
        ("encoder_norm.", "network.encoder_norm."),
        ("decoder_embed.", "network.bridge."),
        ("decoder_blocks.#.mlp.fc", "network.decoder.#.fc"),
        ("decoder_blocks.#.", "network.decoder.#."),
        ("decoder_norm.", "network.decoder_norm."),
        ("diffloss.net.time_embed.mlp.", "head.time."),
        ("diffloss.net.cond_embed.", "head.condition."),
        ("diffloss.net.input_proj.", "head.entry."),
        ("diffloss.net.res_blocks.#.in_ln.", "head.blocks.#.norm."),
        ("diffloss.net.res_blocks.#.adaLN_modulation.1.", "head.blocks.#.modulation."),
        ("diffloss.net.res_blocks.#.", "head.blocks.#."),
        ("diffloss.net.final_layer.adaLN_modulation.1.", "head.exit_modulation."),
        ("diffloss.net.final_layer.linear.", "head.exit."),
    )
)
# The tensors whose shapes determine the sizes.
_MASK, _UNLABELLED = "mask_token", "fake_latent"
_SIZES = (
    _MASK,
    "z_proj.weight",
    "class_emb.weight",
    "encoder_pos_embed_learned",
    "diffusion_pos_embed_learned",
    "diffloss.net.input_proj.weight",
)
_ASKED = "give a checkpoint as their trainers write it"


class MarLayout:
    """The layout of MAR and eMIGM, in which `mask_token` [1,D] may be both the mask token and the "no label" embedding."""

    name, about = "mar", "MAR and eMIGM"

    def recognise(self, names: Collection[str]) -> bool:
        return len(set(_SIZES) & set(names)) >= len(_SIZES) // 2

    def read(self, state: Mapping[str, Tensor], source: str, given: Mapping[str, Any]) -> Reading:
        """Read the model in a state dict of tensors of any shape; `given` may have `heads` and `sees` of the network."""
        refuse_differences(source, set(_SIZES) - state.keys())
        network, head, space, classes = _sizes(
            state, _heads(state, source, given), given.get("sees", "visible"), source
        )
        with torch.device("meta"):
            built = _built(network, head, space, classes)
        wanted = self.write(built.state_dict(), {})
        differing = {name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape}
        shapes = {
            name: f"{said_shape(state[name].shape)} instead of {said_shape(wanted[name].shape)}" for name in differing
        }
        refuse_differences(source, wanted.keys() - state.keys(), state.keys() - wanted.keys(), shapes)
        refuse_numbers(source, state)
        tied = _tied(state)
        tensors = {_ours(name): _one_row(name, value) for name, value in state.items() if _kept(name, tied)}
        beside = {name: value for name, value in state.items() if not _kept(name, tied)}
        return Reading(_fields(network, head, tied, space.dim), tensors, classes, space, beside)

    def write(self, tensors: Mapping[str, Tensor], beside: Mapping[str, Tensor]) -> dict[str, Tensor]:
        tied = "network.class_token" not in tensors
        unknown = [name for name in tensors if NAMES.theirs(name) is None]
        if unknown or "network.mask_token" not in tensors:
            raise UserError(
                "this model is none of the mae network with the diffusion head, which the layout of MAR and eMIGM stores"
                + (f": it has {unknown[0]}" if unknown else "")
            )
        state = {str(NAMES.theirs(name)): _in_their_shape(name, value, tied) for name, value in tensors.items()}
        # A model without its own "no label" embedding uses the mask token.
        return {**state, **({_UNLABELLED: state[_MASK]} if tied else {}), **beside}


def read_released(path: Path, weights: Literal["model_ema", "model"] = "model_ema") -> dict[str, Tensor]:
    """Read the weights of a checkpoint, tensors of any shape with their original names, without running code in it.

    Raises:
        UserError: if the file does not have them.
    """
    try:
        state = read_container(path).trees.get(weights, {})
    except UserError as error:
        raise UserError(f"{error}; {_ASKED}") from None
    if not set(_SIZES) <= state.keys():
        raise UserError(f"{path} holds no {weights!r} of MAR or eMIGM; {_ASKED}")
    return dict(state)


def released_model(
    state: Mapping[str, Tensor], heads: int, grid: tuple[int, int] | None = None, sees: Sees = "visible"
) -> MaskedModel:
    """The official model with its weights, tensors of any shape, whose shapes determine its sizes.

    The `heads` of attention and the `grid` do not follow from shapes.

    In eMIGM, one vector is both the mask token and "no label"; a checkpoint has it twice, and in `model_ema` the two
    differ: `fake_latent` is averaged, `mask_token` is not. The official loader uses `mask_token`, and so does this
    function.
    """
    network, head, space, classes = _sizes(state, heads, sees, "the state dict")
    model = _built(network, head, TokenSpace(space.length, space.dim, grid=grid), classes)
    tied = _tied(state)
    model.load_state_dict({_ours(name): _one_row(name, value) for name, value in state.items() if _kept(name, tied)})
    return model.eval()


def _built(network: MAE, head: Diffusion, space: TokenSpace, classes: int) -> MaskedModel:
    return MaskedModel(network.build(space, classes), head.build(space, network.width))


def _sizes(state: Mapping[str, Tensor], heads: int, sees: Sees, source: str) -> tuple[MAE, Diffusion, TokenSpace, int]:
    width, dim = state["z_proj.weight"].shape
    length = state["diffusion_pos_embed_learned"].shape[1]
    try:
        network = MAE(
            width=width,
            depth=_depth(state, r"(?:en|de)coder_blocks\.(\d+)\."),
            heads=heads,
            class_tokens=state["encoder_pos_embed_learned"].shape[1] - length,
            unconditional="mask_token" if _tied(state) else "class_token",
            sees=sees,
        )
    except ValueError as error:
        raise UserError(f"{source}: {error}; give the right number with --set network.heads=N") from None
    head = Diffusion(
        width=len(state["diffloss.net.input_proj.weight"]),
        depth=_depth(state, r"diffloss\.net\.res_blocks\.(\d+)\."),
    )
    return network, head, TokenSpace(length, dim), len(state["class_emb.weight"])


def _heads(state: Mapping[str, Tensor], source: str, given: Mapping[str, Any]) -> int:
    width = len(state["z_proj.weight"])
    heads = given.get("heads") or heads_of(width)
    if heads is None:
        raise UserError(
            f"{source} is {width} wide, which is no released size, and how many heads its attention has no shape tells; "
            "give them with --set network.heads=N"
        )
    return int(heads)


def _fields(network: MAE, head: Diffusion, tied: bool, dim: int) -> dict[str, Any]:
    sizes = {
        name: getattr(network, name) for name in ("width", "depth", "heads", "class_tokens", "unconditional", "sees")
    }
    return {
        "network": f"mae({', '.join(f'{name}={value}' for name, value in sizes.items())})",
        "head": f"diffusion(width={head.width}, depth={head.depth})",
        **sampling_of(tied, network.width, dim),
    }


def _tied(state: Mapping[str, Tensor]) -> bool:
    return state[_MASK].ndim == 2


def _kept(name: str, tied: bool) -> bool:
    """Whether our model has a tensor of this original name; of a vector stored twice, only `mask_token`."""
    return not (tied and name == _UNLABELLED)


def _ours(name: str) -> str:
    return NAMES.ours(name) or name


def _one_row(name: str, value: Tensor) -> Tensor:
    return value.flatten() if name in (_MASK, _UNLABELLED) else value


def _in_their_shape(name: str, value: Tensor, tied: bool) -> Tensor:
    """A tensor with our name in its original shape."""
    theirs = NAMES.theirs(name)
    if theirs == _MASK and not tied:
        return value[None, None]
    return value[None] if theirs in (_MASK, _UNLABELLED) else value


def _depth(state: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max((int(found[1]) for name in state if (found := re.match(pattern, name))), default=0)
