"""Reuse of predictions between sampling steps, which saves evaluations of the network."""

from dataclasses import dataclass

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.sampling import Asked, Step
from mgbench.recipes.spec import Count, Index


@dataclass(frozen=True)
class Nothing:
    """No reuse: the network is evaluated in every step."""

    def __call__(self, step: Step) -> Asked:
        return "all"


@dataclass(frozen=True)
class Guidance:
    """Evaluate the network without a label only every `every` steps, and reuse the guidance term in between.

    The term is z without a label minus z with it, for every token: the condition redundancy of LazyMAR
    (arXiv:2503.12450). A guided step in between costs one forward pass per image instead of two.
    """

    every: Count = 2

    def __call__(self, step: Step) -> Asked:
        return "labelled" if step.index % self.every else "all"


@dataclass(frozen=True)
class Features:
    """From step `start`, evaluate the network only every `every` steps; in between, tokens that stay masked keep their
    z.

    This is the token redundancy of LazyMAR (arXiv:2503.12450), for all masked tokens instead of some. Images in which a
    token was masked again are evaluated, because its z was computed while it was visible.
    """

    every: Count = 2
    start: Index = 0

    def __call__(self, step: Step) -> Asked:
        return "all" if step.index <= self.start or (step.index - self.start) % self.every == 0 else "nothing"


@hookimpl
def mgbench_reuses() -> dict[str, type]:
    return {"none": Nothing, "guidance": Guidance, "features": Features}
