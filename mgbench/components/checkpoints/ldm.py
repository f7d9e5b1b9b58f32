"""Autoencoders of latent diffusion (arXiv:2112.10752), such as MAR's `kl16.ckpt`, converted to `diffusers`.

The converter in `diffusers` drops the attention between residual blocks, which `kl16.ckpt` has at 16x16. The
configuration follows from the shapes, except for the 32 groups of the norms, which are fixed in the original code.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mgbench.components.checkpoints.exact import refuse_differences, refuse_numbers, said_shape
from mgbench.components.checkpoints.renaming import Renaming
from mgbench.errors import UserError

# Prefix of the names if the autoencoder is part of a larger model.
_PART_OF = "first_stage_model."
# Prefixes of parts for training only: discriminator, perceptual loss, and schedule tables.
_ONLY_TRAINS = ("loss.", "model_ema.", "discriminator.")
_SIGNS = (
    "encoder.conv_in.weight",
    "encoder.mid.block_1.conv1.weight",
    "decoder.conv_out.weight",
    "post_quant_conv.weight",
)
_GROUPS = 32
# Latent scale of the autoencoder with factor 16 and 16 channels (MAR and eMIGM: `engine_*.py`).
_SCALES = {"f16c16": 0.2325}


@dataclass(frozen=True)
class StoredAutoencoder:
    """An `AutoencoderKL` of `diffusers`: its configuration, weights, and the names of tensors that were left out.

    `form` is its downsampling factor and number of channels, such as f16c16.
    """

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    left_out: tuple[str, ...]
    form: str


def is_autoencoder(names: Collection[str]) -> bool:
    """Whether these tensor names belong to an autoencoder of latent diffusion, even if some are missing or unexpected."""
    bare = {name.removeprefix(_PART_OF) for name in names}
    return sum(sign in bare for sign in _SIGNS) > len(_SIGNS) // 2


def read_autoencoder(state: Mapping[str, Tensor], source: str) -> StoredAutoencoder:
    """Read the autoencoder in a state dict of tensors of any shape.

    Raises:
        UserError: if a tensor is missing, unexpected, misshapen or not finite, or the bottleneck is not a KL
        bottleneck.
    """
    part = any(name.startswith(_PART_OF) for name in state)
    own = {name.removeprefix(_PART_OF): value for name, value in state.items() if not part or name.startswith(_PART_OF)}
    kept = {name: value for name, value in own.items() if not name.startswith(_ONLY_TRAINS)}
    refuse_differences(source, set(_SIGNS) - kept.keys())
    config = _config(kept, source)
    wanted = write_autoencoder(config, hollow(config).state_dict())
    shapes = {
        name: f"{said_shape(kept[name].shape)} instead of {said_shape(wanted[name].shape)}"
        for name in wanted.keys() & kept.keys()
        if wanted[name].shape != kept[name].shape
    }
    refuse_differences(source, wanted.keys() - kept.keys(), kept.keys() - wanted.keys(), shapes)
    refuse_numbers(source, kept)
    tensors = in_diffusers(config, kept)
    form = f"f{2 ** (len(config['block_out_channels']) - 1)}c{config['latent_channels']}"
    scale = {"scaling_factor": _SCALES[form]} if form in _SCALES else {}
    left_out = tuple(sorted(name for name in own if name not in kept))
    return StoredAutoencoder({"_class_name": "AutoencoderKL", **config, **scale}, tensors, left_out, form)


def write_autoencoder(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict, tensors of any shape, that `read_autoencoder` converts into this configuration and these tensors."""
    return in_latent_diffusion(config, tensors)


