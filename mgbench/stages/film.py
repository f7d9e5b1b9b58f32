"""Recorded states of the first images of a row after every sampling step."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mgbench.interfaces.sampling import State

# The number of images whose states are kept, and of those over which the counts of revealed tokens are averaged.
FILMED, COUNTED = 8, 32


@dataclass(frozen=True)
class Film:
    """States after each of S steps, on the CPU.

    `tokens` int64 [S,n,N] or float [S,n,N,D] and `mask` bool [S,n,N] are of the first n images, `masked` int64 [S,m]
    counts the masked tokens of the first m.
    """

    tokens: Tensor
    mask: Tensor
    masked: Tensor

    @classmethod
    def join(cls, parts: Sequence["Film"]) -> "Film":
        """Concatenate films of different images; shorter ones repeat their last state."""
        steps = max(len(part.masked) for part in parts)
        parts = [part.of_length(steps) for part in parts]
        return cls(*(torch.cat([getattr(part, name) for part in parts], 1) for name in ("tokens", "mask", "masked")))

    def of_length(self, steps: int) -> "Film":
        """The film with its last state repeated to `steps` states."""
        places = torch.arange(steps).clamp(max=len(self.masked) - 1)
        return Film(self.tokens[places], self.mask[places], self.masked[places])


@dataclass
class Camera:
    """Records the states of those images of a batch that are among the first of their row; `indices` int64 [B]
    increase.
    """

    indices: Tensor
    _tokens: list[Tensor] = field(default_factory=list)
    _masks: list[Tensor] = field(default_factory=list)
    _masked: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._filmed, self._counted = (int((self.indices < most).sum()) for most in (FILMED, COUNTED))

    def take(self, state: State) -> None:
        """Record a state."""
        if self._counted:
            # Copies on the device, because a view would keep the whole batch, and a transfer would synchronise.
            self._tokens.append(state.tokens[: self._filmed].clone())
            self._masks.append(state.mask[: self._filmed].clone())
            self._masked.append(state.mask[: self._counted].sum(dim=1))

    def film(self) -> Film | None:
        """The recorded film; None if no image of the batch is among the first."""
        if not self._masked:
            return None
        return Film(*(torch.stack(part).cpu() for part in (self._tokens, self._masks, self._masked)))
