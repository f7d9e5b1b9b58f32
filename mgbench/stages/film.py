"""States of the first images of a row after every sampling step, kept while the images are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mgbench.interfaces.sampling import State

# The first images of a row whose states are kept, and those over which the reveal counts are averaged.
FILMED, COUNTED = 8, 32


@dataclass(frozen=True)
class Film:
    """States after each of S steps, on the CPU.

    `tokens` int64 [S,n,N] or float [S,n,N,D] and `mask` bool [S,n,N] are of the first n images, `masked` int64 [S,m] counts the
    masked tokens of the first m.
    """

    tokens: Tensor
    mask: Tensor
    masked: Tensor

    @classmethod
    def join(cls, parts: Sequence["Film"]) -> "Film":
        """One film of the images of several, in their order; one that ended after fewer steps stays at its last state."""
        steps = max(len(part.masked) for part in parts)
        parts = [part.of_length(steps) for part in parts]
        return cls(*(torch.cat([getattr(part, name) for part in parts], 1) for name in ("tokens", "mask", "masked")))

    def of_length(self, steps: int) -> "Film":
        """The same with its last state repeated until there are so many."""
        places = torch.arange(steps).clamp(max=len(self.masked) - 1)
        return Film(self.tokens[places], self.mask[places], self.masked[places])


@dataclass
class Camera:
    """Keeps the states of those images of a batch that are among the first of their row; `indices` int64 [B] ascend."""

    indices: Tensor
    _tokens: list[Tensor] = field(default_factory=list)
    _masks: list[Tensor] = field(default_factory=list)
    _masked: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._filmed, self._counted = (int((self.indices < most).sum()) for most in (FILMED, COUNTED))

    def take(self, state: State) -> None:
        """Keep a state."""
        if self._counted:
            # Copies on the device: a view would hold the whole batch, and a transfer would wait for it.
            self._tokens.append(state.tokens[: self._filmed].clone())
            self._masks.append(state.mask[: self._filmed].clone())
            self._masked.append(state.mask[: self._counted].sum(dim=1))

    def film(self) -> Film | None:
        """All that was kept; None where no image of the batch is among the first."""
        if not self._masked:
            return None
        return Film(*(torch.stack(part).cpu() for part in (self._tokens, self._masks, self._masked)))
