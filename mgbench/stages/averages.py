"""Exponential moving averages of the weights in training (EMA), one for each decay."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mgbench.stages.packed import Packing
from mgbench.stages.parallel import as_held, whole

# The state of a model: its parameters and buffers by name.
Weights = dict[str, Tensor]


class Averages:
    """Averages of the parameters of a model, as the ranks of a team hold these; buffers are not averaged.

    After step k (from 0) an average is d·average + (1 − d)·weights with d = min(decay, (1 + k)/(10 + k)), and after the
    first step the weights themselves. The smaller decay at the start lets short trainings forget their random weights.
    """

    def __init__(self, model: nn.Module, packing: Packing, decays: Sequence[float]) -> None:
        self.model, self.packing = model, packing
        self._kept = {decay: [value.clone() for value in packing.packed] for decay in decays}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update every average with the weights after a step."""
        grown = (1 + step) / (10 + step) if step else 0.0
        for decay, kept in self._kept.items():
            torch._foreach_lerp_(kept, self.packing.packed, 1 - min(decay, grown))

    def weights(self, decay: float) -> Weights:
        """The averaged parameters and the current buffers, as this rank holds them."""
        means = dict(zip(map(id, self.packing.parameters), self.packing.split(self._kept[decay]), strict=True))
        return {name: means.get(id(value), value) for name, value in self.model.state_dict(keep_vars=True).items()}

    def state(self) -> dict[float, Weights]:
        """Every average in full, by its decay; every rank of a team must call this."""
        return {decay: whole(self.weights(decay)) for decay in self._kept}

    @torch.no_grad()
    def restore(self, state: Mapping[float, Weights]) -> None:
        """Restore the averages from a state."""
        for decay in self._kept:
            for name, kept in self.weights(decay).items():
                kept.copy_(as_held(state[decay][name], kept))
