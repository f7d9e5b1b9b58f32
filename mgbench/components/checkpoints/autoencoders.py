"""Export autoencoders of `diffusers` in the layout of latent diffusion."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mgbench.components.checkpoints.container import Container
from mgbench.components.checkpoints.exact import refuse_differences, said_shape
from mgbench.components.checkpoints.ldm import hollow, read_autoencoder, write_autoencoder
from mgbench.errors import UserError

# File names of an autoencoder in `diffusers`.
CONFIG, AUTOENCODER = "config.json", "diffusion_pytorch_model.safetensors"
# The name of the layout.
LDM = "latent diffusion"


def is_stored_autoencoder(folder: Path) -> bool:
    """Whether a folder has an autoencoder in the format of `diffusers`."""
    return (folder / CONFIG).is_file() and (folder / AUTOENCODER).is_file()


def exported_autoencoder(folder: Path) -> Container:
    """The autoencoder in a folder, tensors of any shape, under `model` and the names of latent diffusion (arXiv:2112.10752).

    Raises:
        UserError: if the folder cannot be read, or that layout cannot store its autoencoder.
    """
    config, tensors = _stored(folder)
    if config.get("_class_name") != "AutoencoderKL":
        raise UserError(
            f"{folder} holds an {config.get('_class_name', 'autoencoder')}, and the layout of latent diffusion is of an "
            "AutoencoderKL; keep it as it is, in the format of diffusers"
        )
    _check(folder, config, tensors)
    state = write_autoencoder(config, tensors)
    try:
        again = read_autoencoder(state, str(folder)).config
    except UserError as error:
        raise UserError(f"the layout of latent diffusion cannot store this autoencoder: {error}") from None
    if _network(again) != _network(config):
        raise UserError(
            f"the layout of latent diffusion cannot store the autoencoder in {folder}, whose options its names do not "
            "tell; keep it as it is, in the format of diffusers"
        )
    return Container({"model": state})


def _network(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a configuration that decide what the network computes."""
    beside = ("scaling_factor", "shift_factor", "latents_mean", "latents_std", "sample_size", "force_upcast")
    found = {name: value for name, value in hollow(config).config.items() if name not in beside and name[0] != "_"}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _stored(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return config, load_file(folder / AUTOENCODER)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"the autoencoder in {folder} cannot be read ({error}); get it again, or import it again"
        ) from None


def _check(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    wanted = hollow(config).state_dict()
    shapes = {
        name: f"{said_shape(tensors[name].shape)} instead of {said_shape(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if wanted[name].shape != tensors[name].shape
    }
    refuse_differences(str(folder), wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys(), shapes)
