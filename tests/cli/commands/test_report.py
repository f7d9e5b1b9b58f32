"""`report`, `show` and `diff` over stored records: what they write and print, without torch."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.report.synthetic import grid, record, store, store_curve, store_film, store_images, store_study, sweep


@pytest.fixture
def results(tmp_path: Path) -> Path:
    rows = grid(methods=("emigm", "maskgit"), steps=(1, 4, 16), seeds=range(2))
    root = store(tmp_path / "results", *rows)
    for row in rows:
        store_images(root, row)
        store_curve(root, row, 50)
        store_film(root, row)
    store_study(root, "mine", [(row.key, row.method) for row in rows])
    return root


def test_a_report_holds_every_figure_in_three_formats_and_the_tables(mgbench: Command, results: Path) -> None:
    answer = mgbench("report", "--study", "mine", "-o", "out")
    assert answer.code == 0, answer.err
    written = {path.name for path in (results.parent / "out" / "mine").rglob("*") if path.is_file()}
    for stem in ("fid-versus-nfe", "fid-versus-seconds", "kid-versus-nfe", "accuracy-versus-nfe", "training", "stages"):
        assert {f"{stem}.png", f"{stem}.svg", f"{stem}.pdf"} <= written
    assert {"index.html", "table.csv", "table.md", "table.tex", "methods.md"} <= written
    assert {"samples.png", "steps.png", "film.png", "film.gif"} <= written


def test_a_report_takes_a_condition_a_field_and_the_style_of_a_paper(mgbench: Command, tmp_path: Path) -> None:
    store(tmp_path / "results", *sweep(seeds=(0,)))
    where = "guidance_schedule=none and mask_schedule=exp(rate=5.0)"
    options = ("--where", where, "--by", "sampler", "--style", "paper")
    answer = mgbench("report", "-o", "out", *options)
    assert answer.code == 0, answer.err
    written = {path.name for path in (tmp_path / "out" / "all" / "figures").iterdir()}
    assert "guidance.png" not in written, "only rows without guidance are left"
    pdf = (tmp_path / "out" / "all" / "figures" / "effects-fid.pdf").read_bytes()
    assert b"/MediaBox [ 0 0 241.2 " in pdf, "3.35 inches, a column"


def test_a_report_of_some_pictures_has_no_others(mgbench: Command, results: Path) -> None:
    answer = mgbench("report", "--study", "mine", "-o", "out", "--pictures", "fid-versus-nfe,samples")
    assert answer.code == 0, answer.err
    written = {path.name for path in (results.parent / "out" / "mine").rglob("*.png")}
    assert written == {"fid-versus-nfe.png", "samples.png"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pictures", "fid-versus-nfee"), "did you mean 'fid-versus-nfe'?"),
        (("--where", "samplr=halton"), "did you mean 'sampler'?"),
        (("--where", "nfe>1000"), "no row has 'nfe>1000'"),
        (("--by", "samplr"), "did you mean 'sampler'?"),
        (("--by", "status"), "and 'status' does not"),
        (("--study", "mien"), "did you mean 'mine'?"),
    ],
)
def test_a_name_that_does_not_exist_is_said_and_nothing_is_written(
    mgbench: Command, results: Path, options: tuple[str, ...], said: str
) -> None:
    answer = mgbench("report", "-o", "out", *options)
    assert answer.code == 2
    assert said in answer.err
    assert not (results.parent / "out").exists()


def test_show_prints_the_table_and_a_plot(mgbench: Command, results: Path) -> None:
    answer = mgbench("show", "mine")
    assert answer.code == 0
    assert "FID[digits_cnn] (N = 500, lower is better)" in answer.out
    assert "● emigm" in answer.out
    assert "└────" in answer.out
    assert "└────" not in mgbench("show", "mine", "--no-plot").out
    assert "maskgit" not in mgbench("show", "mine", "--where", "method=emigm").out


def test_diff_tells_what_changed(mgbench: Command, results: Path) -> None:
    rows = [record("emigm", steps, seed, recipe={"ema": 0.9}) for steps in (1, 4, 16) for seed in range(2)]
    store_study(store(results, *rows), "yours", [(row.key, row.method) for row in rows])
    answer = mgbench("diff", "mine", "yours")
    assert answer.code == 0
    for said in ("mine → yours: 0 rows in both", "only in mine: maskgit", "ema", "0.999", "0.9", "FID[digits_cnn]"):
        assert said in answer.out, said
    assert "nothing changed" not in answer.out
    as_json = json.loads(mgbench("diff", "mine", "yours", "--json").out)
    assert (as_json["gone"], as_json["same"]) == (["maskgit"], 0)
    assert {"method": "emigm", "field": "ema", "before": "0.999", "after": "0.9"}.items() <= as_json["fields"][
        0
    ].items()
    assert {row["metric"] for row in as_json["scores"]} >= {"fid[digits_cnn]"}
    assert mgbench("diff", "mine", "yuors").err == ("mgbench: results holds no study 'yuors'; did you mean 'yours'?\n")
