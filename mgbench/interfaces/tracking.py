"""What trackers of experiments hear of a run, in plain values; and what those share that come through accelerate.

A tracker is a plugin with hooks of a run's life (`mgbench_run_started`, `mgbench_step_logged`, `mgbench_run_finished`) that
who runs a study names with `--track`. One run of a tracker is one trial, in the trial's own process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mgbench.errors import UserError
from mgbench.results.record import About, Record

LIFE_HOOKS = STARTED, LOGGED, FINISHED = ("mgbench_run_started", "mgbench_step_logged", "mgbench_run_finished")
LONGEST_NAME = 100


@dataclass(frozen=True)
class TrackedRun:
    """One trial, as a tracker hears of it: a trained model and what is drawn from it, or a fitted tokenizer.

    `name` is for people and `key` names its model (or tokenizer) in the results folder; `methods` are those of its rows.
    `recipe` holds what all its rows share, spelled out (None where nothing asks the kind), and `seed` is None of a tokenizer.
    `command` was typed, `device` is such as "cpu" or "cuda:0". `folder` is for what the tracker writes of this run: it may not be
    there yet, or be there from before the trial was stopped.
    """

    study: str
    name: str
    key: str
    about: About
    methods: tuple[str, ...]
    seed: int | None
    recipe: Mapping[str, Any]
    command: str
    device: str
    folder: Path


def settings(run: TrackedRun) -> dict[str, bool | int | float | str]:
    """What a run is made by, as trackers take it: its methods and what is set in its recipe, lists as text."""
    said = {"methods": run.methods, "key": run.key, "command": run.command, **run.recipe}
    return {name: _plain(value) for name, value in said.items() if value is not None}


def scores(records: Sequence[Record]) -> dict[str, float]:
    """Every score of finished rows, named by the score and by what tells its row from the others.

    Such as "fid[digits_cnn]/sampling_steps=4"; of a single row it is the name of the score alone.
    """
    told = zip(records, _labels(records), strict=True)
    return {f"{name}{label}": value for record, label in told for name, value in record.scores.items()}


def outcomes(records: Sequence[Record]) -> dict[str, str]:
    """How every row ended that is not done, and why: "status/sampling_steps=4" is "failed: …"."""
    told = zip(records, _labels(records), strict=True)
    return {f"status{label}": f"{record.status}: {record.reason}" for record, label in told if record.status != "done"}


def _labels(records: Sequence[Record]) -> list[str]:
    fields = {"method": [record.method for record in records]}
    for name in dict.fromkeys(name for record in records for name in record.recipe):
        fields[name] = [str(_plain(record.recipe.get(name))) for record in records]
    varied = {name: values for name, values in fields.items() if len(set(values)) > 1}
    spelled = [", ".join(f"{name}={values[row]}" for name, values in varied.items()) for row in range(len(records))]
    return [f"/{text}" if text else "" for text in spelled]


def _plain(value: object) -> bool | int | float | str:
    if isinstance(value, bool | int | float | str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


class Accelerated:
    """The trackers of accelerate that a plugin has open, by run; they stand on a package that has to be installed."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._open: dict[str, Any] = {}

    def start(self, run: TrackedRun, make: Callable[[], Any]) -> Any:
        """Make a tracker for a run, and start it.

        Raises:
            UserError: if the package is not installed.
        """
        if find_spec(self._package) is None:
            raise UserError(f"{self._package} is not installed; pip install 'mgbench[tracking]'")
        _settle(run)
        self._open[run.key] = make()
        self._open[run.key].start()
        return self._open[run.key]

    def of(self, run: TrackedRun) -> Any:
        """The tracker of a run, ready to hear."""
        _settle(run)
        return self._open[run.key]


def _settle(run: TrackedRun) -> None:
    """Have accelerate know the process, without which its trackers do nothing.

    Whoever asks first decides the device of the whole process, and a training on several devices leaves it unknown behind it.
    """
    from accelerate import PartialState

    PartialState(cpu=run.device == "cpu")


def file_name(run: TrackedRun) -> str:
    """The name of a run as a file or a folder may have it."""
    return run.name.replace("/", "_").replace("\\", "_")[:LONGEST_NAME]
