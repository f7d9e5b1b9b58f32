"""Claims on the command line: checked against the planned rows, listed by `plan`, and judged by `run` and `show`."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.cli.output.displays import JsonLines
from tests import doubles
from tests.cli.conftest import Command
from tests.report.synthetic import FID
from tests.report.test_verdicts import CLAIM, LARGE, SMALL, frame_of, rows

ROOT = Path(__file__).resolve().parents[3]
FILE = f"""
name = "s"
plugins = ["{doubles.FILE}"]
methods = ["tiny", "half"]
seeds = [0, 1, 2, 3, 4]

[set]
train_steps = 1
samples = 10

[vary]
sampling_steps = [1, 2]

[recipes.half]
base = "tiny"
loss_weighting = "elbo"

[[claims]]
name = "weighting"
says = "Uniform weights beat those of the bound."
source = "arXiv 2503.07197"
better = "method=tiny"
than = "loss_weighting=elbo"
at = ["sampling_steps=1", "sampling_steps=2"]
margin = 0.05
"""


@pytest.fixture
def plan(mgbench: Command, tmp_path: Path):
    def planned(text: str, *options: str):
        (tmp_path / "s.toml").write_text(text, encoding="utf-8")
        return mgbench("plan", "s.toml", "--no-costs", *options)

    return planned


def test_a_plan_lists_the_claims_and_their_seeds(plan) -> None:
    answer = plan(FILE)
    assert answer.code == 0, answer.err
    assert "weighting: Uniform weights beat those of the bound. (arXiv 2503.07197)" in answer.out
    assert (
        "method=tiny  at most 5 % worse than  loss_weighting=elbo, at sampling_steps=1; sampling_steps=2  (5 seeds)"
    ) in answer.out
    content = json.loads(plan(FILE, "--json").out)
    assert content["claims"][0]["than"] == "loss_weighting=elbo"


def test_a_plan_says_that_too_few_seeds_decide_nothing(plan) -> None:
    assert "(2 seeds, of 5 that a verdict needs)" in plan(FILE, "--seeds", "0,1").out


def test_a_plan_says_that_rows_which_are_skipped_decide_nothing(plan) -> None:
    assert "no verdict can come" not in plan(FILE).out
    answer = plan(
        FILE.replace('loss_weighting = "elbo"', 'tokenizer = "levels"').replace("loss_weighting=elbo", "method=half")
    )
    assert answer.code == 0, answer.err
    assert answer.out.count("no verdict can come of it: rows of 'method=half' are skipped (") == 1
    assert "no verdict can come of it: rows of 'method=tiny'" not in answer.out


def test_claims_decide_no_key(plan) -> None:
    keys = [
        [row["key"] for row in json.loads(plan(text, "--json").out)["rows"]]
        for text in (FILE, FILE.partition("[[claims]]")[0])
    ]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("method=tiny", "method=tyni", "no row has 'method=tyni' at 'sampling_steps=1'; correct the condition"),
        ("sampling_steps=2\"]", "sampling_steps=3\"]", "no row has 'method=tiny' at 'sampling_steps=3'"),
        ("method=tiny", "metod=tiny", "the results have no column 'metod'; did you mean 'method'?"),
        ("method=tiny", "method tiny", "cannot read the condition 'method tiny'"),
        ("loss_weighting=elbo\"\nat", "seed<=2\"\nat", "some rows have both 'method=tiny' and 'seed<=2'"),
        ("margin = 0.05", 'metric = "fdi"', "no metric of its rows gives a score 'fdi'; did you mean 'fid'?"),
        ("margin = 0.05", 'costs = ["nef"]', "there is no cost 'nef'; did you mean 'nfe'?"),
        (
            '"method=tiny"\nthan = "loss_weighting=elbo"\nat = ["sampling_steps=1", "sampling_steps=2"]',
            '"method=tiny"\nthan = "loss_weighting=elbo and sampling_steps=2"',
            "have 2 values of sampling_steps (1, 2, …) that the other side does not have",
        ),
    ],
)  # fmt: skip
def test_a_claim_that_fits_no_rows_is_refused_with_what_to_do(plan, before: str, after: str, said: str) -> None:
    assert before in FILE
    answer = plan(FILE.replace(before, after, 1))
    assert answer.code == 2
    assert "claim 'weighting': " in answer.err
    assert said in answer.err


@pytest.mark.parametrize("path", sorted((ROOT / "studies" / "findings").glob("*.toml")), ids=lambda path: path.stem)
def test_the_claims_of_our_studies_fit_their_rows(mgbench: Command, path: Path) -> None:
    answer = mgbench("plan", str(path), "--no-costs", "--seeds", "0")
    assert answer.code == 0, answer.err
    assert "claim" not in answer.err


def test_options_that_leave_a_claim_without_rows_are_no_error(plan) -> None:
    answer = plan(FILE, "--methods", "tiny")
    assert answer.code == 0
    assert "claim 'weighting': no row has 'loss_weighting=elbo'" in answer.err


def test_the_table_of_a_study_ends_with_the_verdicts(
    mgbench: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = (CLAIM, replace(CLAIM, name="few", at=("sampling_steps=9",)))
    frame_of(tmp_path / "results", *rows("emigm", SMALL), *rows("maskgit", LARGE), claims=claims)
    answer = mgbench("show", "s", "--no-plot")
    assert answer.code == 0, answer.err
    table = answer.out.partition("verdicts on the claims")[2]
    assert re.search(
        r"weighting +all rows +reproduced +FID\[digits_cnn\] +21 +31\.1 +−32 % \(−36 to −29\) +5 of 5", table
    )
    assert "few at 9 steps: no row has 'method=emigm' at 'sampling_steps=9'" in table
    assert re.search(r"few +9 steps +undecided", table)
    assert "about 0.05 would be decided by chance (5 %)" in table
    assert "verdicts on the claims" not in mgbench("show", "s", "--no-plot", "--where", "sampling_steps=8").out
    content = json.loads(mgbench("show", "s", "--json").out)
    first, few = content["claims"]
    assert (first["name"], first["verdict"], first["metric"], first["seeds"]) == ("weighting", "reproduced", FID, 5)
    assert first["means"] == pytest.approx([21, 31.1], abs=0.05)
    assert first["low"] < first["effect"] < first["high"] < first["bound"]
    assert (few["at"], few["verdict"], few["effect"]) == ("sampling_steps=9", "undecided", None)
    assert len(content["rows"]) == 10
    # A run that prints events ends with one for each claim.
    JsonLines().conclude(Path("results"), "s")
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events == [{"event": "claim", **claim} for claim in content["claims"]]
    assert json.loads(mgbench("show", "s", "--json", "--where", "sampling_steps=8").out)["claims"] == []
