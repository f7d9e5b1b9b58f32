"""The report of a search: history, gap, the comparison in a sentence, its figure and its place on the page."""

from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.report.figures.tuning import pictures
from mgbench.report.frame import read_results
from mgbench.report.stored import read_stored
from mgbench.report.tuning import comparison, gap_table, history, verdict
from mgbench.results.layout import Layout
from mgbench.results.record import StudyView, find_study
from mgbench.results.store import Store
from mgbench.results.tuning import Attempt, Tuning
from tests.report.synthetic import record, report_of, store

FID = "fid[digits_cnn]"
# Of the method as it is and the best recipe: on the searched half, and of seeds 0, 1, 2 on the other.
SEARCHED, HELD_OUT = (5.0, 4.0), ((5.1, 5.3, 5.2), (4.3, 4.4, 4.45))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    searched = [
        record("search", 8, place, scores={FID: value}, recipe={"reference": "validation"})
        for place, value in enumerate((SEARCHED[0], 6.0, SEARCHED[1], 4.5))
    ]
    methods = {"emigm": 10, "emigm-tuned": 8}
    compared = {
        method: [
            record(method, steps, seed, scores={FID: value}, recipe={"reference": "test"})
            for seed, value in enumerate(values)
        ]
        for (method, steps), values in zip(methods.items(), HELD_OUT, strict=True)
    }
    rows = [row for part in compared.values() for row in part]
    root = store(tmp_path / "results", *searched, *rows)
    changes: list[dict[str, object]] = [{}, {"sampler": "psi"}, {"sampler": "halton"}, {"solver.steps": 12}]
    attempts = [Attempt(each, 8, (row.key,)) for each, row in zip(changes, searched, strict=True)]
    attempts.append(Attempt({"sampler": "p2"}, reason="it needs 20 forwards of the network with 1 sampling steps"))
    held_out = {method: (part[0].key,) for method, part in compared.items()}
    tuning = Tuning("emigm", "emigm-tuned", "fid", False, 16, 0, (0,), 1_000_000, tuple(attempts), 2, held_out)
    view = StudyView(
        "tuned", tuple((row.key, row.method) for row in rows), "mgbench tune emigm --nfe 16", tuning=tuning
    )
    Store(root).save_study(view)
    return root


def tuning_of(results: Path) -> Tuning:
    found = find_study(Layout(results), "tuned").tuning
    assert found is not None
    return found


def test_the_history_has_every_attempt_and_the_best_so_far(results: Path) -> None:
    found = history(Layout(results), tuning_of(results))
    assert found["score"].tolist()[:4] == [5.0, 6.0, 4.0, 4.5]
    assert found["score"].isna().tolist() == [False] * 4 + [True]
    assert found["best"].tolist() == [5.0, 5.0, 4.0, 4.0, 4.0]
    assert found["changes"][2] == "sampler=halton"


def test_the_gap_is_held_out_minus_searched(results: Path) -> None:
    table = gap_table(Layout(results), tuning_of(results)).set_index("method")
    assert table["gap"].to_dict() == pytest.approx({"emigm": 0.1, "emigm-tuned": 0.3})
    higher = replace(tuning_of(results), higher=True)
    assert gap_table(Layout(results), higher)["gap"].tolist() == pytest.approx([-0.1, -0.3])


def test_the_comparison_is_paired_by_seed_whatever_the_steps(results: Path) -> None:
    frame, tuning = read_results(results, "tuned"), tuning_of(results)
    (row,) = comparison(frame, tuning).to_dict("records")
    assert (row["seeds"], row["difference"]) == (3, pytest.approx((-0.8 - 0.9 - 0.75) / 3))
    assert verdict(frame, tuning).endswith("(95 % interval -1.01 to -0.627, 3 seeds): the tuned recipe is better.")
    assert verdict(frame, replace(tuning, higher=True)).endswith("the tuned recipe is worse.")
    assert verdict(frame, replace(tuning, winner=0)) == "No recipe of the search was better than emigm as it is."
    alone = read_results(results, "tuned", "seed=0")
    assert verdict(alone, tuning).endswith("with one seed, the difference may be due to chance.")


def test_a_study_without_a_search_shows_none(tmp_path: Path) -> None:
    results = store(tmp_path / "results", record())
    assert not list(pictures(read_stored(results)))
    assert "Tuned on one half" not in report_of(results, tmp_path / "page").read_text()


def test_the_page_shows_the_search(results: Path, tmp_path: Path) -> None:
    (picture,) = pictures(read_stored(results, "tuned"))
    figure = picture.draw()
    assert figure is not None
    left, right = figure.axes
    marks = {line.get_gid(): line for line in (*left.lines, *right.lines) if line.get_gid()}
    assert list(marks["winner"].get_xdata()) == [2]
    assert list(marks["best"].get_ydata())[-1] == 4.0
    assert sum(line.get_gid() == "seed" for line in right.lines) == 3
    assert "1 of them have no score" in picture.caption
    page = report_of(results, tmp_path / "page", "tuned").read_text()
    for said in (
        "Tuned on one half, compared on the other",
        "<b>emigm-tuned</b>: sampler=halton",
        "0.300",
        'id="tuning"',
    ):
        assert said in page
