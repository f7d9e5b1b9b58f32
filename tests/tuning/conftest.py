"""A tiny method, and a session whose rows are computed in this process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from mgbench.interfaces.engine import Options
from mgbench.interfaces.progress import Progress
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.registry.registry import Registry
from mgbench.results.store import Store
from mgbench.trials.plan import plan_rows, plan_trials
from mgbench.trials.trial import run_trial
from mgbench.tuning.search import Plan
from mgbench.tuning.session import Request, Session
from tests import doubles

VALUES = {"guidance_schedule": ("constant(scale=1.2..3.0)",), "sampler": ("halton", "maskgit")}


@pytest.fixture(scope="package")
def registry() -> Registry:
    return load([find(doubles.FILE)])


@dataclass
class Bench:
    """Computes rows in this process, and counts those of images."""

    registry: Registry
    root: Path
    computed: list[str] = field(default_factory=list)

    def compute(self, study: Study) -> None:
        for trial in plan_trials(plan_rows(self.registry, study, Store(self.root), refuse=False)):
            self.computed += [row.key for row in trial.rows]
            run_trial(Store(self.root), trial, torch.device("cpu"), Progress(), Options(keep_images=0))

    def session(self, trials: int = 4, seed: int = 0, nfe: float = 4, **changes: object) -> Session:
        asked: dict[str, object] = {"values": VALUES, "only": True, "seeds": (0, 1), "search_seeds": (0,), **changes}
        request = Request("tiny", nfe, Plan(trials, 2, seed), **asked)  # type: ignore[arg-type]
        return Session(self.registry, Store(self.root), request, self.compute, "tune-tiny")


@pytest.fixture(scope="package")
def bench(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Bench]:
    return lambda: Bench(registry, tmp_path_factory.mktemp("results"))
