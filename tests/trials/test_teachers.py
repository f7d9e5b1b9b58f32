"""Models that learn from trained ones: planned, trained and keyed after them, and failing with them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mgbench.engines.scheduling import ready
from mgbench.errors import UserError
from mgbench.interfaces.engine import Job, Message
from mgbench.interfaces.progress import Progress
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import Registry, find, load
from mgbench.registry.resolve import Assembly, assemble
from mgbench.results.record import Record
from mgbench.results.store import Store
from mgbench.trials.plan import Row, plan_rows, plan_teachers, plan_tokenizers, plan_trials
from mgbench.trials.trial import run_trial
from tests import doubles
from tests.messages import stages

CPU = torch.device("cpu")
PUPIL = Recipe(
    process="pupil",
    tokenizer="patch(size=4)",
    teacher="gaussian",
    train_steps=6,
    batch_size=16,
    samples=20,
    sampling_steps=1,
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


def planned(registry: Registry, store: Store, **recipes: Recipe) -> tuple[list[Row], list[Row]]:
    """Rows of teachers, and all that there is to do in the order of the command."""
    rows = plan_rows(registry, Study("s", recipes), store)
    teachers = plan_teachers(rows, store)
    return teachers, [*plan_tokenizers([*teachers, *rows], store), *teachers, *rows]


def run(registry: Registry, root: Path, seen: list[Message], **recipes: Recipe) -> dict[str, Record]:
    store = Store(root)
    _, rows = planned(registry, store, **recipes)
    for trial in plan_trials(rows):
        run_trial(store, trial, CPU, Progress(seen.append))
    records = {row.method: store.record(row.key) for row in rows if row.about == "images"}
    return {method: record for method, record in records.items() if record is not None}


def of(registry: Registry, **changes: Any) -> Assembly:
    return assemble(registry, PUPIL.change(**changes))


def weights(root: Path, record: Record) -> torch.Tensor:
    return load_file(root / "models" / record.training_key / "model.safetensors")["network.weight"].clone()


@pytest.mark.parametrize("changes", [{"teacher.train_steps": 7}, {"teacher.learning_rate": 0.1}, {"seed": 3}])
def test_what_decides_the_teacher_decides_the_student(registry: Registry, changes: dict[str, Any]) -> None:
    one, other = of(registry).keys, of(registry, **changes).keys
    assert one.training != other.training
    assert one.images != other.images
    assert one.tokenizer == other.tokenizer
    assert one.reconstruction == other.reconstruction


@pytest.mark.parametrize("changes", [{"teacher.train_steps": 6}, {"teacher.sampling_steps": 9}])
def test_what_does_not_train_another_teacher_trains_no_other_student(
    registry: Registry, changes: dict[str, Any]
) -> None:
    assert of(registry).keys == of(registry, **changes).keys


def test_the_code_of_the_teacher_decides_the_student(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of(registry)
    assert before.teacher is not None
    assert before.keys.training != before.teacher.keys.training
    teacher = registry.recipes["doubles"]["gaussian"].change(train_steps=9)
    monkeypatch.setitem(registry.recipes["doubles"], "gaussian", teacher)
    assert of(registry).keys.training != before.keys.training


def test_a_teacher_has_the_tokens_classes_seed_and_scores_of_its_student(registry: Registry) -> None:
    student = of(registry, tokenizer="patch(size=2)", labels=False, seed=4, samples=30, reference="test")
    assert student.teacher is not None
    shared = student.teacher.recipe
    assert (str(shared.tokenizer), shared.labels, shared.seed, shared.samples) == ("patch(size=2)", False, 4, 30)
    assert shared.reference == "test", "else the rows of both are not comparable"
    assert student.teacher.keys.tokenizer == student.keys.tokenizer


def test_one_teacher_comes_once_before_all_of_its_students(registry: Registry, tmp_path: Path) -> None:
    recipes = {"a": PUPIL, "b": PUPIL.change(batch_size=8)}
    teachers, rows = planned(registry, Store(tmp_path), **recipes)
    assert [row.method for row in teachers] == ["gaussian (teacher)"]
    tokenizer, teacher, a, b = plan_trials(rows)
    assert teacher.needs == (tokenizer.key,)
    assert a.needs == b.needs == (tokenizer.key, teacher.key)


def test_a_teacher_that_is_a_row_of_the_study_is_no_further_row(registry: Registry, tmp_path: Path) -> None:
    gaussian = registry.recipes["doubles"]["gaussian"]
    teachers, rows = planned(registry, Store(tmp_path), a=PUPIL, mine=gaussian)
    assert teachers == []
    trials = {trial.name: trial for trial in plan_trials(rows)}
    assert trials["a (seed 0)"].needs[1] == trials["mine (seed 0)"].key


def test_a_student_waits_for_all_that_it_needs() -> None:
    job = Job("a", "a", "images", ("t", "m"), (), (), Path())
    first, second = replace(job, key="t", needs=()), replace(job, key="m", needs=("t",))
    assert ready([job, second, first], []) == [first]
    assert ready([job], [second]) == []
    assert ready([job, second], [first]) == []
    assert ready([job], []) == [job]


def test_a_student_begins_from_its_teacher_which_is_trained_once(registry: Registry, tmp_path: Path) -> None:
    seen: list[Message] = []
    still = PUPIL.change(train_steps=1, learning_rate=1e-9)
    records = run(registry, tmp_path, seen, still=still, moved=PUPIL.change(learning_rate=0.1, ema=0.5))
    assert {record.status for record in records.values()} == {"done"}
    assert [now.done for now in stages(seen, "train")].count(6) == 2, "one teacher, one student of 6 steps"
    teacher, same, moved = (weights(tmp_path, records[name]) for name in ("gaussian (teacher)", "still", "moved"))
    torch.testing.assert_close(same, teacher)
    assert (moved - 2 * teacher).norm() < (teacher - 2 * teacher).norm()


def test_a_teacher_whose_model_is_gone_is_trained_again_to_the_same_weights(registry: Registry, tmp_path: Path) -> None:
    record = run(registry, tmp_path, [], a=PUPIL)["gaussian (teacher)"]
    before = weights(tmp_path, record)
    (tmp_path / "models" / record.training_key / "model.safetensors").unlink()
    assert run(registry, tmp_path, [], b=PUPIL.change(batch_size=8))["b"].status == "done"
    assert torch.equal(weights(tmp_path, record), before)


def test_a_teacher_that_fails_is_why_its_students_do(registry: Registry, tmp_path: Path) -> None:
    seen: list[Message] = []
    broken = PUPIL.change(**{"teacher.learning_rate": 1e30})
    records = run(registry, tmp_path, seen, a=broken, b=broken.change(batch_size=8), fine=PUPIL)
    teacher = records["gaussian(learning_rate=1e+30) (teacher)"]
    assert teacher.status == "diverged"
    assert {records[name].status for name in "ab"} == {"failed"}
    assert records["a"].reason == f"its teacher diverged: {teacher.reason}"
    assert records["fine"].status == "done"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teacher": "tiny"}, "a pupil learns from a Gaussian"),
        ({"teacher": None}, "learns from a trained model; set teacher to a method"),
        ({"process": "gaussian"}, "teacher=gaussian is set, but nothing in this recipe asks for a teacher"),
        ({"teacher": "gaussian(process=pupil)"}, "its teacher gaussian.*set teacher to a method"),
    ],
)
def test_what_cannot_teach_is_a_reason(registry: Registry, changes: dict[str, Any], said: str) -> None:
    assembly = assemble(registry, replace(PUPIL, teacher=None).change(**{"teacher": "gaussian", **changes}))
    assert re.search(said, assembly.unfit)


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ("gausian", "no method is called 'gausian'.*gaussian"),
        ("gaussian(tokenizer=kmeans)", "has the tokenizer of its student"),
        ("gaussian(train_step=3)", "no field 'train_step'.*train_steps"),
        ("gaussian(3)", "name the settings"),
        ("circle", "circle would be taught by itself: circle by circle"),
    ],
)
def test_a_teacher_that_is_none_is_refused(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, teacher: str, said: str
) -> None:
    monkeypatch.setitem(registry.recipes["doubles"], "circle", PUPIL.change(teacher="circle"))
    with pytest.raises(UserError, match=said):
        of(registry, teacher=teacher)


def test_a_teacher_may_have_a_teacher(registry: Registry, tmp_path: Path) -> None:
    deep = PUPIL.change(teacher="gaussian(process=pupil, teacher=gaussian, train_steps=5)")
    teachers, rows = planned(registry, Store(tmp_path), a=deep)
    assert teachers[0].method == "gaussian (teacher)"
    trials = plan_trials(rows)
    assert [len(trial.needs) for trial in trials] == [0, 1, 2, 2]
    assert {record.status for record in run(registry, tmp_path, [], a=deep).values()} == {"done"}
