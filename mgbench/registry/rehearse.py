"""Checks of components before training: signatures of methods, and types of return values.

Components of sampling are called once for a single image; mistakes in those of training show in the first step.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import UnionType
from typing import Any

from mgbench.errors import Unfit, UserError
from mgbench.interfaces import components, optional
from mgbench.interfaces.components import GuidanceSchedule, MaskSchedule, Metric, Parts, TimeGrid
from mgbench.interfaces.data import Features, TokenSpace
from mgbench.recipes.kinds import EVERY_KIND
from mgbench.registry.registry import Bound

# Optional attributes.
_NOT_NEEDED = ("asks", "extractor")
# Numbers of features and, at most, of images with which a metric is tried.
_FEATURES, _MOST = 8, 2000


def check_shapes(bounds: Mapping[str, Bound]) -> None:
    """Compare components with the protocols of their kinds: required attributes and signatures of methods.

    Raises:
        UserError: if an attribute is missing or a signature differs, with file and line.
    """
    for kind, bound in bounds.items():
        maker = bound.offers[0].maker
        for fault in _faults(EVERY_KIND[kind].protocol, maker)[:1]:
            raise UserError(f"{kind}={bound.spec}: {maker.__name__} {fault}{_place(maker)}")


@cache
def _faults(protocol: str, maker: type) -> tuple[str, ...]:
    return tuple(_compared(getattr(components, protocol), maker))


def _compared(protocol: type, maker: type) -> Iterator[str]:
    fields = set(getattr(maker, "__dataclass_fields__", ()))
    for name in vars(protocol).get("__annotations__", {}):
        if name not in _NOT_NEEDED and name not in fields and not hasattr(maker, name):
            yield f"has no attribute {name!r}, which its kind needs"
    for name, method in vars(protocol).items():
        if inspect.isfunction(method) and (name == "__call__" or not name.startswith("_")):
            yield from _call_fault(name, method, getattr(maker, name, None))


def _call_fault(name: str, method: Callable[..., object], theirs: object) -> Iterator[str]:
    wanted = list(inspect.signature(method).parameters)
    shown = f"{name}({', '.join(wanted[1:])})"
    if theirs is None:
        yield f"has no method {shown}"
        return
    if not inspect.isfunction(theirs):
        return
    try:
        inspect.signature(theirs).bind(*wanted)
    except TypeError:
        yield f"has {name}{inspect.signature(theirs)}, which is called as {shown}"


def _place(maker: type) -> str:
    try:
        return f" ({inspect.getsourcefile(maker)}, line {inspect.getsourcelines(maker)[1]})"
    except (OSError, TypeError):
        return ""


def _schedule(schedule: MaskSchedule) -> None:
    import torch

    _need(schedule(torch.linspace(0.1, 0.9, 5)), torch.Tensor, "a mask schedule of 5 times", "shares [5]", (5,))


def _guidance(schedule: GuidanceSchedule) -> None:
    from mgbench.interfaces.sampling import Step

    scale = schedule(Step(0, 2, 1.0, 0.5, 1.0, 0.5))
    _need(scale, float | int, "a guidance schedule", "a number")


def _grid(grid: TimeGrid) -> None:
    import torch

    _need(grid(2), torch.Tensor, "a time grid of 2 steps", "times [3]", (3,))


def rehearse(kind: str, parts: Parts, space: TokenSpace) -> None:
    """Call a component of sampling for two steps of one image, and check the type of its result.

    Raises:
        UserError: if the result has the wrong type.
        Exception: what the component raises.
    """
    if kind == "sampler":
        _sampler(parts, space)
    else:
        _ASKED[kind](getattr(parts, kind))


_ASKED: dict[str, Callable[[Any], None]] = {
    "mask_schedule": _schedule,
    "sampling_schedule": _schedule,
    "guidance_schedule": _guidance,
    "time_grid": _grid,
}
# The kinds that are rehearsed, with the kinds that their results depend on.
REHEARSED: dict[str, tuple[str, ...]] = {
    **{kind: (kind,) for kind in _ASKED},
    "sampler": ("sampler", "sampling_schedule", "time_grid"),
}


def _sampler(parts: Parts, space: TokenSpace) -> None:
    import torch

    from mgbench.interfaces.randomness import Streams
    from mgbench.interfaces.sampling import SamplerInput, Step

    plan = parts.sampler.plan(parts.sampling_schedule, space, parts.time_grid(2), Streams.root(0, "shared"))
    _need(plan, Iterable, "the plan of a sampler", "steps")
    steps = list(plan)
    for step in steps:
        _need(step, Step, "the plan of a sampler", "steps (mgbench.interfaces.sampling.Step)")
    mask = torch.ones(1, space.length, dtype=torch.bool)
    log_p = logits = None
    if parts.sampler.requires != "mask" and space.codes:
        logits = torch.zeros(1, space.length, space.codes, dtype=torch.float64)
        log_p = torch.zeros(1, space.length, dtype=torch.float64)
    view = SamplerInput(space, mask, log_p, logits if parts.sampler.requires in ("logits", "everything") else None)
    images = Streams.root(0, "images").fold(torch.arange(1))
    for step in steps[:1]:
        then = parts.sampler.choose(view, step, images)
        _need(
            then,
            torch.Tensor,
            "the choice of a sampler",
            f"a mask bool [1,{space.length}]",
            (1, space.length),
            torch.bool,
        )


def _need(
    answer: object,
    kind: type | UnionType,
    called: str,
    what: str,
    shape: tuple[int, ...] | None = None,
    dtype: object = None,
) -> None:
    """Refuse a result of another type.

    Raises:
        UserError: with the call, the result and the expected type.
    """
    sound = isinstance(answer, kind) and not (kind == float | int and isinstance(answer, bool))
    sound = sound and (shape is None or tuple(answer.shape) == shape) and (dtype is None or answer.dtype == dtype)  # type: ignore[attr-defined]
    if not sound:
        gave = type(answer).__name__ + (f" {list(answer.shape)}" if hasattr(answer, "shape") else "")
        raise UserError(f"{called} gives {gave}, and should give {what}")


class _Images:
    """Placeholder for images: a metric that reads pixels passed its checks, and its rehearsal ends."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def left_out(metrics: Iterable[Metric], images: int, real: int, held_out: int) -> tuple[str, ...]:
    """The reasons why metrics will be left out for these numbers of generated, real and held-out images.

    Metrics are tried on a few random features of at most `_MOST` images.

    Raises:
        UserError: if a metric raises an error for these numbers of images, or returns no numbers.
    """
    reasons = []
    for metric in metrics:
        try:
            reasons.append(_enough(metric, (images, real, held_out)))
        except UserError:
            raise
        except Exception:  # it reads pixels, which a rehearsal does not have
            continue
    return tuple(filter(None, reasons))


def _enough(metric: Metric, counts: tuple[int, int, int]) -> str:
    """The reason why a metric will be left out, from its check and from a trial with few images; empty if there is
    none.
    """
    try:
        optional.check_counts(metric, *counts[:2])
    except Unfit as reason:
        return str(reason)
    few = (min(counts[0], _MOST), min(counts[1], _MOST), min(counts[2], _MOST))
    try:
        refused = _refusal(metric, few)
    except UserError:
        if few == counts:
            raise
        refused = "too few"
    # A trial uses fewer images than the run, possibly too few.
    return _refusal(metric, counts) if refused and few != counts else refused


def _refusal(metric: Metric, counts: tuple[int, int, int]) -> str:
    """The reason of a metric's check to be left out; empty if there is none."""
    generated, real, held_out = (_features(count) for count in counts)
    try:
        said = metric(generated, replace(real, held_out=held_out if counts[2] else None))
    except Unfit as reason:
        return str(reason)
    _need(said, Mapping, f"{metric}(…)", "numbers by name")
    return ""


def _features(count: int) -> Features:
    import torch

    numbers = torch.randn(count, _FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
    unseen: Any = _Images()
    return Features(numbers, numbers, torch.arange(count) % _FEATURES, numbers, unseen, unseen)
