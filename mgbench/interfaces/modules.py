"""What the modules that tokenizers, networks and heads build must do; symbols as in `mgbench.interfaces.components`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace

# A loop that yields (steps done, steps in all, loss) after some of its steps.
Fitting = Iterator[tuple[int, int, float]]

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from mgbench.interfaces.randomness import Streams
    from mgbench.interfaces.sampling import Drawn


class TokenizerModule(Protocol):
    """A tokenizer for images of one shape; a `torch.nn.Module` whose state is all there is to save."""

    space: TokenSpace

    def fit(self, images: "Tensor", seed: int) -> Fitting:
        """Learn from images uint8 [M,C,H,W'] on the CPU whatever there is to learn, as the loop runs."""

    def encode(self, images: "Tensor") -> "Tensor":
        """Images uint8 [B,C,H,W'] to tokens, int64 [B,N] or float [B,N,D]."""

    def decode(self, tokens: "Tensor") -> "Tensor":
        """Tokens to images uint8 [B,C,H,W']."""


class NetworkModule(Protocol):
    """A `torch.nn.Module` that turns partly masked tokens into one vector a token; of its modules, those with the attribute
    `takes_sequences` are given [B,M,W], and what goes through them counts as token-forwards.
    """

    width: int

    def __call__(self, tokens: "Tensor", mask: "Tensor", labels: "Tensor") -> "Tensor":
        """Tokens, mask [B,N] and labels int64 [B] (-1: none) to z [B,N,W]. What lies under the mask is never looked at."""


class HeadModule(Protocol):
    """A module that draws a token's value from z; a forward is one evaluation. May have `log_likelihood(z, values)` of codes."""

    def loss(self, z: "Tensor", values: "Tensor", generator: "Generator") -> "Tensor":
        """The loss [R] of rows z [R,W] whose true values are int64 [R] or float [R,D]."""

    def sample(
        self,
        z: "Tensor",
        z_uncond: "Tensor | None",
        scale: float,
        rng: "Streams",
        parts: Parts,
        temperature: float = 1.0,
    ) -> "Drawn":
        """Values of rows z [R,W], drawn with one stream a row.

        With `z_uncond` the prediction is moved from the unconditional one by `scale` (1: plain conditional). `parts` holds the
        answers to the kinds that the head asks. A `temperature` T draws a code with probability proportional to p^(1/T)
        (0: the likeliest); what is said of probabilities is of p itself.
        """
