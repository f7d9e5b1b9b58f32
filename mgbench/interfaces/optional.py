"""Optional attributes of components and of the modules that they build.

Each function is the only place where its attribute is looked up, and says what it means and what holds without it. A `maker`
is the class that a plugin offers; other arguments are what it makes.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from mgbench.interfaces.components import (
        HeadModule,
        MergeableMetric,
        Metric,
        MetricState,
        Parts,
        Process,
        Sampler,
        Solver,
        Tokenizer,
    )
    from mgbench.interfaces.data import ExtractorModule, TokenSpace
    from mgbench.interfaces.modules import NetworkModule, SelectiveNetworkModule
    from mgbench.interfaces.sampling import Step
    from mgbench.interfaces.scores import ScoreInfo

Maker = Callable[..., object]


class Bound(Protocol):
    """An upper bound on −log p of tokens, as a process may offer it under the name `bound`."""

    def __call__(
        self,
        model: "nn.Module",
        parts: "Parts",
        space: "TokenSpace",
        tokens: "Tensor",
        labels: "Tensor",
        generator: "Generator",
    ) -> "Tensor | None":
        """Nats float [B] of tokens int64 [B,N] or float [B,N,D] with labels int64 [B]; None if this model has no bound."""


def asked_kinds(maker: Maker) -> tuple[str, ...]:
    """`asks`: further kinds that a component needs; none without it."""
    return tuple(getattr(maker, "asks", ()))


def usual_answer(maker: Maker, kind: str) -> str | None:
    """An attribute named like a kind that has no default of its own (`extractor`, `solver`): the spec of its usual answer."""
    answer = getattr(maker, kind, None)
    return answer if isinstance(answer, str) else None


def other_names(maker: Maker) -> tuple[str, ...]:
    """`known_as`: what papers and other code call a component; used in suggestions only."""
    return tuple(getattr(maker, "known_as", ()))


def ignored_settings(maker: "Maker | Process[Any]") -> tuple[str, ...]:
    """`ignores`: settings of a recipe that mean nothing to a process; none without it."""
    return tuple(getattr(maker, "ignores", ()))


def content_files(component: object) -> Iterable[Path]:
    """`files`: paths whose content decides what a component does; results belong to that content."""
    return tuple(getattr(component, "files", ()))


def check(component: object, parts: "Parts", space: "TokenSpace") -> None:
    """`check(parts, space)`: whether a component can work with the others; without it, it always can.

    Raises:
        Unfit: if it cannot.
    """
    refuse = getattr(component, "check", None)
    if refuse is not None:
        refuse(parts, space)


def needs_teacher(maker: "Maker | Process[Any]") -> bool:
    """`needs_teacher`: whether a process learns from the trained model of another recipe, which its loss then finds as
    `parts.teacher`; it does not without it.
    """
    return bool(getattr(maker, "needs_teacher", False))


def check_teacher(process: "Process[Any]", parts: "Parts", taught_by: "Parts") -> None:
    """`check_teacher(parts, taught_by)`: whether a process can learn from a model of such parts; without it, from any.

    Raises:
        Unfit: if it cannot.
    """
    refuse = getattr(process, "check_teacher", None)
    if refuse is not None:
        refuse(parts, taught_by)


def begin(process: "Process[Any]", model: "nn.Module", parts: "Parts") -> None:
    """`begin(model, parts)`: give a model the weights from which it starts, with `parts.teacher` at hand; without it they are
    those that it was built with.
    """
    start = getattr(process, "begin", None)
    if start is not None:
        start(model, parts)


def advice(component: object, parts: "Parts", space: "TokenSpace") -> tuple[str, ...]:
    """`advise(parts, space)`: sentences on what will run but is hardly meant; none without it."""
    advise = getattr(component, "advise", None)
    return () if advise is None else tuple(advise(parts, space))


def likelihood_bound(process: "Process[Any]") -> Bound | None:
    """`bound`: an upper bound on −log p, in nats; without it a process has none."""
    bound: Bound | None = getattr(process, "bound", None)
    return bound


def value_temperature(sampler: "Sampler", step: "Step") -> float:
    """`value_temperature(step)`: the temperature at which a head of codes draws in a step; 1 without it."""
    temperature: Callable[[Step], float] | None = getattr(sampler, "value_temperature", None)
    return 1.0 if temperature is None else temperature(step)


def scales(tokenizer: "Tokenizer") -> tuple[int, ...]:
    """`scales`: sides of the square grids of codes that follow each other, coarse to fine; none without it."""
    return tuple(getattr(tokenizer, "scales", ()))


def evaluations(solver: "Solver") -> int:
    """`evaluations`: how often a solver asks for a prediction; as often as `steps` says without it."""
    return int(getattr(solver, "evaluations", solver.steps))


def solver_of_step(solver: "Solver", step: "Step") -> "Solver":
    """`at(step)`: the solver of one sampling step of a masked process; the same in every step without it."""
    of_step: Callable[[Step], Solver] | None = getattr(solver, "at", None)
    return solver if of_step is None else of_step(step)


def log_likelihood(head: "HeadModule") -> "Callable[[Tensor, Tensor], Tensor] | None":
    """`log_likelihood(z, values)`: log p float [R] of codes int64 [R] at rows z [R,W]; without it a head knows none."""
    known: Callable[[Tensor, Tensor], Tensor] | None = getattr(head, "log_likelihood", None)
    return known


def selects(network: "NetworkModule") -> "TypeGuard[SelectiveNetworkModule]":
    """`selects`: whether a network takes the keyword `at` bool [B,N] and returns only the rows z [R,W] where it is True."""
    return bool(getattr(network, "selects", False))


def takes_sequences(module: "nn.Module") -> bool:
    """`takes_sequences`: whether a module's input [B,M,W] counts as B·M token-forwards; it does not without it."""
    return bool(getattr(module, "takes_sequences", False))


