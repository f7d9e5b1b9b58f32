"""Share of the time of rows that lies outside network, head and features: `python -m benchmarks.row_share [METHOD [ROWS]]`.

Trains one model of a method briefly, draws rows of 1, 2, … steps from it, and prints the seconds of each part: those of
the processor, which other programs do not lengthen, and those on the clock, in which waiting for the disk counts too.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from mgbench.interfaces.progress import Progress
from mgbench.recipes.study import Study
from mgbench.registry.loading import load
from mgbench.results.store import Store
from mgbench.trials import draw, real_features, score, trial
from mgbench.trials.plan import plan_rows, plan_trials

# Seconds of the processor, and on the clock.
SPENT: Counter[str] = Counter()
PASSED: Counter[str] = Counter()
NEEDED = ("network", "head", "features")
_TIMED: list[Any] = []


def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same work, whose seconds are added under a name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        spent, passed = time.process_time(), time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            SPENT[name] += time.process_time() - spent
            PASSED[name] += time.perf_counter() - passed

    return call


def watched(row: Any, model: Any, *rest: Any) -> Any:
    """Draw a row with the network and the head of its model timed."""
    network, head = model.module.network, model.module.head
    with (
        patch.object(network, "forward", timed("network", network.forward)),
        patch.object(head, "sample", timed("head", head.sample)),
    ):
        return timed("drawing", draw.draw)(row, model, *rest)


def seen_by_timed_extractor(*args: Any) -> Any:
    """The reference of a row, its extractor timed from now on; real images that are seen for the first time are not."""
    reference = real_features.reference_of(*args)
    if reference.extractor not in _TIMED:
        _TIMED.append(reference.extractor)
        reference.extractor.forward = timed("features", reference.extractor.forward)
    return reference


def patches() -> list[Any]:
    """The functions that are timed, while each of these is entered."""
    return [
        patch.object(trial, "draw", watched),
        patch.object(trial, "score", timed("scoring", trial.score)),
        patch.object(score, "reference_of", seen_by_timed_extractor),
        patch.dict(trial._WORK, {"images": (trial.fitted_model, timed("rows", trial._record_images))}),
    ]


def outside(seconds: Counter[str]) -> dict[str, float]:
    """The share of each part of the rows that is neither network nor head nor features."""
    work = {
        "drawing besides network and head": seconds["drawing"] - seconds["network"] - seconds["head"],
        "scoring besides features": seconds["scoring"] - seconds["features"],
        "saving and the rest": seconds["rows"] - seconds["drawing"] - seconds["scoring"],
        "outside": seconds["rows"] - sum(seconds[name] for name in NEEDED),
    }
    return {name: part / seconds["rows"] for name, part in work.items()}


def main(method: str = "emigm", rows: str = "20") -> None:
    """Measure, and print a line for each part."""
    torch.set_num_threads(1)
    registry = load()
    recipe = next(found[method] for found in registry.recipes.values() if method in found).change(train_steps=100)
    study = Study("share", {method: recipe}, {"sampling_steps": tuple(range(1, int(rows) + 1))})
    with tempfile.TemporaryDirectory() as folder, ExitStack() as entered:
        store = Store(Path(folder))
        (one,) = plan_trials(plan_rows(registry, study, store))
        for each in patches():
            entered.enter_context(each)
        trial.run_trial(store, one, torch.device("cpu"), Progress())
    print(f"{'seconds':<34} processor     clock")
    for name in ("rows", "drawing", "scoring", *NEEDED):
        print(f"{name:<34} {SPENT[name]:9.2f} {PASSED[name]:9.2f}")
    for (name, spent), passed in zip(outside(SPENT).items(), outside(PASSED).values(), strict=True):
        print(f"{name:<34} {spent:9.1%} {passed:9.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
