"""Trackers hear how a trial goes, and nothing that they do changes it."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mgbench.errors import UserError
from mgbench.interfaces.engine import Job, Message, RowEnded, StageProgress
from mgbench.interfaces.progress import Interrupted, Progress
from mgbench.interfaces.tracking import FINISHED, LOGGED, STARTED, TrackedRun
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.registry.registry import Registry, TrackerHooks
from mgbench.results.store import Store
from mgbench.trials.notify_trackers import notified
from mgbench.trials.plan import Trial, plan_rows, plan_tokenizers, plan_trials
from mgbench.trials.trial import run_trial
from tests import doubles
from tests.doubles import TINY
from tests.messages import notes, stages

LONGER = TINY.change(train_steps=40)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


@dataclass
class Heard:
    """A tracker that keeps what it hears, and does something with it."""

    act: Callable[..., object] = lambda **said: None
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def hooks(self) -> TrackerHooks:
        def hook(name: str) -> Callable[..., object]:
            def hear(**said: Any) -> None:
                self.said.append((name, {**said}))
                self.act(hook=name, **said)

            return hear

        return {name: hook(name) for name in (STARTED, LOGGED, FINISHED)}

    def of(self, hook: str) -> list[dict[str, Any]]:
        return [said for name, said in self.said if name == hook]


@dataclass
class Result:
    """What a trial left, and what was emitted."""

    store: Store
    trial: Trial
    events: list[Message]

    @property
    def notes(self) -> list[str]:
        return notes(self.events)

    @property
    def weights(self) -> bytes:
        return (self.store.layout.model(self.trial.key) / "model.safetensors").read_bytes()


def run(
    registry: Registry,
    root: Path,
    trackers: dict[str, Heard],
    about: str = "images",
    stop: Callable[[], bool] = lambda: False,
    **recipes: Recipe,
) -> Result:
    """The one trial of some recipes, or that of their tokenizer."""
    store = Store(root)
    rows = plan_rows(registry, Study("s", recipes), store)
    (trial,) = plan_trials(rows if about == "images" else plan_tokenizers(rows, store))
    listed = tuple((row.method, row.assembly.recipe) for row in trial.rows)
    command, heard = "mgbench run --track x", tuple(trackers)
    job = Job(
        trial.name, trial.key, trial.about, trial.needs, listed, (), root, study="s", command=command, trackers=heard
    )
    events: list[Message] = []
    hooks = {name: tracker.hooks() for name, tracker in trackers.items()}
    with notified(hooks, job, trial, store, CPU, events.append) as emit:
        run_trial(store, trial, CPU, Progress(emit, stop))
    return Result(store, trial, events)


def test_a_tracker_hears_of_the_beginning_the_training_and_every_row(registry: Registry, tmp_path: Path) -> None:
    heard = Heard()
    result = run(
        registry,
        tmp_path,
        {"mine": heard},
        one=LONGER,
        two=LONGER.change(sampling_steps=1),
    )
    assert (heard.said[0][0], heard.said[-1][0]) == (STARTED, FINISHED)
    about: TrackedRun = heard.of(STARTED)[0]["run"]
    assert (about.study, about.key, about.about, about.methods, about.seed) == (
        "s",
        result.trial.key,
        "images",
        ("one", "two"),
        0,
    )
    assert (about.device, about.command) == ("cpu", "mgbench run --track x")
    assert about.folder == tmp_path / "trackers" / "mine" / result.trial.key
    assert about.recipe["mask_schedule"] == "cosine"
    assert "sampling_steps" not in about.recipe, "its rows differ in it"
    steps = [said for said in heard.of(LOGGED) if said["stage"] == "train"]
    assert [said["step"] for said in steps] == [20, 40]
    assert set(steps[0]["values"]) == {"loss", "learning_rate", "images_per_second"}
    shown = stages(result.events, "train")
    assert [said["values"]["loss"] for said in steps] == [now.measured["loss"] for now in shown]
    (finished,) = heard.of(FINISHED)
    assert [(record.method, record.status) for record in finished["records"]] == [("one", "done"), ("two", "done")]
    assert finished["records"] == [result.store.record(row.key) for row in result.trial.rows]


def test_the_fitting_of_a_tokenizer_is_a_run_too(registry: Registry, tmp_path: Path) -> None:
    heard = Heard()
    run(registry, tmp_path, {"mine": heard}, about="tokenizer", one=TINY.change(tokenizer="counted(steps=3)"))
    assert [(said["stage"], said["step"], said["values"]) for said in heard.of(LOGGED)] == [
        ("tokenize", step, {"loss": 1 / step}) for step in (1, 2, 3)
    ]
    about = heard.of(STARTED)[0]["run"]
    assert (about.about, about.methods, about.seed) == ("tokenizer", ("tokenizer",), None)
    assert "rmse" in heard.of(FINISHED)[0]["records"][0].scores


@pytest.mark.parametrize("weighting", ["raises", "not_a_number"])
def test_rows_that_come_to_nothing_are_told_with_the_reason(registry: Registry, tmp_path: Path, weighting: str) -> None:
    heard = Heard()
    run(registry, tmp_path, {"mine": heard}, one=TINY.change(loss_weighting=weighting))
    (record,) = heard.of(FINISHED)[0]["records"]
    assert record.status in ("failed", "diverged")
    assert record.reason


def test_what_is_stopped_is_told_before_the_trial_ends(registry: Registry, tmp_path: Path) -> None:
    heard = Heard()
    with pytest.raises(Interrupted):
        run(registry, tmp_path, {"mine": heard}, stop=lambda: True, one=TINY)
    assert [record.status for record in heard.of(FINISHED)[0]["records"]] == ["interrupted"]


@pytest.fixture(scope="module")
def trial(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    (trial,) = plan_trials(plan_rows(registry, Study("s", {"one": TINY}), Store(tmp_path_factory.mktemp("empty"))))
    return trial


def pretend(root: Path, trial: Trial, trackers: dict[str, Heard], *emitted: Message) -> list[Message]:
    """What is emitted where a trial only says that it does something."""
    job = Job(trial.name, trial.key, "images", "", (), (), root, trackers=tuple(trackers))
    events: list[Message] = []
    hooks = {name: tracker.hooks() for name, tracker in trackers.items()}
    with notified(hooks, job, trial, Store(root), CPU, events.append) as emit:
        for event in emitted:
            emit(event)
    return events


STEPS = [StageProgress("train", step, 40, measured={"loss": 1 / step}) for step in (20, 40)]
RAISED = [ValueError("no\nluck"), SystemExit(3), Interrupted(), UserError("install it")]


@pytest.mark.parametrize("when", [STARTED, LOGGED, FINISHED])
@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_one_that_raises_is_told_of_once_and_hears_no_more(
    trial: Trial, tmp_path: Path, when: str, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(hook: str, **said: object) -> None:
        if hook == when:
            raise error

    bad, good = Heard(act), Heard()
    events = pretend(tmp_path, trial, {"bad": bad, "good": good}, *STEPS)
    (note,) = notes(events)
    assert note.startswith("tracker 'bad' is not called again in this trial: ")
    assert (" ".join(str(error).split()) or "no message") in note
    assert note.endswith(f"(log: {tmp_path / 'logs' / f'{trial.key}.log'})")
    assert "\n" not in note
    assert "Traceback" in capsys.readouterr().err
    assert [name for name, _ in bad.said].count(when) == 1
    assert bad.said[-1][0] == when
    assert [name for name, _ in good.said] == [STARTED, LOGGED, LOGGED, FINISHED]
    assert stages(events) == STEPS


def test_a_trial_whose_tracker_leaves_is_done(registry: Registry, tmp_path: Path) -> None:
    def leave(values: object = None, **said: object) -> None:
        if values:
            raise SystemExit("enough")

    result = run(registry, tmp_path, {"bad": Heard(leave)}, one=TINY)
    assert len([note for note in result.notes if "tracker" in note]) == 1
    record = result.store.record(result.trial.rows[0].key)
    assert record is not None
    assert record.status == "done"


def test_what_a_tracker_does_to_what_it_is_handed_stays_with_it(registry: Registry, tmp_path: Path) -> None:
    def meddle(run: Any, values: Any = None, records: Any = (), **said: object) -> None:
        run.recipe.clear()
        if values:
            values.clear()
        for record in records:
            record.scores.clear()
            record.recipe.clear()

    meddler, good = Heard(meddle), Heard()
    result = run(registry, tmp_path, {"bad": meddler, "good": good}, one=TINY)
    assert all("loss" in said["values"] for said in good.of(LOGGED))
    assert good.of(STARTED)[0]["run"].recipe
    assert good.of(FINISHED)[0]["records"][0].scores
    assert all("loss" in now.measured for now in stages(result.events, "train"))


class Careless(nn.Module):
    """Fits with random numbers of the process, which a stranger's tokenizer may do."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.inner = doubles.Counted().build(shape)
        self.space = self.inner.space
        self.offset = nn.Parameter(torch.zeros(3), requires_grad=False)

    def fit(self, images: Tensor, seed: int) -> Iterator[tuple[int, int, float]]:
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        for step, total, loss in self.inner.fit(images, seed):
            yield step, total, loss
            self.offset += torch.tensor([random.random(), np.random.rand(), torch.rand(()).item()])

    def encode(self, images: Tensor) -> Tensor:
        return self.inner.encode(images)

    def decode(self, tokens: Tensor) -> Tensor:
        return self.inner.decode(tokens)


