"""The autoencoder with a codebook of LlamaGen (arXiv:2406.06525), `vq_ds16_c2i.pt`, converted to the `VQModel` of `diffusers`.

Halton-MaskGIT draws its codes. Its network is that of latent diffusion under other names. Codes are looked up on a sphere:
latents and codebook are normalised before they are compared. With a normalised codebook the nearest vector is the same
whether or not latents are, so that one is stored.
"""

import re
from collections.abc import Collection, Mapping

from torch import Tensor
from torch.nn import functional

from mgbench.components.checkpoints.exact import refuse_differences, refuse_numbers, said_shape
from mgbench.components.checkpoints.ldm import StoredAutoencoder, hollow, in_diffusers, in_latent_diffusion, network_of
from mgbench.components.checkpoints.renaming import Renaming

_CODEBOOK, _INTO, _OUT_OF = "quantize.embedding.weight", "quant_conv.weight", "post_quant_conv.weight"
_SIGNS = ("encoder.conv_blocks.0.res.0.conv1.weight", "decoder.conv_blocks.0.res.0.conv1.weight", _CODEBOOK, _OUT_OF)
# Which codes were in use lately, which only training asks for.
_ONLY_TRAINS = ("quantize.codebook_used",)


def is_llamagen(names: Collection[str]) -> bool:
    """Whether these tensor names belong to an autoencoder of LlamaGen, even if some are missing or unexpected."""
    return sum(sign in names for sign in _SIGNS) > len(_SIGNS) // 2


def read_llamagen(state: Mapping[str, Tensor], source: str) -> StoredAutoencoder:
    """Read the autoencoder in a state dict of tensors of any shape.

    Raises:
        UserError: if a tensor is missing, unexpected, misshapen or not finite.
    """
    kept = {name: value for name, value in state.items() if name not in _ONLY_TRAINS}
    refuse_differences(source, {*_SIGNS, _INTO} - kept.keys())
    names = _names(
        1 + max(int(found[1]) for name in kept if (found := re.match(r"decoder\.conv_blocks\.(\d+)\.", name)))
    )
    renamed = {names.ours(name) or name: value for name, value in kept.items()}
    codes, dim = kept[_CODEBOOK].shape
    network = network_of(renamed, source)
    config = {**network, "_class_name": "VQModel", "num_vq_embeddings": codes, "vq_embed_dim": dim}
    wanted = {
        names.theirs(name) or name: part
        for name, part in in_latent_diffusion(config, hollow(config).state_dict()).items()
    }
    shapes = {
        name: f"{said_shape(kept[name].shape)} instead of {said_shape(wanted[name].shape)}"
        for name in wanted.keys() & kept.keys()
        if wanted[name].shape != kept[name].shape
    }
    refuse_differences(source, wanted.keys() - kept.keys(), kept.keys() - wanted.keys(), shapes)
    refuse_numbers(source, kept)
    tensors = {**in_diffusers(config, renamed), _CODEBOOK: functional.normalize(kept[_CODEBOOK], dim=-1)}
    left_out = tuple(sorted(state.keys() - kept.keys()))
    return StoredAutoencoder(config, tensors, left_out, f"f{2 ** (len(network['block_out_channels']) - 1)}c{dim}")


def _names(levels: int) -> Renaming:
    """The names of LlamaGen and of latent diffusion."""
    pairs = [
        (f"{half}.mid.{place}.", f"{half}.mid.{part}.") for half in ("encoder", "decoder") for place, part in _MIDDLE
    ]
    blocks = [("encoder.conv_blocks.#", "encoder.down.#")]
    # The decoder of LlamaGen counts its levels from the smallest on.
    blocks += [(f"decoder.conv_blocks.{levels - 1 - level}", f"decoder.up.{level}") for level in range(levels)]
    for theirs, ours in blocks:
        pairs += [(f"{theirs}.res.#.", f"{ours}.block.#."), (f"{theirs}.attn.#.", f"{ours}.attn.#.")]
        pairs += [(f"{theirs}.{way}sample.", f"{ours}.{way}sample.") for way in ("down", "up")]
    return Renaming(tuple(pairs))


_MIDDLE = (("0", "block_1"), ("1", "attn_1"), ("2", "block_2"))
