"""Predictions of the network cached between sampling steps of the masked process (LazyMAR, arXiv:2503.12450)."""

import torch
from torch import Tensor

from mgbench.interfaces.data import UNLABELLED
from mgbench.interfaces.modules import NetworkModule
from mgbench.interfaces.sampling import Asked, State


class PredictionCache:
    """The last predictions of the network for each of B images.

    `z`, `without` (without a label) and `added` (`without` − z, when both were last computed) are float [B,N,W], None
    before the first prediction. `masked` bool [B,N] is the mask at that time, False for images without a prediction;
    `has_without` and `has_added` bool [B] mark images with the other two.
    """

    def __init__(self, mask: Tensor) -> None:
        self.masked = torch.zeros_like(mask)
        self.has_without = self.has_added = torch.zeros_like(mask[:, 0])
        self.z: Tensor | None = None
        self.without: Tensor | None = None
        self.added: Tensor | None = None

    def predict(
        self, network: NetworkModule, state: State, labels: Tensor, at: Tensor, scale: float, asked: Asked
    ) -> tuple[Tensor, Tensor | None]:
        """Z float [R,W] at positions `at` bool [B,N], and z without a label where guidance needs it (scale not 1).

        Images without such positions are skipped. Missing predictions are computed, whatever `asked` is.

        Raises:
            ValueError: if there is no such position, and nothing is cached.
        """
        guided = scale != 1
        fresh = at.any(1) & ~self._known(at, guided=guided) if asked == "nothing" else at.any(1)
        once = fresh & (self.has_added if asked == "labelled" else torch.zeros_like(fresh)) if guided else fresh
        self._ask_once(network, state, labels, once, guided=guided)
        self._ask_twice(network, state, labels, fresh & ~once)
        if self.z is None:
            raise ValueError("there is no position to look at")
        return self.z[at], self.without[at] if guided and self.without is not None else None

    def _known(self, at: Tensor, *, guided: bool) -> Tensor:
        """The images, bool [B], whose cached predictions cover all positions `at` and were made while these were
        masked.
        """
        known = ~(at & ~self.masked).any(1)
        return known & self.has_without if guided else known

    def _ask_once(self, network: NetworkModule, state: State, labels: Tensor, rows: Tensor, *, guided: bool) -> None:
        if not rows.any():
            return
        z = network(state.tokens[rows], state.mask[rows], labels[rows])
        self.z = _put(self.z, z, rows)
        if guided and self.added is not None:
            self.without = _put(self.without, z + self.added[rows], rows)
        self.masked[rows], self.has_without = state.mask[rows], torch.where(rows, guided, self.has_without)

    def _ask_twice(self, network: NetworkModule, state: State, labels: Tensor, rows: Tensor) -> None:
        """Predict with and without a label, in one batch."""
        if not rows.any():
            return
        tokens, mask, label = state.tokens[rows], state.mask[rows], labels[rows]
        both = torch.cat([label, torch.full_like(label, UNLABELLED)])
        z, without = network(torch.cat([tokens, tokens]), torch.cat([mask, mask]), both).chunk(2)
        self.z, self.without = _put(self.z, z, rows), _put(self.without, without, rows)
        self.added = _put(self.added, without - z, rows)
        self.masked[rows] = mask
        self.has_without, self.has_added = self.has_without | rows, self.has_added | rows


def _put(full: Tensor | None, new: Tensor, rows: Tensor) -> Tensor:
    """`full` [B,N,W], or zeros if None, with some rows replaced."""
    full = new.new_zeros(len(rows), *new.shape[1:]) if full is None else full
    full[rows] = new
    return full