def in_diffusers(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of any shape of a configuration, with names of latent diffusion, under those of `diffusers`."""
    names = _names(config)
    return {str(names.ours(name) or name): _ours(name, value) for name, value in state.items()}


def in_latent_diffusion(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of any shape of a configuration, with names of `diffusers`, under those of latent diffusion."""
    names = _names(config)
    return {(theirs := str(names.theirs(name) or name)): _theirs(theirs, value) for name, value in tensors.items()}


def _config(state: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    latent = len(state["post_quant_conv.weight"])
    if state["post_quant_conv.weight"].shape[1] != latent or "quantize.embedding.weight" in state:
        raise UserError(f"{source} is no KL autoencoder, but one with a codebook; give it as the VQModel of diffusers")
    return network_of(state, source)


def network_of(state: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    """The configuration of encoder and decoder in a state dict of tensors of any shape, with names of latent diffusion.

    Raises:
        UserError: if a level is missing, or its width is not that of a network of latent diffusion.
    """
    levels = _count(state, r"encoder\.down\.(\d+)\.")
    try:
        widths = [len(state[f"encoder.down.{level}.block.0.conv1.weight"]) for level in range(levels)]
    except KeyError as error:
        raise UserError(f"{source} does not fit: it lacks {error.args[0]}; give an autoencoder, whole") from None
    if any(width % _GROUPS for width in widths):
        raise UserError(
            f"{source} has levels {said_shape(widths)} wide, which {_GROUPS} groups cannot share; give another"
        )
    return {
        "in_channels": state["encoder.conv_in.weight"].shape[1],
        "out_channels": len(state["decoder.conv_out.weight"]),
        "block_out_channels": widths,
        "layers_per_block": _count(state, r"encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": len(state["post_quant_conv.weight"]),
        "norm_num_groups": _GROUPS,
        "down_block_types": [f"{_attends(state, 'encoder.down', i)}DownEncoderBlock2D" for i in range(levels)],
        "up_block_types": [f"{_attends(state, 'decoder.up', i)}UpDecoderBlock2D" for i in reversed(range(levels))],
    }


def _attends(state: Mapping[str, Tensor], blocks: str, level: int) -> str:
    return "Attn" if f"{blocks}.{level}.attn.0.q.weight" in state else ""


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max((int(found[1]) for name in state if (found := re.match(pattern, name))), default=-1)


def hollow(config: Mapping[str, Any]) -> Any:
    """The autoencoder of a configuration, an `AutoencoderKL` unless it names another class, with weights without content."""
    import diffusers

    with torch.device("meta"):
        return getattr(diffusers, config.get("_class_name", "AutoencoderKL")).from_config(dict(config))


def _names(config: Mapping[str, Any]) -> Renaming:
    levels = len(config["block_out_channels"])
    pairs = [*_blocks("encoder.down.#", "encoder.down_blocks.#"), *_middle("encoder"), *_middle("decoder")]
    for level in range(levels):
        pairs += _blocks(f"decoder.up.{level}", f"decoder.up_blocks.{levels - 1 - level}")
    return Renaming((*pairs, *((f"{half}.norm_out.", f"{half}.conv_norm_out.") for half in ("encoder", "decoder"))))


def _blocks(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    """Name pairs of a level: residual blocks, attention, and resampling."""
    yield f"{theirs}.block.#.nin_shortcut.", f"{ours}.resnets.#.conv_shortcut."
    yield f"{theirs}.block.#.", f"{ours}.resnets.#."
    yield from _attention(f"{theirs}.attn.#", f"{ours}.attentions.#")
    yield f"{theirs}.downsample.", f"{ours}.downsamplers.0."
    yield f"{theirs}.upsample.", f"{ours}.upsamplers.0."


def _middle(half: str) -> Iterator[tuple[str, str]]:
    yield f"{half}.mid.block_1.", f"{half}.mid_block.resnets.0."
    yield f"{half}.mid.block_2.", f"{half}.mid_block.resnets.1."
    yield from _attention(f"{half}.mid.attn_1", f"{half}.mid_block.attentions.0")


def _attention(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    for part, whole in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0"), ("norm", "group_norm")):
        yield f"{theirs}.{part}.", f"{ours}.{whole}."


# Projections of attention, which the original code writes as 1x1 convolutions.
_PRODUCT = re.compile(r"\.attn(_1|\.\d+)\.(q|k|v|proj_out)\.weight$")


def _ours(name: str, value: Tensor) -> Tensor:
    return value[:, :, 0, 0].contiguous() if _PRODUCT.search(name) else value


def _theirs(name: str, value: Tensor) -> Tensor:
    return value[:, :, None, None] if _PRODUCT.search(name) else value
