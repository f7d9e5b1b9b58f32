"""Share of the time of rows that lies outside network, head and features: `python benchmarks/row_share.py [METHOD [ROWS]]`.

Trains one model of a method briefly, draws rows of 1, 2, … steps from it, and prints the seconds of each part.
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

SPENT: Counter[str] = Counter()
_TIMED: list[Any] = []


def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same work, whose seconds are added under a name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            SPENT[name] += time.perf_counter() - started

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
    total = SPENT["rows"]
    for name in ("rows", "drawing", "network", "head", "scoring", "features"):
        print(f"{name:<10} {SPENT[name]:8.2f} s  {SPENT[name] / total:6.1%}")
    print(
        f"outside network, head and features: {1 - sum(SPENT[x] for x in ('network', 'head', 'features')) / total:.1%}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
