"""Optional attributes of components and of the modules that they build.

Each attribute is looked up only by the function below that documents it and its default. A `maker` is the class that a
plugin offers; the other arguments are instances.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from mgbench.interfaces.artifacts import FinishedRow
    from mgbench.interfaces.components import (
        HeadModule,
        MergeableMetric,
        Metric,
        MetricState,
        Parts,
        Process,
        ReferenceMetric,
        Sampler,
        Solver,
        Tokenizer,
    )
    from mgbench.interfaces.data import ExtractorModule, TokenSpace
    from mgbench.interfaces.modules import NetworkModule, SelectiveNetworkModule
    from mgbench.interfaces.randomness import Streams
    from mgbench.interfaces.sampling import Step
    from mgbench.interfaces.scores import ScoreInfo

Maker = Callable[..., object]


class Bound(Protocol):
    """An upper bound on −log p of tokens; a process may offer it under the name `bound`."""

    def __call__(
        self,
        model: "nn.Module",
        parts: "Parts",
        space: "TokenSpace",
        tokens: "Tensor",
        labels: "Tensor",
        generator: "Generator",
    ) -> "Tensor | None":
        """The bound in nats, float [B], of tokens int64 [B,N] or float [B,N,D] with labels int64 [B]; None if there is
        none.
        """


def asked_kinds(maker: Maker) -> tuple[str, ...]:
    """`asks`: other kinds that the component needs. Default: none."""
    return tuple(getattr(maker, "asks", ()))


def usual_answer(maker: Maker, kind: str) -> str | None:
    """An attribute with the name of a kind that has no default (`extractor`, `solver`): the spec to use for that kind."""
    answer = getattr(maker, kind, None)
    return answer if isinstance(answer, str) else None


def other_names(maker: Maker) -> tuple[str, ...]:
    """`known_as`: names of the component in papers and other code; used only in suggestions."""
    return tuple(getattr(maker, "known_as", ()))


def ignored_settings(maker: "Maker | Process[Any]") -> tuple[str, ...]:
    """`ignores`: settings of a recipe that do not apply to a process. Default: none."""
    return tuple(getattr(maker, "ignores", ()))


def content_files(component: object) -> Iterable[Path]:
    """`files`: paths of files that the component reads; their content is part of the key of results."""
    return tuple(getattr(component, "files", ()))


def fetching(component: object) -> Callable[[], None] | None:
    """`fetch()`: download the missing files of a component, for `mgbench prepare`; None without it.

    A run never calls it.

    Raises:
        UserError: if they cannot be downloaded.
    """
    known: Callable[[], None] | None = getattr(component, "fetch", None)
    return known


def check(component: object, parts: "Parts", space: "TokenSpace") -> None:
    """`check(parts, space)`: check that a component works with the others. Default: it always does.

    Raises:
        Unfit: if it does not.
    """
    refuse = getattr(component, "check", None)
    if refuse is not None:
        refuse(parts, space)


def needs_teacher(maker: "Maker | Process[Any]") -> bool:
    """`needs_teacher`: whether a process learns from the trained model of another recipe, available to its loss as
    `parts.teacher`. Default: False.
    """
    return bool(getattr(maker, "needs_teacher", False))


def check_teacher(process: "Process[Any]", parts: "Parts", taught_by: "Parts") -> None:
    """`check_teacher(parts, taught_by)`: check that a process can learn from a model with these parts. Default: from
    any.

    Raises:
        Unfit: if it cannot.
    """
    refuse = getattr(process, "check_teacher", None)
    if refuse is not None:
        refuse(parts, taught_by)


def begin(process: "Process[Any]", model: "nn.Module", parts: "Parts") -> None:
    """`begin(model, parts)`: initialise a model in place before training; `parts.teacher` is available. Default: keep
    the weights from `build`.
    """
    start = getattr(process, "begin", None)
    if start is not None:
        start(model, parts)


def rate_factor(process: "Process[Any]", child: str) -> float:
    """`rates`: by what the learning rate of a child of the model is multiplied, by the child's name; 1 without it."""
    rates: Mapping[str, float] = getattr(process, "rates", {})
    return float(rates.get(child, 1.0))


def advice(component: object, parts: "Parts", space: "TokenSpace") -> tuple[str, ...]:
    """`advise(parts, space)`: warnings about combinations that run but are probably not intended. Default: none."""
    advise = getattr(component, "advise", None)
    return () if advise is None else tuple(advise(parts, space))


def artifacts(component: object) -> "Callable[[FinishedRow], Mapping[str, bytes]] | None":
    """`artifacts(row)`: files to keep beside a row that was drawn and scored, by name; None without it."""
    made: Callable[[FinishedRow], Mapping[str, bytes]] | None = getattr(component, "artifacts", None)
    return made


def likelihood_bound(process: "Process[Any]") -> Bound | None:
    """`bound`: an upper bound on −log p, in nats. Default: None."""
    bound: Bound | None = getattr(process, "bound", None)
    return bound


def value_temperature(sampler: "Sampler", step: "Step") -> float:
    """`value_temperature(step)`: the temperature at which a head of codes samples in a step. Default: 1."""
    temperature: Callable[[Step], float] | None = getattr(sampler, "value_temperature", None)
    return 1.0 if temperature is None else temperature(step)


