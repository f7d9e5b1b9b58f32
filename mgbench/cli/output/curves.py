"""Text plots of schedules with default options: kinds that are functions of time or of the step."""

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgbench.interfaces.components import GuidanceSchedule, MaskSchedule, TimeGrid

POINTS, STEPS = 121, 32
Curve = tuple[list[float], list[float], tuple[str, str]]


def curve(kind: str, component: object) -> str:
    """The plot of a component; empty for kinds that are not curves."""
    from mgbench.report.text import text_curve

    drawn = _CURVES.get(kind)
    return text_curve(*drawn(component)) if drawn else ""


def _mask_schedule(component: "MaskSchedule") -> Curve:
    import torch

    times = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    return times.tolist(), component(times).tolist(), ("t", "γ(t), the share of masked tokens")


def _guidance_schedule(component: "GuidanceSchedule") -> Curve:
    from mgbench.interfaces.sampling import Step

    shares = [1 - index / STEPS for index in range(STEPS + 1)]
    steps = [Step(index, STEPS, now, then, now, then) for index, (now, then) in enumerate(itertools.pairwise(shares))]
    return list(range(1, STEPS + 1)), [component(step) for step in steps], (f"step of {STEPS}", "guidance scale")


def _time_grid(component: "TimeGrid") -> Curve:
    return list(range(STEPS + 1)), component(STEPS).tolist(), (f"step of {STEPS}", "t")


_CURVES: Mapping[str, Callable[..., Curve]] = {
    "mask_schedule": _mask_schedule,
    "guidance_schedule": _guidance_schedule,
    "time_grid": _time_grid,
}
