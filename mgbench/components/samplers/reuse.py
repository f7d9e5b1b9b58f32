"""Reuse of the network's answers from one sampling step to the next, which saves evaluations; and none of it."""

from dataclasses import dataclass

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.sampling import Asked, Step
from mgbench.recipes.spec import Count, Index


@dataclass(frozen=True)
class Nothing:
    """The network is asked in every step."""

    def __call__(self, step: Step) -> Asked:
        return "all"


@dataclass(frozen=True)
class Guidance:
    """Without a label the network is asked every `every` steps only; in between what guidance adds stays what it was.

    That is the difference of z without a label from z with it, of every token: the condition redundancy of LazyMAR
    (arXiv:2503.12450). A guided step between costs one pass an image instead of two.
    """

    every: Count = 2

    def __call__(self, step: Step) -> Asked:
        return "labelled" if step.index % self.every else "all"


@dataclass(frozen=True)
class Features:
    """From step `start` on the network is asked every `every` steps only; in between tokens that stay masked keep their z.

    The token redundancy of LazyMAR (arXiv:2503.12450), here for all tokens that stay masked instead of some of them. Images
    in which a token was masked again since are asked anew, as its z was made while it was visible.
    """

    every: Count = 2
    start: Index = 0

    def __call__(self, step: Step) -> Asked:
        return "all" if step.index <= self.start or (step.index - self.start) % self.every == 0 else "nothing"


@hookimpl
def mgbench_reuses() -> dict[str, type]:
    return {"none": Nothing, "guidance": Guidance, "features": Features}
