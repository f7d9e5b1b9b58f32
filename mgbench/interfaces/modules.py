"""Protocols of the `torch.nn.Module`s that components build; symbols as in `mgbench.interfaces.components`.

`HeadModule` stands there too, beside `Head`, because it is given the `Parts` of a recipe.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.torch_module import Module

# A loop that yields (steps done, steps in all, loss) after some of its steps.
Fitting = Iterator[tuple[int, int, float]]

if TYPE_CHECKING:
    from torch import Tensor

    from mgbench.interfaces.images import Images


class TokenizerModule(Module, Protocol):
    """A tokenizer for images of one shape; a `torch.nn.Module` whose state is all there is to save."""

    space: TokenSpace

    def fit(self, images: "Images", seed: int) -> Fitting:
        """Learn from images uint8 [M,C,H,W'] whatever there is to learn, as the loop runs.

        They may be too many for memory: rows are read with `images[rows]`, and all of them with `batches`.
        """

    def encode(self, images: "Tensor") -> "Tensor":
        """Images uint8 [B,C,H,W'] to tokens, int64 [B,N] or float [B,N,D]."""

    def decode(self, tokens: "Tensor") -> "Tensor":
        """Tokens int64 [B,N] or float [B,N,D] to images uint8 [B,C,H,W']."""


class NetworkModule(Module, Protocol):
    """A `torch.nn.Module` that turns partly masked tokens into one vector a token.

    Two attributes are optional (`mgbench.interfaces.optional`): `takes_sequences` of its blocks, and `selects` of the module
    itself, which then is a `SelectiveNetworkModule`.
    """

    width: int

    def __call__(self, tokens: "Tensor", mask: "Tensor", labels: "Tensor") -> "Tensor":
        """Tokens int64 [B,N] or float [B,N,D], mask bool [B,N] and labels int64 [B] (-1: none) to z float [B,N,W].

        A value that lies under the mask never changes the result.
        """


class SelectiveNetworkModule(Module, Protocol):
    """A network that computes z only where somebody reads it."""

    width: int

    def __call__(self, tokens: "Tensor", mask: "Tensor", labels: "Tensor", at: "Tensor | None" = None) -> "Tensor":
        """As `NetworkModule`; with `at` bool [B,N] the rows z float [R,W] where it is True, in the order of z[at]."""
