"""Protocols of the `torch.nn.Module`s that components build; symbols as in `mgbench.interfaces.components`.

`HeadModule` is defined there, next to `Head`, because it uses the `Parts` of a recipe.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.torch_module import Module

# A training loop that yields (steps done, total steps, loss) from time to time.
Fitting = Iterator[tuple[int, int, float]]

if TYPE_CHECKING:
    from torch import Tensor

    from mgbench.interfaces.images import Images


class TokenizerModule(Module, Protocol):
    """A tokenizer for images of one shape; a `torch.nn.Module` whose state dict is everything that is saved."""

    space: TokenSpace

    def fit(self, images: "Images", seed: int) -> Fitting:
        """Fit to images uint8 [M,C,H,W'] while the returned loop runs.

        They may exceed memory: read rows with `images[rows]`, and all of them with `batches`.
        """

    def encode(self, images: "Tensor") -> "Tensor":
        """Encode images uint8 [B,C,H,W'] as tokens, int64 [B,N] or float [B,N,D]."""

    def decode(self, tokens: "Tensor") -> "Tensor":
        """Decode tokens int64 [B,N] or float [B,N,D] to images uint8 [B,C,H,W']."""


class NetworkModule(Module, Protocol):
    """A `torch.nn.Module` that maps partly masked tokens to one vector per token.

    Two attributes are optional (`mgbench.interfaces.optional`): `takes_sequences` of its blocks, and `selects` of the
    module itself, which then is a `SelectiveNetworkModule`.
    """

    width: int

    def __call__(self, tokens: "Tensor", mask: "Tensor", labels: "Tensor") -> "Tensor":
        """Map tokens int64 [B,N] or float [B,N,D], mask bool [B,N] and labels int64 [B] (-1: none) to z float [B,N,W].

        The values of masked tokens do not affect the result.
        """


class SelectiveNetworkModule(Module, Protocol):
    """A network that computes z only at the requested positions."""

    width: int

    def __call__(self, tokens: "Tensor", mask: "Tensor", labels: "Tensor", at: "Tensor | None" = None) -> "Tensor":
        """As `NetworkModule`; with `at` bool [B,N] only the rows z[at], float [R,W]."""
