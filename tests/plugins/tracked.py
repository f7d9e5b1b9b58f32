"""A run as trackers hear of it: what it says at its start, while it trains, and in the end."""

from pathlib import Path
from types import ModuleType

from mgbench.interfaces.tracking import TrackedRun
from mgbench.results.record import Record

FID, BEST = "fid[digits_cnn]", "fid[digits_cnn]/sampling_steps=4"
CURVE = {20: 0.875, 40: 0.5, 60: 0.25}


def run_in(folder: Path, key: str = "0123456789abcdef") -> TrackedRun:
    recipe = {
        "mask_schedule": "exp(rate=5.0)",
        "train_steps": 60,
        "labels": True,
        "metrics": ["fid", "kid"],
        "head": None,
    }
    return TrackedRun(
        "grid",
        "emigm (seed 0)",
        key,
        "images",
        ("emigm",),
        0,
        recipe,
        "mgbench run --plugins emigm",
        "cpu",
        folder / key,
    )


def records() -> list[Record]:
    """Two steps of sampling that were scored, and one that failed."""

    def record(steps: int, status: str = "done", reason: str = "", **scores: float) -> Record:
        recipe = {"sampling_steps": steps, "sampler": "halton"}
        return Record(f"k{steps}", "t", "emigm", status, recipe, reason, scores)  # type: ignore[arg-type]

    return [record(2, **{FID: 30.5}), record(4, **{FID: 12.25}), record(8, "failed", "RuntimeError: no luck")]


def track(plugin: ModuleType, run: TrackedRun) -> None:
    """The life of a run, told to a plugin."""
    plugin.mgbench_run_started(run)
    for step, loss in CURVE.items():
        plugin.mgbench_step_logged(run, "train", step, {"loss": loss, "images_per_second": 100.0})
    plugin.mgbench_run_finished(run, records())
