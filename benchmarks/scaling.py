"""How cost grows, measured and counted: tokens, width, batch, processes, rows and images, each alone.

    OMP_NUM_THREADS=1 python -m benchmarks.scaling --out docs/benchmarks/scaling.json
    python -m benchmarks.scaling_figures docs/benchmarks/scaling.json          # draws the figures of docs/scaling.md

from the root of the repository. Seconds are those of the processor (of rank 0, where there are two processes), medians of a few
repetitions; counted ones are operations over the machine's own rate of matrix products. Points that the file holds are
not measured again, so that a run that was stopped goes on; `--only tokens,batch` measures some axes, `--small` the least of each.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Generator

from benchmarks.plan import plan as planned
from benchmarks.plan import study
from mgbench.components.metrics.distances import Fid, Kid
from mgbench.engines.distributed import First, Other
from mgbench.interfaces.data import Features, TokenSpace
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.registry.loading import load
from mgbench.registry.resolve import assemble
from mgbench.report.frame import as_frame, name_series
from mgbench.report.summary import summarise
from mgbench.results.environment import environment
from mgbench.results.store import Store
from mgbench.stages.evaluate import compute_scores
from mgbench.stages.extracted import Extracted
from mgbench.stages.speed import Subject, sampling_work, training_work
from mgbench.stages.timing import Work
from mgbench.stages.train import Training
from tests.report.synthetic import FID, large

CPU = torch.device("cpu")
BASE = {"tokens": 64, "width": 128, "batch": 16}
AXES: dict[str, Sequence[int]] = {
    "tokens": (16, 64, 256, 1024),
    "width": (32, 64, 128, 256, 512),
    "batch": (1, 4, 16, 64, 256),
    "processes": (1, 2),
    "rows": (1_000, 10_000, 100_000),
    "images": (1_000, 10_000, 100_000),
}
# Images that KID compares in pairs within a minute.
PAIRED = 10_000
# Features of an image in the axis of images, those of our small extractors.
FEATURES = 64
Point = dict[str, float]


def cpu_seconds(work: Work, repetitions: int) -> float:
    """The median seconds of the processor of some work, after one call that does not count."""
    work()
    return statistics.median(_once(work) for _ in range(repetitions))


def _once(work: Work) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def matrix_rate(side: int = 512, repetitions: int = 9) -> float:
    """Operations of matrix products in a second of the processor."""
    square = torch.ones(side, side)
    return 2 * side**3 / cpu_seconds(lambda: square @ square, repetitions)


def subject(**changed: int) -> Subject:
    """EMIGM on so many tokens, of a width and at a batch size: two and two blocks of four heads."""
    size = {**BASE, **changed}
    network = f"mae(width={size['width']}, depth=2, heads=4)"
    known = {name: recipe for offered in load().recipes.values() for name, recipe in offered.items()}
    recipe = known["emigm"].change(network=network, batch_size=size["batch"], sampling_steps=8)
    return Subject(recipe, assemble(load(), recipe).parts, TokenSpace(size["tokens"], 4), 10, CPU)


def of_model(axis: str) -> Callable[[int], Point]:
    """Training steps and samples of models that differ in one size."""

    def point(size: int) -> Point:
        one, repetitions = subject(**{axis: size}), 3
        costs = one.counted
        batch = one.recipe.batch_size
        return {
            "rate": matrix_rate(),
            "train_seconds": cpu_seconds(training_work(one), repetitions) / batch,
            "train_flops": costs["train_flops_per_image"],
            "sample_seconds": cpu_seconds(sampling_work(one), 1) / batch,
            "sample_flops": costs["flops_per_image"],
        }

    return point


def of_processes(count: int) -> Point:
    """Training steps of a batch that processes share (DDP over gloo): seconds of rank 0, and bytes that it sends in a step."""
    one = subject(batch=64)
    sent = 2 * (count - 1) / count * 4 * one.counted["parameters"]
    seconds = _steps(one, ALONE) if count == 1 else _together(one)
    return {
        "train_seconds": seconds / one.recipe.batch_size,
        "exchanged_bytes": sent,
        "parameters": one.counted["parameters"],
    }


def _steps(one: Subject, team: Team) -> float:
    with team.group(CPU):
        module = one.fresh().module.train()
        training = Training(one.recipe, one.parts, module, CPU, team)
        tokens = torch.randn(one.recipe.batch_size, one.space.length, one.space.dim)
        labels = torch.arange(one.recipe.batch_size) % one.classes
        return cpu_seconds(lambda: training.advance(tokens, labels, Generator()), 7)


@dataclass(frozen=True)
class Share:
    """The part of another rank."""

    def help(self, other: Other) -> None:
        """Take the steps that rank 0 takes."""
        _steps(subject(batch=64), other)


def _serve(pipe: Connection) -> None:
    torch.set_num_threads(1)
    other = Other(1, 2, pipe)
    other.serve(lambda task: task.help(other))


def _together(one: Subject) -> float:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    first = First([here])
    with first.running(Share()):  # type: ignore[arg-type]
        seconds = _steps(one, first)
    here.close()
    process.join(30)
    return seconds


def of_rows(count: int) -> Point:
    """Planning so many recipes, and making the frame and the means of as many stored rows."""
    registry = load()
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        number = planned(registry, study(registry, count), Store(Path(folder)))
        planning = time.process_time() - started
    records = [(record, record.method) for record in large(count)]
    started = time.process_time()
    frame = as_frame(records)
    frame["series"] = name_series(frame)
    summarise(frame, FID, allow_mismatch=True)
    return {"plan_seconds": planning, "planned": float(number), "report_seconds": time.process_time() - started}


def of_images(count: int) -> Point:
    """FID of so many images, against as many; and KID, whose kernel is quadratic in them, of up to `PAIRED`."""
    both = [
        Extracted.of(Features(torch.randn(count, FEATURES, generator=Generator().manual_seed(seed)).double()))
        for seed in (0, 1)
    ]
    point = {"fid_seconds": _once(lambda: compute_scores((Fid(),), *both, ""))}
    return point if count > PAIRED else {**point, "kid_seconds": _once(lambda: compute_scores((Kid(),), *both, ""))}


MEASURES: dict[str, Callable[[int], Point]] = {
    **{axis: of_model(axis) for axis in BASE},
    "processes": of_processes,
    "rows": of_rows,
    "images": of_images,
}


def todo(found: dict[str, Any], axes: Sequence[str], small: bool) -> Iterator[tuple[str, int]]:
    """Axes and sizes that are not measured yet."""
    for axis in axes:
        yield from ((axis, size) for size in AXES[axis][: 1 if small else None] if str(size) not in found.get(axis, {}))


def main(given: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the file after every point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join(AXES))
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args(given)
    torch.set_num_threads(1)
    found = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else {}
    for axis, size in todo(found, asked.only.split(","), asked.small):
        point = MEASURES[axis](size)
        found.setdefault(axis, {})[str(size)] = point
        found["environment"] = {name: environment(CPU)[name] for name in ("cpu", "host_cores", "torch", "python")}
        asked.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(f"{axis} {size:,}: {', '.join(f'{name} {value:.4g}' for name, value in point.items())}", flush=True)


if __name__ == "__main__":
    main()
