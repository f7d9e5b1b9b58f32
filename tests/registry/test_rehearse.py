"""Mistakes that a look would find are reasons of a row before anything is trained, with file and line of the plugin."""

import re
from pathlib import Path

import pytest

from mgbench.errors import Unfit
from mgbench.interfaces import optional
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Spec
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.registry.rehearse import left_out
from mgbench.registry.resolve import assemble
from mgbench.results.store import Store
from mgbench.trials.plan import plan_rows
from tests.doubles import TINY
from tests.laws.registered import registry

HEADER = """from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar
import torch
from mgbench import hookimpl
from mgbench.interfaces.sampling import Step
"""
SAMPLER = """
@dataclass(frozen=True)
class Mine:
    requires: ClassVar[str] = "mask"
    def plan(self, schedule, space, times, shared):
        return [Step(0, 1, 1.0, 0.0, 1.0, 0.0)]
    def choose(self, view, step, rng):
        return torch.zeros_like(view.mask)
@hookimpl
def mgbench_samplers():
    return {"mine": Mine}
"""
SCHEDULES = """
@dataclass(frozen=True)
class Mine:
    def __call__(self, t):
        return ANSWER
@hookimpl
def mgbench_KINDs():
    return {"mine": Mine}
"""


def planned(tmp_path: Path, text: str, **fields: str) -> tuple[str, Path]:
    """The reason of a row with a component of a plugin, and the plugin's file."""
    path = tmp_path / "mine.py"
    path.write_text(HEADER + text)
    made = assemble(load([find(str(path))]), TINY.change(**fields))
    assert made.refused == bool(made.unfit)
    return made.unfit, path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("requires: ClassVar[str]", "needs: ClassVar[str]", "Mine has no attribute 'requires', which its kind needs"),
        (
            "plan(self, schedule, space, times, shared)",
            "plan(self, schedule, space)",
            r"Mine has plan\(self, schedule, space\), which is called as plan\(schedule, space, ti",
        ),
        ("def choose", "def chose", r"Mine has no method choose\(view, step, rng\)"),
        (
            "return [Step(0, 1, 1.0, 0.0, 1.0, 0.0)]",
            "return 3",
            "the plan of a sampler gives int, and should give steps",
        ),
        (
            "return [Step(0, 1, 1.0, 0.0, 1.0, 0.0)]",
            "return [3]",
            "the plan of a sampler gives int, and should give steps",
        ),
        (
            "torch.zeros_like(view.mask)",
            "view.mask[0]",
            r"gives Tensor \[4\], and should give a mask bool \[1,4\]",
        ),
        ("torch.zeros_like(view.mask)", "view.mask.float()", "the choice of a sampler gives Tensor"),
        ("torch.zeros_like(view.mask)", "view.msk", "sampler=mine: AttributeError: .*'msk'"),
    ],
)
def test_a_sampler_that_cannot_be_called_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert planned(tmp_path, SAMPLER, sampler="mine")[0] == ""
    text = SAMPLER.replace(old, new)
    assert text != SAMPLER
    reason, _ = planned(tmp_path, text, sampler="mine")
    assert re.search(said, reason)


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("mask_schedule", "0.5", "a mask schedule of 5 times gives float, and should give shares"),
        ("guidance_schedule", "'much'", "a guidance schedule gives str, and should give a number"),
        ("time_grid", "torch.zeros(2)", r"a time grid of 2 steps gives Tensor \[2\], and should give times \[3\]"),
        ("time_grid", "1 / 0", r"time_grid=mine: ZeroDivisionError: division by zero \(.*mine.py, line 11\)"),
    ],
)
def test_answers_of_the_wrong_type_are_told(tmp_path: Path, kind: str, answer: str, said: str) -> None:
    text = SCHEDULES.replace("KIND", kind).replace("ANSWER", answer)
    reason, _ = planned(tmp_path, text, **{kind: "mine"})
    assert re.search(said, reason)


def test_a_misfit_is_placed_in_its_file(tmp_path: Path) -> None:
    reason, path = planned(tmp_path, SAMPLER.replace("def choose", "def chose"), sampler="mine")
    line = path.read_text().splitlines().index("@dataclass(frozen=True)") + 1
    assert f"({path}, line {line})" in reason


def test_what_a_library_refuses_is_a_row_and_leaves_the_others_alone(tmp_path: Path) -> None:
    recipes = {"good": TINY, "bad": Recipe.of(tokenizer="fsq(levels=[2, 2, 2])", head="categorical")}
    good, bad = plan_rows(registry(), Study("s", recipes), Store(tmp_path))
    assert good.assembly.unfit == ""
    assert re.search(
        r"tokenizer=fsq\(levels=\[2, 2, 2\]\): AssertionError: .* \(.*bottlenecks.py, line \d+\)", bad.assembly.unfit
    )
    assert bad.record("skipped", bad.assembly.unfit).data


def test_a_component_that_fails_while_it_is_made_is_a_row(tmp_path: Path) -> None:
    text = SAMPLER.replace("    def plan", "    def __post_init__(self):\n        {}['x']\n    def plan")
    reason, path = planned(tmp_path, text, sampler="mine")
    assert f"mine: KeyError: 'x' ({path}, line " in reason


def test_metrics_that_need_more_images_are_told_before_anything_is_trained() -> None:
    made = assemble(registry(), TINY.change(samples=1))
    assert made.unfit or made.left_out
    assert "2 images" in (made.unfit or " ".join(made.left_out))
    kid = assemble(registry(), TINY.change(metrics=["kid(subsets=3, subset_size=100)"]))
    assert "subset_size" in (kid.unfit or " ".join(kid.left_out))
    assert not assemble(registry(), TINY).left_out


def test_many_images_are_many_enough_however_few_are_rehearsed() -> None:
    (metric,) = assemble(
        registry(), TINY.change(metrics=["kid(subsets=1, subset_size=2100)"], samples=5000)
    ).parts.metrics
    assert left_out([metric], 2200, 2200, 500) == ()


def test_metrics_that_look_at_images_are_not_run_to_plan_them() -> None:
    made = assemble(registry(), TINY.change(metrics=["torch_fidelity", "clean_fid"]))
    assert (made.unfit, made.left_out) == ("", ())


@pytest.mark.parametrize("name", sorted(registry().names("metric")))
def test_every_metric_says_while_it_is_planned_that_one_image_is_too_few(name: str) -> None:
    metric = registry().build("metric", Spec(name))
    (reason,) = left_out([metric], 1, 500, 500)
    assert re.search(r"\b1\b", reason)
    assert left_out([metric], 500, 500, 500) == ()


@pytest.mark.parametrize("name", ["copied", "gap"])
def test_metrics_that_compare_with_held_out_images_say_that_there_are_none(name: str) -> None:
    (reason,) = left_out([registry().build("metric", Spec(name))], 500, 500, 0)
    assert "needs held-out images" in reason


def test_a_metric_that_gives_some_of_its_numbers_says_which_are_left_out() -> None:
    metric = registry().build("metric", Spec("torch_fidelity"))
    (reason,) = left_out([metric], 5, 500, 500)
    assert reason == "torch_fidelity: isc needs 20 images, and there are 5"


@pytest.mark.parametrize(
    "name", ["copied", "authpct", "gap", "mind", "mind_infinity", "cmmd", "kid", "prdc", "class_fid"]
)
def test_metrics_that_compare_one_by_one_refuse_statistics(name: str) -> None:
    with pytest.raises(Unfit, match="mean and a covariance"):
        optional.check_counts(registry().build("metric", Spec(name)), 500, 0)