def is_plain(extractor: "ExtractorModule") -> bool:
    """`plain`: whether scores are written without the extractor's name, as metrics are named for it (FID for Inception)."""
    return bool(getattr(extractor, "plain", False))


def class_names(extractor: "ExtractorModule", of_data: tuple[str, ...]) -> tuple[str, ...]:
    """`classes`: the names of the classes that the extractor's logits are of; those of the data without it."""
    return tuple(getattr(extractor, "classes", of_data))


def native_side(extractor: "ExtractorModule") -> int | None:
    """`side`: images float in [0, 255] of this side are seen as they are, so that others may resize; None without it."""
    side: int | None = getattr(extractor, "side", None)
    return side


def check_counts(metric: "Metric", generated: int, reference: int) -> None:
    """`check_counts(generated, reference)`: whether so many images of each can be compared; without it, any can.

    A `reference` of 0 images is one of which only statistics are at hand.

    Raises:
        Unfit: if they cannot.
        Partly: if only some of the metric's numbers can be given.
    """
    refuse = getattr(metric, "check_counts", None)
    if refuse is not None:
        refuse(generated, reference)


def mergeable(metric: "Metric") -> "MergeableMetric | None":
    """`update`, `merge` and `compute`: a metric that needs a state of the images only; None for one that needs all features."""
    has_all = all(hasattr(metric, name) for name in ("update", "merge", "compute"))
    return cast("MergeableMetric", metric) if has_all else None


def finished(metric: "MergeableMetric", state: "MetricState") -> "MetricState":
    """`finish(state)`: the state of a whole set in the form that `compute` needs; the state itself without it."""
    finish: Callable[[MetricState], MetricState] | None = getattr(metric, "finish", None)
    return state if finish is None else finish(state)


def needs_reference(metric: "Metric") -> bool:
    """`needs_reference`: whether a metric looks at real images; it does without it. If not, its `compute` is given no state."""
    return bool(getattr(metric, "needs_reference", True))


def statistics(metric: "MergeableMetric", state: "MetricState") -> "MetricState":
    """`statistics(state)`: what the field publishes of a set of images, by its usual names (`mu`, `sigma`, `mu_s`, …); none
    without it.
    """
    known: Callable[[MetricState], MetricState] | None = getattr(metric, "statistics", None)
    return {} if known is None else known(state)


def declared_scores(metric: object) -> "Mapping[str, ScoreInfo]":
    """`scores`: label, unit, direction and source of each number of a metric, by its name; nothing is known without it."""
    found: Mapping[str, ScoreInfo] = getattr(metric, "scores", {})
    return found
