"""`mgbench tune`: refusals before anything is computed, a preview, and a whole search that another command takes up."""

import json
from pathlib import Path

import pytest

from mgbench.cli.commands import run
from mgbench.results.layout import Layout
from mgbench.results.record import find_study
from tests import doubles
from tests.cli.conftest import Command
from tests.in_process import without_report

TINY = (
    "tune",
    "tiny",
    "--plugins",
    doubles.FILE,
    "--nfe",
    "2",
    "--vary",
    "sampler=halton,maskgit",
    "--devices",
    "cpu:1",
)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tune", "tyny", "--plugins", doubles.FILE, "--nfe", "2"), "no method is called 'tyny'; did you mean 'tiny'?"),
        (("tune", "tiny", "--nfe", "nan"), "--nfe is nan, and should be a finite number"),
        (("tune", "tiny", "--nfe", "inf"), "--nfe is inf, and should be a finite number"),
        ((*TINY, "--set", "seed=3"), "seed cannot be set here: --seeds has the trained models that are compared"),
        (
            (*TINY, "--vary", "network=mae"),
            "network decides the model, and a search changes only how a trained model is sampled",
        ),
        ((*TINY, "--search-seeds", "a"), "--search-seeds a is not a list of whole numbers"),
        ((*TINY, "--metric", "fod"), "tiny has no score 'fod'; did you mean 'fid'"),
        ((*TINY, "--space", "nowhere.toml"), "cannot read the study file nowhere.toml"),
        ((*TINY, "--vary", "sampler=haltn"), "did you mean 'halton'"),
        ((*TINY, "--vary", "solver.steps=9..4"), "the range 9..4 is empty; write the smaller number first"),
    ],
)
def test_what_cannot_be_searched_is_told(
    mgbench: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    answer = mgbench(*arguments)
    assert answer.code == 2
    assert said in answer.err
    assert not list(tmp_path.iterdir())


def test_a_space_is_a_table_of_values(mgbench: Command, tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text('seeds = [1]\n[vary]\nsampler = ["halton"]\n')
    refused = mgbench("tune", "tiny", "--plugins", doubles.FILE, "--nfe", "2", "--space", "space.toml")
    assert "space.toml should have a [vary] table and nothing else" in refused.err
    path.write_text('[vary]\nsampler = ["halton"]\n"solver.steps" = "2..9"\n')
    answer = mgbench("tune", "tiny", "--plugins", doubles.FILE, "--nfe", "3", "--space", "space.toml", "--dry-run")
    assert answer.code == 0, answer.err
    for shown in (
        "tiny for the best FID at 3 NFE: as it is, it takes 3 of them for an image in 3 sampling steps",
        "  sampler: random_order, halton\n  solver.steps: 2..9\n",
    ):
        assert shown in answer.out
    assert (
        "searches on 250 held-out images (reference=validation) with the models of seeds 0; reports on 250"
        in answer.out
    )
    assert "up to 50 rows of 20 images, of 5 models" in answer.out
    assert [item.name for item in tmp_path.iterdir()] == ["space.toml"]


def test_a_file_that_no_search_wrote_is_kept(mgbench: Command, tmp_path: Path) -> None:
    (tmp_path / "tuned-tiny.toml").write_text("name = 'mine'\n")
    assert "no search wrote it; name another file with -o" in mgbench(*TINY).err


@pytest.mark.slow
def test_a_whole_search_is_a_study_that_other_commands_read(
    mgbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_report(monkeypatch)
    space = tmp_path / "space.toml"
    space.write_text('[vary]\n"solver.steps" = "3..9"\n')
    words = ("--space", "space.toml", "--trials", "3", "--together", "3", "--seeds", "0", "--devices", "cpu:1")
    command = ("tune", "tiny", "--plugins", doubles.FILE, "--nfe", "2", *words)
    first = mgbench(*command)
    assert first.code == 0, first.err
    assert "2 steps, as it is" in first.out
    found = find_study(Layout(tmp_path / "results"), "tune-tiny-nfe2").tuning
    assert found is not None
    assert len(found.attempts) == 3
    planned = json.loads(mgbench("plan", "tuned-tiny.toml", "--json").out)
    assert {row["status"] for row in planned["rows"]} == {"done"}
    assert mgbench("run", "tuned-tiny.toml", "--devices", "cpu:1").code == 0
    assert find_study(Layout(tmp_path / "results"), "tune-tiny-nfe2").tuning == found
    monkeypatch.setattr(run, "compute", None)  # nothing is left to compute
    assert mgbench(*command).out.splitlines()[-4:] == first.out.splitlines()[-4:]
