"""The published models with their weights, and how closely numbers must agree."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mgbench.components.checkpoints.mar import released_model
from mgbench.components.processes.masked import MaskedModel
from mgbench.interfaces.data import TokenSpace

Z_AND_HEAD, LOSS, SAMPLING = 3e-6, 1e-5, 2e-5
SPACE, HEADS = TokenSpace(16, 4, grid=(4, 4)), 4
EMIGM = ("emigm_tiny_256", "emigm_tiny_trained")
SINGLE = "emigm_tiny_single"
MODELS = (*EMIGM, "mar_tiny")


@cache
def golden(name: str) -> dict[str, Tensor]:
    return load_file(Path(__file__).parent / f"{name}.safetensors")


def assert_near(value: Tensor, reference: Tensor, tolerance: float) -> None:
    assert value.shape == reference.shape
    away = (value.double() - reference.double()).abs().max() / reference.double().abs().max()
    assert away <= tolerance, f"differs by {away:.1e} of the largest value; at most {tolerance:.0e} is allowed"


@cache
def _model(name: str) -> MaskedModel:
    tensors = golden(name)
    state = {entry.removeprefix("sd."): value for entry, value in tensors.items() if entry.startswith("sd.")}
    return released_model(state, HEADS, SPACE.grid, "mask_tokens" if name == SINGLE else "visible")


def network(name: str) -> Any:
    """The published network with its weights."""
    return copy.deepcopy(_model(name).network)


def head(name: str) -> Any:
    """The published head with its weights."""
    return copy.deepcopy(_model(name).head)


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
