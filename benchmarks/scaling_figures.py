"""The figures of docs/scaling.md: how cost grows, measured and counted, and eMIGM-L on many GPUs.

    python -m benchmarks.scaling_figures docs/benchmarks/scaling.json

from the root of the repository, writes `growth.svg`, `counts.svg` and `gpus.svg` into `docs/assets/scaling/`; prints the table.
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.projection import projections
from mgbench.report.style import COLOURS, theme

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "assets" / "scaling"
UTILISATION = 0.4
GPUS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
NAMES = {"tokens": "tokens of an image", "width": "width of the network", "batch": "images of a batch"}
UNITS = {"tokens": "tokens", "width": "wide", "batch": "at once"}
Points = dict[str, dict[str, float]]


def columns(points: Points, *names: str) -> tuple[list[int], list[list[float]]]:
    """The sizes of an axis, in order, and a list of values for each name; NaN where one was not measured."""
    sizes = sorted(map(int, points))
    return sizes, [[points[str(size)].get(name, math.nan) for size in sizes] for name in names]


def table(found: dict[str, Any]) -> str:
    """Milliseconds of an image by tokens, width and batch in Markdown: measured, and the share of the machine's rate."""
    lines = ["| size | training | of the matrix rate | sampling | of the matrix rate |", "|---|---|---|---|---|"]
    for axis in NAMES:
        for size, point in sorted(found[axis].items(), key=lambda item: int(item[0])):
            cells = []
            for stage in ("train", "sample"):
                seconds = point[f"{stage}_seconds"]
                cells += [f"{1e3 * seconds:.3g} ms", f"{point[f'{stage}_flops'] / seconds / point['rate']:.0%}"]
            lines.append(f"| {int(size):,} {UNITS[axis]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def logarithmic(axes: Axes, sizes: Sequence[int], across: str, up: str) -> None:
    """Both scales as logarithms, ticks across at the sizes, and numbers in plain letters."""
    axes.set(xscale="log", yscale="log", xlabel=across, ylabel=up)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def model_panel(axes: Axes, axis: str, points: Points) -> None:
    """Milliseconds of an image, measured, and counted at the machine's rate of matrix products."""
    sizes, (rate,) = columns(points, "rate")
    for place, (stage, said) in enumerate((("train", "training"), ("sample", "sampling, 8 steps"))):
        _, (seconds, flops) = columns(points, f"{stage}_seconds", f"{stage}_flops")
        counted = [1e3 * count / each for count, each in zip(flops, rate, strict=True)]
        axes.plot(sizes, [1e3 * each for each in seconds], "o-", color=COLOURS[place][0], label=f"{said}, measured")
        axes.plot(sizes, counted, "--", color=COLOURS[place][0], label=f"{said}, counted")
    logarithmic(axes, sizes, NAMES[axis], "ms of CPU an image")


def growth(found: dict[str, Any]) -> None:
    """Tokens, width and batch, a panel each."""
    figure, panels = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for axes, axis in zip(panels, NAMES, strict=True):
        model_panel(axes, axis, found[axis])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.savefig(FOLDER / "growth.svg")


def counts(found: dict[str, Any]) -> None:
    """Seconds by the number of rows and of images."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    series = {
        "rows": {"plan_seconds": "planning them", "report_seconds": "their frame and means"},
        "images": {"fid_seconds": "FID of 64 features", "kid_seconds": "KID of 64 features"},
    }
    for axes, (axis, said) in zip(panels, series.items(), strict=True):
        sizes, values = columns(found[axis], *said)
        for place, (label, seconds) in enumerate(zip(said.values(), values, strict=True)):
            axes.plot(sizes, seconds, "o-", color=COLOURS[place][0], label=label)
        logarithmic(axes, sizes, axis, "s of CPU")
        axes.legend()
    figure.savefig(FOLDER / "counts.svg")


def gpus() -> None:
    """Milliseconds of a training step of eMIGM-L by the number of GPUs: its arithmetic, exchange and reading."""
    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    found = list(projections(UTILISATION, GPUS))
    for place, part in enumerate(("compute", "exchange", "reading")):
        axes.plot(
            GPUS,
            [1e3 * getattr(one.step, part) or math.nan for one in found],
            "o-",
            color=COLOURS[place][0],
            label=part,
        )
    axes.plot(GPUS, [1e3 * one.step.seconds for one in found], color="0.6", linewidth=9, alpha=0.4, label="step")
    logarithmic(axes, GPUS, "GPUs", "ms a step of 2,048 images")
    axes.legend()
    figure.savefig(FOLDER / "gpus.svg")


def main() -> None:
    """Draw all figures."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(table(found))
    with theme():
        growth(found)
        counts(found)
        gpus()


if __name__ == "__main__":
    main()
