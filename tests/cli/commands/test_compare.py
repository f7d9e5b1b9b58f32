"""`mgbench compare` over stored records: what it prints, and when it says no."""

import json
from pathlib import Path

import pytest

from mgbench.results.layout import Layout
from mgbench.results.record import load_study
from tests.cli.conftest import Command
from tests.report.synthetic import record, store, store_study, unfinished

FID = "fid[digits_cnn]"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    fids = {"emigm": (2.0, 2.2, 2.1), "maskgit": (3.0, 3.1, 3.3)}
    rows = [
        record(method, steps, seed, scores={FID: fid + 1 / steps})
        for method, values in fids.items()
        for steps in (8, 16)
        for seed, fid in enumerate(values)
    ]
    root = store(tmp_path / "results", *rows)
    for name, method in (("old", "emigm"), ("new", "maskgit")):
        store_study(root, name, [(row.key, "mine") for row in rows if row.method == method])
    return root


def test_two_methods_are_compared_at_every_number_of_steps(mgbench: Command, results: Path) -> None:
    answer = mgbench("compare", "emigm", "maskgit")
    assert answer.code == 0, answer.err
    for shown in ("FID[digits_cnn]", "16", "2.23", "3.26", "1.03 ±"):
        assert shown in answer.out


def test_methods_of_one_number_of_steps_each_are_paired_by_seed(mgbench: Command, tmp_path: Path) -> None:
    rows = [record(method, steps, seed) for method, steps in (("emigm", 10), ("maskgit", 16)) for seed in range(3)]
    store(tmp_path / "results", *rows)
    said = json.loads(mgbench("compare", "emigm", "maskgit", "--json").out)
    assert (FID, 3) in [(row["metric"], row["seeds"]) for row in said["pairs"]]
    assert said["missing"] == []
    assert "paired by seed alone" in mgbench("compare", "emigm", "maskgit").out


def test_json_holds_the_pairs_and_what_is_missing(mgbench: Command, results: Path) -> None:
    store_study(results, "short", [(key, "mine") for key, _ in load_study(Layout(results).study("new")).rows[:1]])
    said = json.loads(mgbench("compare", "emigm", "maskgit", "--json", "--fail-on", "fid:+60%").out)
    assert [(row["sampling_steps"], row["metric"], row["seeds"]) for row in said["pairs"]] == [
        (8, FID, 3),
        (16, FID, 3),
    ]
    assert said["pairs"][0]["difference"] == pytest.approx(31 / 30)
    assert said["missing"] == []
    alone = json.loads(mgbench("compare", "old", "short", "--json").out)
    assert (alone["pairs"][0]["p"], alone["pairs"][0]["low"]) == (None, None)
    assert alone["missing"]


def test_two_studies_are_compared_method_by_method(mgbench: Command, results: Path) -> None:
    answer = mgbench("compare", "old", "new", "--where", "sampling_steps=8")
    assert answer.code == 0, answer.err
    assert "mine" in answer.out


def test_a_regression_exits_with_one_and_says_where(mgbench: Command, results: Path) -> None:
    assert mgbench("compare", "emigm", "maskgit", "--fail-on", "fid:+60%").code == 0
    answer = mgbench("compare", "emigm", "maskgit", "--fail-on", "fid:+5%")
    assert answer.code == 1
    assert "fid:+5% is exceeded: sampling steps 8: FID[digits_cnn] went from" in answer.err
    assert mgbench("compare", "maskgit", "emigm", "--fail-on", "fid:+5%").code == 0


def test_a_gate_that_lacks_rows_fails_and_says_which(mgbench: Command, results: Path) -> None:
    lost = unfinished("maskgit", 16, 2, "failed", "no memory")
    store(results, lost)
    kept = [key for key, method in load_study(Layout(results).study("new")).rows]
    store_study(results, "less", [(key, "mine") for key in kept[:-1]] + [(lost.key, "mine")])
    assert mgbench("compare", "old", "less").code == 0
    answer = mgbench("compare", "old", "less", "--fail-on", "fid:+900%")
    assert answer.code == 1
    assert "less: 1 of 6 rows did not finish (1 failed)" in answer.err
    assert "less lacks what the other side has: series mine, sampling steps 16, seed 2" in answer.err


def test_rows_without_one_partner_are_refused(mgbench: Command, results: Path) -> None:
    scales = [record("wide", 8, recipe={"guidance_schedule": f"constant(scale={scale})"}) for scale in (1.5, 2.0, 3.0)]
    samplers = [record("deep", 8, recipe={"sampler": name}) for name in ("halton", "random_order")]
    store(results, *scales, *samplers)
    answer = mgbench("compare", "wide", "deep")
    assert answer.code == 2
    assert "guidance_schedule" in answer.err
    assert "no partners" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("emigm", "emigm"), "emigm is given twice"),
        (("emigm", "maskgitt"), "did you mean 'maskgit'?"),
        (("emigm", "maskgit", "--fail-on", "fid"), "write for example 'fid:+5%'"),
        (("emigm", "maskgit", "--fail-on", "fod:+5%"), "no score is called 'fod'"),
        (("emigm", "maskgit", "--study", "od"), "did you mean 'old'?"),
        (
            ("old", "maskgit"),
            "'old' is a study, and the other side is none; name two studies, or two methods with --study old",
        ),
        (("old", "nwe"), "'nwe' is neither a study nor a method that is stored; did you mean 'new'?"),
    ],
)
def test_what_cannot_be_compared_is_told(
    mgbench: Command, results: Path, arguments: tuple[str, ...], said: str
) -> None:
    answer = mgbench("compare", *arguments)
    assert answer.code == 2
    assert said in answer.err
