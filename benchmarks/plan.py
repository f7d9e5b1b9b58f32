"""How long does planning take? Seconds of one core, from recipes that differ to the rows and trials of a run.

    OMP_NUM_THREADS=1 python -m benchmarks.plan --rows 10000

from the root of the repository. `first` is one recipe of each method, whose code is read and hashed; `alike` are the same
methods with other seeds, learning rates, guidance scales and steps (every 25 of them share a model); `distinct` are as many
recipes of one method, each with a guidance scale of its own, so that no two share all components. `plugins` is the time to
import them, which is the same for one recipe.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from mgbench.recipes.study import Study
from mgbench.registry.loading import load
from mgbench.registry.registry import Registry
from mgbench.results.store import Store
from mgbench.trials.plan import plan_rows, plan_tokenizers, plan_trials

T = TypeVar("T")
METHODS = ("emigm", "maskgit", "mar", "mdm")
STEPS = (1, 2, 4, 8, 16)
SCALES = (1.0, 1.5, 2.0, 2.5, 3.0)
RATES = (1e-3, 5e-4)


def study(registry: Registry, rows: int) -> Study:
    """At least so many recipes: methods by steps, scales, learning rates and as many seeds as it takes."""
    known = {name: recipe for plugin in registry.recipes.values() for name, recipe in plugin.items()}
    scales = tuple(f"constant(scale={scale})" for scale in SCALES)
    vary = {"learning_rate": RATES, "guidance_schedule": scales, "sampling_steps": STEPS}
    of_one_seed = len(METHODS) * len(STEPS) * len(SCALES) * len(RATES)
    seeds = tuple(range(-(-rows // of_one_seed)))
    return Study("plan", {name: known[name] for name in METHODS}, vary, seeds)


def distinct(registry: Registry, rows: int) -> Study:
    """So many recipes of one method, no two with the same components."""
    scales = tuple(f"constant(scale={1 + (number + 1) / rows})" for number in range(rows))
    return Study("distinct", {METHODS[0]: study(registry, 1).recipes[METHODS[0]]}, {"guidance_schedule": scales})


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of CPU that something takes, and what it gives back."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def main() -> None:
    """Plan studies of one recipe a method and of many, print seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="how many recipes (default: 10000)")
    rows = parser.parse_args().rows
    loading, registry = timed(load)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for stage, which in (
            ("first", Study("first", study(registry, 1).recipes)),
            ("alike", study(registry, rows)),
            ("distinct", distinct(registry, rows)),
        ):
            seconds, planned = timed(partial(plan, registry, which, store))
            print(f"{stage:>10}  {planned:7,} recipes  {seconds:6.2f} s  {1000 * seconds / planned:7.3f} ms each")
    print(f"{'plugins':>10}  {loading:24.2f} s")


def plan(registry: Registry, which: Study, store: Store) -> int:
    """Look every recipe of a study up, find its tokenizers and group its trials; how many recipes there are."""
    rows = plan_rows(registry, which, store)
    plan_trials([*plan_tokenizers(rows, store), *rows])
    return len(rows)


if __name__ == "__main__":
    main()
