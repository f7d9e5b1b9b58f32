"""docs/findings.md is what its generator makes of the kept studies; and what that makes of made-up ones."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgbench.results.kept import keep
from mgbench.results.layout import Layout
from scripts.claims.gather import KEPT, ROOT, STUDIES, gathered, not_kept
from scripts.claims.page import EMPTY, FIGURES, page
from tests.report.synthetic import FID, record, store, store_study

STUDY = """
name = "{name}"
methods = ["emigm"]

[[claims]]
name = "weighting"
says = "One beats the other."
source = "arXiv 2503.07197, section 4"
better = "method=emigm"
than = "method=maskgit"
at = ["sampling_steps=4", "sampling_steps=8"]
"""
SMALL = np.array([20.0, 21.0, 22.0, 20.5, 21.5])
LARGE = SMALL * [1.5, 1.4, 1.45, 1.55, 1.5]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "findings.py"))


def test_the_page_is_what_the_kept_studies_say(script: dict[str, Any]) -> None:
    stored = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    assert stored == script["findings"](), "run: python scripts/findings.py"


def test_every_figure_of_the_page_is_there() -> None:
    for study in gathered():
        named = f"{FIGURES}/{study.name}.png"
        if named in (ROOT / "docs" / "findings.md").read_text(encoding="utf-8"):
            assert (ROOT / "docs" / named).is_file()


def kept(root: Path, name: str, dataset: str, fids: dict[str, np.ndarray]) -> None:
    (root / STUDIES).mkdir(parents=True, exist_ok=True)
    (root / STUDIES / f"{name}.toml").write_text(STUDY.format(name=name), encoding="utf-8")
    rows = [
        record(method, steps, seed, scores={FID: fid * 4 / steps}, recipe={"dataset": dataset, "train_steps": 3200})
        for method, values in fids.items()
        for steps in (4, 8)
        for seed, fid in enumerate(values)
    ]
    store(root / "results", *rows)
    store_study(root / "results", name, [(row.key, row.method) for row in rows])
    keep(Layout(root / "results"), name, root / KEPT / name)


@pytest.fixture
def text(tmp_path: Path) -> str:
    kept(tmp_path, "weighting-digits", "digits", {"emigm": SMALL, "maskgit": LARGE})
    kept(tmp_path, "weighting-mnist", "mnist", {"emigm": LARGE, "maskgit": SMALL})
    (tmp_path / STUDIES / "not-run.toml").write_text(STUDY.format(name="not-run"), encoding="utf-8")
    return page(gathered(tmp_path)).replace("\N{NO-BREAK SPACE}", " ")


def test_every_claim_has_its_verdicts_with_effect_seeds_and_cost(text: str) -> None:
    part = text.partition("### weighting-digits: weighting")[2].partition("##")[0]
    assert "Source: arXiv 2503.07197, section 4." in part
    assert "| 4 steps | **reproduced** | −32 % (−36 to −29) | 5 of 5 | 21 / 31.1 | 6.40 / 4 |" in part
    row = next(line for line in text.splitlines() if line.startswith("| One beats the other |"))
    cells = (
        "[**reproduced** (2 of 2)](#weighting-digits-weighting) | [**reversed** (2 of 2)](#weighting-mnist-weighting)"
    )
    assert row == f"| One beats the other | {cells} |"
    assert (
        "`mgbench run studies/findings/weighting-digits.toml`. 20 rows (20 done) of 5 seeds; 10 trainings took 8.33"
        in text
    )
    assert "not-run" not in text


def test_verdicts_that_change_with_the_data_are_said_to(text: str) -> None:
    part = text.partition("## Where verdicts change")[2].partition("\n## ")[0]
    assert "Of 2 that were tested on several, 2 change from reproduced to reversed or back (weighting)" in part
    line = "| weighting | 8 steps | **reproduced** −32 % (−36 to −29) | **reversed** +48 % (+41 to +55) | yes |"
    assert line in part


def test_the_best_within_a_number_of_forwards_is_named_with_what_is_not_separated_from_it(tmp_path: Path) -> None:
    near = SMALL * [1.1, 0.95, 1.05, 0.97, 1.01]
    kept(tmp_path, "a", "digits", {"emigm": SMALL, "maskgit": near, "mage": LARGE, "muse": SMALL[:4] / 2})
    part = page(gathered(tmp_path)).partition("## What to pick")[2]
    lines = {
        line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in part.splitlines() if line[:3].strip("| ")
    }
    # Of 1.6, 1, 1 and 2 forwards a step; the last has too few seeds.
    assert "1" not in lines
    assert lines["4"][0] == "**maskgit at 4 steps**"
    assert lines["8"][0] == "**maskgit at 8 steps**"
    assert (lines["16"][0], lines["16"][-1].strip("| ")) == ("**emigm at 8 steps**", "maskgit at 8 steps")


def test_without_kept_studies_the_page_says_how_to_keep_one(tmp_path: Path) -> None:
    assert page(gathered(tmp_path)).endswith(EMPTY)


def test_the_page_names_studies_that_were_not_run(tmp_path: Path) -> None:
    kept(tmp_path, "small", "digits", {"emigm": SMALL, "maskgit": LARGE})
    (tmp_path / STUDIES / "later.toml").write_text(STUDY.format(name="later"), encoding="utf-8")
    assert not_kept(tmp_path) == [STUDIES / "later.toml"]
    assert "not tested yet: [later](../studies/findings/later.toml)." in page(gathered(tmp_path), not_kept(tmp_path))
