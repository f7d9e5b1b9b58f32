"""How far is the time that a plan foretells from what a study then takes? Both in seconds of the processor, by method.

    OMP_NUM_THREADS=1 python -m benchmarks.foretold emigm maskgit mdm

from the root of the repository. For each method `mgbench speed` measures it, a plan estimates the trial (one
training, sampled at 4, 8 and 16 steps), and the trial runs, all in this process, with the clock of the processor in
place of that of the wall: on a machine with other work the wall says more of that. Fitting the tokenizer and the
features of real images are done before, and in neither.
"""

import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch

from mgbench.cli.forecast.estimates import Estimate, stored_rates
from mgbench.interfaces.progress import Progress
from mgbench.recipes.study import Study
from mgbench.registry.loading import load
from mgbench.results.speed import Speed, save_speed
from mgbench.results.store import Store
from mgbench.trials.costs import Assumed, trial_costs
from mgbench.trials.fit import fitted_tokenizer
from mgbench.trials.plan import Trial, plan_rows, plan_trials
from mgbench.trials.real_features import reference_of
from mgbench.trials.speed import measure, to_measure
from mgbench.trials.trial import run_trial

CPU = torch.device("cpu")
STEPS, TRAIN_STEPS, ROUNDS = (4, 8, 16), 100, 3


def prepared(store: Store, method: str) -> Trial:
    """The trial of a method, its tokenizer fitted and its reference computed."""
    registry = load()
    recipe = next(found[method] for found in registry.recipes.values() if method in found)
    study = Study("foretold", {method: recipe.change(train_steps=TRAIN_STEPS)}, {"sampling_steps": STEPS})
    (trial,) = plan_trials(plan_rows(registry, study, store))
    assembly = trial.rows[0].assembly
    fitted_tokenizer(store, assembly, CPU, Progress())
    reference_of(assembly.data, assembly.spelled["dataset"], assembly.parts.extractor, CPU, store.root)
    return trial


def foretold(store: Store, method: str, trial: Trial) -> tuple[Speed, Estimate]:
    """The measured speed of a method, and the estimate of its trial from it."""
    assembly = trial.rows[-1].assembly
    speed = measure(to_measure(method, assembly, Assumed(), CPU), ROUNDS, {})
    save_speed(store.layout, speed)
    costs = trial_costs(trial.rows, Assumed(), trained=False)
    return speed, stored_rates(store.layout, speed.device).of(trial, trained=False, counted=costs)


def compared(method: str) -> tuple[Estimate, float]:
    """The estimate of the trial of a method, and the seconds that it takes."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        trial = prepared(store, method)
        _, estimate = foretold(store, method, trial)
        started = time.perf_counter()
        run_trial(store, trial, CPU, Progress())
        return estimate, time.perf_counter() - started


def main() -> None:
    """Print a line in Markdown for each method."""
    torch.set_num_threads(1)
    print(
        "| study | planned: training, sampling, scoring | in all | taken | taken over planned |\n|---|---|---|---|---|"
    )
    for method in sys.argv[1:]:
        with patch("time.perf_counter", time.process_time):
            planned, took = compared(method)
        parts = ", ".join(f"{seconds or 0:.1f}" for seconds in (planned.train, planned.sample, planned.score))
        total = planned.total or float("nan")
        print(f"| `{method}` | {parts} s | {total:.1f} s | {took:.1f} s | {took / total:.2f} |", flush=True)


if __name__ == "__main__":
    main()