def test_random_numbers_that_a_tracker_draws_are_its_own(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = registry.names("tokenizer")["counted"].maker
    monkeypatch.setattr(made, "build", lambda self, shape: Careless(shape))

    def draw(**said: object) -> None:
        torch.manual_seed(7)
        torch.rand(5)
        np.random.seed(7)
        random.seed(7)

    recipe = TINY.change(tokenizer="counted(steps=3)", train_steps=40)
    quiet = run(registry, tmp_path / "quiet", {}, one=recipe)
    drawn = run(registry, tmp_path / "drawn", {"mine": Heard(draw)}, one=recipe)
    (one,), (other,) = ((result.store.root / "tokenizers").iterdir() for result in (quiet, drawn))
    assert (one / "tokenizer.safetensors").read_bytes() == (other / "tokenizer.safetensors").read_bytes()
    assert quiet.weights == drawn.weights


def test_without_trackers_nothing_is_told_and_nothing_is_written(trial: Trial, tmp_path: Path) -> None:
    unasked = Heard()
    job = Job(trial.name, trial.key, "images", "", (), (), tmp_path)
    with notified({"mine": unasked.hooks()}, job, trial, Store(tmp_path), CPU, lambda event: None) as emit:
        emit(STEPS[0])
    assert unasked.said == []
    assert not list(tmp_path.iterdir())


def test_where_a_stage_is_is_no_number_that_was_measured(trial: Trial, tmp_path: Path) -> None:
    heard = Heard()
    sampling = StageProgress("sample", 1, 2, steps=4)
    events = pretend(tmp_path, trial, {"mine": heard}, sampling, RowEnded("key", "done"))
    assert [name for name, _ in heard.said] == [STARTED, FINISHED]
    assert events == [sampling, RowEnded("key", "done")]
