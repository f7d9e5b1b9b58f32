"""Small drawings of schedules, in the colours of the page."""

from collections.abc import Callable
from itertools import pairwise

import torch

from mgbench.errors import UserError
from mgbench.interfaces.components import GuidanceSchedule, MaskSchedule, TimeGrid
from mgbench.interfaces.sampling import Step
from mgbench.recipes.spec import Spec
from mgbench.registry.registry import Registry

WIDTH, HEIGHT, POINTS, STEPS = 220, 110, 101, 16
Points = list[tuple[float, float]]


def _mask_schedule(schedule: MaskSchedule) -> Points:
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    return list(zip(t.tolist(), schedule(t).tolist(), strict=True))


def _time_grid(grid: TimeGrid) -> Points:
    return [(index / STEPS, t) for index, t in enumerate(grid(STEPS).tolist())]


def _guidance(schedule: GuidanceSchedule) -> Points:
    edges = [1 - index / STEPS for index in range(STEPS + 1)]
    steps = [Step(index, STEPS, t, s, t, s, None) for index, (t, s) in enumerate(pairwise(edges))]
    return [(step.index / (STEPS - 1), schedule(step)) for step in steps]


DRAWN: dict[str, tuple[Callable[..., Points], str]] = {
    "mask_schedule": (_mask_schedule, "share masked γ(t), t from 0 to 1"),
    "time_grid": (_time_grid, "time t after each of 16 steps"),
    "guidance_schedule": (_guidance, "scale in each of 16 steps, γ = t"),
}


def drawn(kind: str, name: str, registry: Registry) -> str:
    """A drawing of a component with its defaults; empty where its kind has none, or options are needed."""
    if kind not in DRAWN:
        return ""
    draw, about = DRAWN[kind]
    try:
        points = draw(registry.build(kind, Spec.parse(name)))
    except UserError:
        return ""
    top = max(1.0, *(y for _, y in points))
    path = " ".join(f"{8 + x * (WIDTH - 16):.1f},{HEIGHT - 8 - y / top * (HEIGHT - 16):.1f}" for x, y in points)
    dots = "".join('<circle cx="{}" cy="{}" r="2.2"/>'.format(*point.split(",")) for point in path.split())
    scale = f"{top:g}" if top > 1 else "1"
    return (
        f'<figure class="curve" markdown="0"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}: {about}">'
        f'<rect x="8" y="8" width="{WIDTH - 16}" height="{HEIGHT - 16}"/><polyline points="{path}"/>'
        f"{dots if len(points) < POINTS else ''}</svg><figcaption>{about}; 0 to {scale}</figcaption></figure>\n"
    )
