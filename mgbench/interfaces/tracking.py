"""Data passed to experiment trackers, and the code shared by trackers that use accelerate.

A tracker is a plugin with the hooks `mgbench_run_started`, `mgbench_step_logged` and `mgbench_run_finished`, enabled
with `--track`. Each trial is one run of the tracker, in the process of the trial.
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
    """A trial as passed to a tracker: a trained model with its rows, or a fitted tokenizer.

    `name` is a readable name, and `key` names its model (or tokenizer) in the results folder; `methods` are those of
    its rows. `recipe` holds the settings that all its rows share (None for a kind that is not used), and `seed` is None
    for a tokenizer. `command` is the command line, `device` for example "cuda:0". `folder` is where the tracker may
    write files; it may not exist yet, or may exist from a trial that was interrupted.
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
    """The hyperparameters of a run for a tracker: its methods and the settings of its recipe; lists become text."""
    said = {"methods": run.methods, "key": run.key, "command": run.command, **run.recipe}
    return {name: _plain(value) for name, value in said.items() if value is not None}


def scores(records: Sequence[Record]) -> dict[str, float]:
    """Every score of the finished rows; a name consists of the score and the settings in which its row differs.

    For example "fid[digits_cnn]/sampling_steps=4"; for a single row, the name of the score alone.
    """
    told = zip(records, _labels(records), strict=True)
    return {f"{name}{label}": value for record, label in told for name, value in record.scores.items()}


def outcomes(records: Sequence[Record]) -> dict[str, str]:
    """Status and reason of every row that is not done: "status/sampling_steps=4" is "failed: …"."""
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
    """The open accelerate trackers of a plugin, by run; they need `package` to be installed."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._open: dict[str, Any] = {}

    def start(self, run: TrackedRun, make: Callable[[], Any]) -> Any:
        """Create and start a tracker for a run.

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
        """The started tracker of a run."""
        _settle(run)
        return self._open[run.key]


def _settle(run: TrackedRun) -> None:
    """Initialise accelerate's process state, without which its trackers do nothing.

    The first initialisation sets the device of the process; training on several devices resets it.
    """
    from accelerate import PartialState

    PartialState(cpu=run.device == "cpu")


def file_name(run: TrackedRun) -> str:
    """The name of a run, usable as a file or folder name."""
    return run.name.replace("/", "_").replace("\\", "_")[:LONGEST_NAME]
