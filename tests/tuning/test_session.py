"""A whole search of a tiny model: rows of the store, resumption, the held-out comparison, and the study that it writes."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.errors import UserError
from mgbench.recipes.study import read_study
from mgbench.registry.resolve import assemble
from mgbench.results.record import load_record
from mgbench.results.tuning import Tuning, read_tuning
from mgbench.tuning.session import Session
from mgbench.tuning.study_file import check_free, found_study, study_text
from tests.tuning.conftest import Bench


@pytest.fixture(scope="module")
def searched(bench: Callable[[], Bench]) -> tuple[Bench, Session, Tuning]:
    """A search that was interrupted after two recipes, and done again."""
    here = bench()
    next(here.session().run())
    assert len(here.computed) == 2
    session = here.session()
    list(session.run())
    here.compute(session.comparison((0, 1)))
    return here, session, session.tuning()


def test_a_search_that_is_done_again_computes_only_what_is_missing(searched: tuple[Bench, Session, Tuning]) -> None:
    here, session, _ = searched
    assert len(here.computed) == len(set(here.computed))
    before = len(here.computed)
    again = here.session()
    list(again.run())
    assert [tried.changes for tried in again.tried] == [tried.changes for tried in session.tried]
    assert [tried.score for tried in again.tried] == [tried.score for tried in session.tried]
    assert len(here.computed) == before


def test_every_recipe_is_a_row_on_the_searched_half_with_noise_of_its_own(
    searched: tuple[Bench, Session, Tuning],
) -> None:
    here, _, tuning = searched
    assert len(tuning.attempts) == 4
    for attempt in tuning.attempts:
        record = load_record(here.root / "runs" / attempt.keys[0] / "record.json")
        assert record.status == "done"
        assert record.recipe["reference"] == "validation"
        assert record.recipe["sample_seed"] == tuning.sample_seed
        assert record.protocol.split("/")[1] == "validation250"
        assert record.costs["nfe"] <= 4


def test_the_comparison_is_of_the_other_half_with_other_noise(searched: tuple[Bench, Session, Tuning]) -> None:
    here, session, tuning = searched
    assert tuning.held_out.keys() == session.recipes().keys() == tuning.names.keys()
    for keys in tuning.held_out.values():
        record = load_record(here.root / "runs" / keys[0] / "record.json")
        assert record.recipe["reference"] == "test"
        assert record.recipe["sample_seed"] is None
        assert record.protocol.split("/")[1] == "test250"


def test_what_does_not_fit_is_left_out_and_said(searched: tuple[Bench, Session, Tuning]) -> None:
    _, session, _ = searched
    assert [list(axis.choices) for axis in session.space.axes] == [
        ["none", "constant(scale=1.2..3.0)"],
        ["random_order", "halton"],
    ]
    (note,) = session.notes
    assert note.startswith("left out of the search: sampler=maskgit (")


def test_too_dear_recipes_are_not_drawn(bench: Callable[[], Bench]) -> None:
    here = bench()
    session = here.session(8, nfe=2, values={"sampling_steps": (2, 3), "guidance_schedule": ("constant(scale=2.0)",)})
    list(session.run())
    left_out = [tried for tried in session.tried if tried.score.value is None]
    assert left_out
    assert all("forwards of the network with" in tried.score.reason for tried in left_out)
    assert len(here.computed) == len({keys for _, keys in session.judge.tried if keys}) == 1


def test_a_search_is_stored_and_read_as_it_was(searched: tuple[Bench, Session, Tuning]) -> None:
    import dataclasses
    import json

    tuning = searched[2]
    assert read_tuning(json.loads(json.dumps(dataclasses.asdict(tuning)))) == tuning
    assert read_tuning(None) is None


def test_the_study_file_has_the_rows_of_the_comparison(searched: tuple[Bench, Session, Tuning], tmp_path: Path) -> None:
    here, session, tuning = searched
    # Whatever won: the second attempt is another recipe than the method's.
    recipe = session.judge.tried[1][0]
    assert recipe is not None
    changes = {"sampling_steps": recipe.sampling_steps, **session.tried[1].changes}
    base = ("tiny", {"sampling_steps": session.base.sampling_steps})
    path = tmp_path / "tuned-tiny.toml"
    path.write_text(
        study_text(found_study("found", base, ("tiny-tuned", changes), {}, (0, 1)), ["Found by mgbench tune."])
    )
    study = read_study(path).study(here.registry.recipes)
    keys = [assemble(here.registry, recipe).keys.run for _, recipe in study.expand()]
    expected = (
        session.base.change(reference="test", sample_seed=None),
        recipe.change(reference="test", sample_seed=None),
    )
    assert keys == [assemble(here.registry, each.change(seed=seed)).keys.run for seed in (0, 1) for each in expected]
    assert set(tuning.held_out["tiny"]) <= set(keys)
    assert set(tomllib.loads(path.read_text())["recipes"]) == {"tiny", "tiny-tuned"}
    check_free(path)


def test_a_file_of_someone_else_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "tuned-tiny.toml"
    path.write_text("name = 'mine'\n")
    with pytest.raises(UserError, match="is there already, and no search wrote it"):
        check_free(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"changes": {"reference": "train"}}, "reference cannot be set here"),
        ({"changes": {"sampler": "halton"}}, "sampler is both set and searched"),
        ({"nfe": 0.5}, "an image needs at least 1 forward"),
        ({"metric": "fidd"}, "tiny has no score 'fidd'; did you mean 'fid'"),
        ({"values": {"sampler": ("maskgit",)}}, "there is nothing to search: left out of the search: sampler=maskgit"),
        ({"values": {}}, "there is nothing to search: give values with --vary"),
        ({"nfe": 1, "changes": {"guidance_schedule": "constant(scale=2.0)"}, "values": {"sampler": ("halton",)}},
         "tiny cannot be tuned for 1 NFE: it needs 2 forwards"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_told(bench: Callable[[], Bench], changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        prepare(lambda: bench().session(**changes))  # type: ignore[arg-type]


def prepare(make: Callable[[], Session]) -> None:
    """All that a session checks before it computes anything."""
    session = make()
    assert session.score
    assert session.space


def test_an_unknown_method_is_told(bench: Callable[[], Bench]) -> None:
    session = bench().session()
    session.request = replace(session.request, method="tyny")
    with pytest.raises(UserError, match="no method is called 'tyny'; did you mean 'tiny'"):
        assert session.base
