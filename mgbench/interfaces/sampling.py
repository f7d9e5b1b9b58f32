"""Data of the sampling loop: the step, the partly masked images, the values from the head, and the input of a sampler.

Symbols as in `mgbench.interfaces.components`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from mgbench.interfaces.data import TokenSpace
    from mgbench.interfaces.randomness import Streams

# The input that a sampler needs to choose positions: only the mask, so that the network and the head run only where a
# token is revealed; the values drawn for all masked tokens; their logits too; or also the predictions for visible
# tokens.
Requires = Literal["mask", "values", "logits", "everything"]
# The network passes of a step: with and without labels, where guidance needs both; only with labels, reusing the last
# guidance term; or none, reusing the last predictions for tokens that are still masked.
Asked = Literal["all", "labelled", "nothing"]


def guided(conditional: "Tensor", unconditional: "Tensor", scale: float) -> "Tensor":
    """Classifier-free guidance u + w (c − u), elementwise, of predictions c and u and a scale w (arXiv:2207.12598).

    w = 1 gives c, and w = 0 gives u. In papers that write (1 + s) c − s u, w = 1 + s.
    """
    return unconditional + scale * (conditional - unconditional)


@dataclass(frozen=True)
class Step:
    """One sampling step from time t to s < t.

    `share_now` and `share_then` are the shares of masked tokens before and after it (expected shares, where images
    differ); `reveal` is the number of tokens revealed in every image, or None where images differ.
    """

    index: int
    total: int
    t: float
    s: float
    share_now: float
    share_then: float
    reveal: int | None = None


@dataclass(frozen=True)
class State:
    """Partly masked images: tokens int64 [B,N] or float [B,N,D], and the mask bool [B,N].

    `log_p` float64 [B,N] is the log-probability with which each visible token was drawn, if the head computes it.
    """

    tokens: "Tensor"
    mask: "Tensor"
    log_p: "Tensor | None" = None


@dataclass(frozen=True)
class Drawn:
    """Values that a head drew for R rows, int64 [R] or float [R,D]; for codes also the logits that they were drawn
    from, float64 [R,K] (−∞ for excluded codes), and the log-probability float64 [R] of each.
    """

    values: "Tensor"
    log_p: "Tensor | None" = None
    logits: "Tensor | None" = None


@dataclass(frozen=True)
class SamplerInput:
    """The input of a sampler for B partly masked images, as far as its `requires` asks for it.

    `log_p` float64 [B,N]: for visible tokens, the log-probability with which they were drawn; for masked tokens
    ("values" and above), that of the value just drawn; with "everything", for visible tokens, that of their value under
    the current prediction. `logits` float64 [B,N,K] ("logits" and above): where the network ran. Both are 0 elsewhere,
    and None if the head has no codes.
    """

    space: "TokenSpace"
    mask: "Tensor"
    log_p: "Tensor | None" = None
    logits: "Tensor | None" = None


@dataclass(frozen=True)
class Request:
    """A request to sample B images: labels int64 [B], the number of steps, a random stream per image, and one for the
    run.
    """

    labels: "Tensor"
    steps: int
    images: "Streams"
    shared: "Streams"
