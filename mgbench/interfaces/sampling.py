"""What passes between the parts of sampling: the step, the unfinished images, what a head drew, what a sampler sees.

Symbols as in `mgbench.interfaces.components`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from mgbench.interfaces.data import TokenSpace
    from mgbench.interfaces.randomness import Streams

# What a sampler must see before it chooses: only the mask, so that the network and the head are paid for only where a token
# is revealed; the values drawn for all masked tokens; their logits too; or also what the network thinks of visible tokens.
Requires = Literal["mask", "values", "logits", "everything"]
# What the network is asked in a step: with and without labels, where guidance needs it; only with them, guidance adding what it
# added last; or nothing, tokens that stayed masked keeping what was said of them.
Asked = Literal["all", "labelled", "nothing"]


def guided(conditional: "Tensor", unconditional: "Tensor", scale: float) -> "Tensor":
    """U + w (c − u) of predictions c and u float [...] and a scale w: classifier-free guidance (arXiv:2207.12598).

    1 gives c and 0 gives u. Papers that write (1 + s) c − s u mean w = 1 + s.
    """
    return unconditional + scale * (conditional - unconditional)


@dataclass(frozen=True)
class Step:
    """One sampling step from time t to s < t.

    `share_now` and `share_then` are the shares of tokens masked before and after it (where each image draws its own number:
    expected); `reveal` is how many tokens every image reveals, or None where each image has its own number.
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
    """Unfinished images: tokens [B,N] int64 or [B,N,D] float, and the mask [B,N].

    `log_p` float64 [B,N] is the log-probability with which each visible token was drawn, where the head knows it.
    """

    tokens: "Tensor"
    mask: "Tensor"
    log_p: "Tensor | None" = None


@dataclass(frozen=True)
class Drawn:
    """What a head drew for R rows: values int64 [R] or float [R,D]; of codes also the logits they were drawn from, float64
    [R,K] (−∞ where a code was left out), and the log-probability [R] of each.
    """

    values: "Tensor"
    log_p: "Tensor | None" = None
    logits: "Tensor | None" = None


@dataclass(frozen=True)
class SamplerInput:
    """What a sampler sees of B unfinished images, as much as its `requires` asks for.

    `log_p` [B,N]: of visible tokens the log-probability with which they were drawn; of masked ones ("values" and further)
    that of the value just drawn; with "everything", of visible ones that of their value now. `logits` [B,N,K]: from "logits" on,
    where the network looked. Both are 0 elsewhere, and None where the head draws no codes.
    """

    space: "TokenSpace"
    mask: "Tensor"
    log_p: "Tensor | None" = None
    logits: "Tensor | None" = None


@dataclass(frozen=True)
class Request:
    """What to sample: labels int64 [B], how many steps, one random stream per image, and one shared by the whole run."""

    labels: "Tensor"
    steps: int
    images: "Streams"
    shared: "Streams"