def scales(tokenizer: "Tokenizer") -> tuple[int, ...]:
    """`scales`: side lengths of the square grids of codes, coarse to fine. Default: none."""
    return tuple(getattr(tokenizer, "scales", ()))


def expected_space(tokenizer: "Tokenizer", shape: tuple[int, int, int]) -> "TokenSpace | None":
    """`expected_space(shape)`: the tokens of images of a shape (C, H, W') without the weights that they need; None without it."""
    expected: Callable[[tuple[int, int, int]], TokenSpace | None] | None = getattr(tokenizer, "expected_space", None)
    return None if expected is None else expected(shape)


def evaluations(solver: "Solver") -> int:
    """`evaluations`: the number of predictions that a solver makes. Default: `steps`."""
    return int(getattr(solver, "evaluations", solver.steps))


def solver_of_step(solver: "Solver", step: "Step") -> "Solver":
    """`at(step)`: the solver for one sampling step of a masked process. Default: the same solver in every step."""
    of_step: Callable[[Step], Solver] | None = getattr(solver, "at", None)
    return solver if of_step is None else of_step(step)


def with_latent(model: "nn.Module") -> "Callable[[Tensor, Streams], Tensor] | None":
    """`with_latent(z, streams)`: z float [R,W] of a masked model under latents drawn from R streams, which are equal for
    the tokens that one image draws in one step. Default: None, no latent.
    """
    vary: Callable[[Tensor, Streams], Tensor] | None = getattr(model, "with_latent", None)
    return vary


def log_likelihood(head: "HeadModule") -> "Callable[[Tensor, Tensor], Tensor] | None":
    """`log_likelihood(z, values)`: log p float [R] of codes int64 [R] given z [R,W]. Default: None."""
    known: Callable[[Tensor, Tensor], Tensor] | None = getattr(head, "log_likelihood", None)
    return known


def selects(network: "NetworkModule") -> "TypeGuard[SelectiveNetworkModule]":
    """`selects`: whether a network accepts the keyword `at` bool [B,N] and returns only the rows z[at] [R,W]."""
    return bool(getattr(network, "selects", False))


def takes_sequences(module: "nn.Module") -> bool:
    """`takes_sequences`: whether an input [B,M,W] of the module counts as B·M token-forwards. Default: False."""
    return bool(getattr(module, "takes_sequences", False))


def is_plain(extractor: "ExtractorModule") -> bool:
    """`plain`: whether scores are written without the extractor's name (FID means Inception). Default: False."""
    return bool(getattr(extractor, "plain", False))


def class_names(extractor: "ExtractorModule", of_data: tuple[str, ...]) -> tuple[str, ...]:
    """`classes`: names of the classes of the extractor's logits. Default: those of the data set."""
    return tuple(getattr(extractor, "classes", of_data))


def native_side(extractor: "ExtractorModule") -> int | None:
    """`side`: float images in [0, 255] with this side length are not resized by the extractor. Default: None."""
    side: int | None = getattr(extractor, "side", None)
    return side


def check_counts(metric: "Metric", generated: int, reference: int) -> None:
    """`check_counts(generated, reference)`: check that these numbers of images can be compared. Default: any can.

    A `reference` of 0 images means that only its statistics are known.

    Raises:
        Unfit: if they cannot.
        Partly: if only some of the metric's numbers can be computed.
    """
    refuse = getattr(metric, "check_counts", None)
    if refuse is not None:
        refuse(generated, reference)


def mergeable(metric: "Metric") -> "MergeableMetric | None":
    """`update`, `merge` and `compute`: the metric itself if it has them; None if it needs all features at once."""
    has_all = all(hasattr(metric, name) for name in ("update", "merge", "compute"))
    return cast("MergeableMetric", metric) if has_all else None


def comparing(metric: "Metric") -> "ReferenceMetric | None":
    """`of_reference` and `compare`: the metric itself if it has them; None if none of its work is about real images alone."""
    has_all = all(hasattr(metric, name) for name in ("of_reference", "compare"))
    return cast("ReferenceMetric", metric) if has_all else None


def finished(metric: "MergeableMetric", state: "MetricState") -> "MetricState":
    """`finish(state)`: the state of a complete set of images in a form that is fast to compare. Default: the state
    itself.
    """
    finish: Callable[[MetricState], MetricState] | None = getattr(metric, "finish", None)
    return state if finish is None else finish(state)


def needs_reference(metric: "Metric") -> bool:
    """`needs_reference`: whether a metric compares with real images; if not, `compute` gets None for them. Default:
    True.
    """
    return bool(getattr(metric, "needs_reference", True))


def statistics(metric: "MergeableMetric", state: "MetricState") -> "MetricState":
    """`statistics(state)`: the statistics of a set of images by their usual names (`mu`, `sigma`, `mu_s`, …). Default:
    none.
    """
    known: Callable[[MetricState], MetricState] | None = getattr(metric, "statistics", None)
    return {} if known is None else known(state)


def declared_scores(metric: object) -> "Mapping[str, ScoreInfo]":
    """`scores`: label, unit, better direction and source of each number of a metric, by name. Default: none."""
    found: Mapping[str, ScoreInfo] = getattr(metric, "scores", {})
    return found
