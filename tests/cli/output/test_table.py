"""Results in a terminal of any width: no head and no number is cut, and what is not shown is said."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from mgbench.cli.output import table
from mgbench.errors import UserError
from mgbench.report import read_results
from mgbench.report.measures import score_name
from tests.report.synthetic import record, store, tokenizer, unfinished

NAMES = ("fid", "kid", "accuracy", "precision", "recall", "density", "coverage", "inception_score", "sfid")
SCORES = {f"{name}[digits_cnn]": 1000.125 + place for place, name in enumerate(NAMES)}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    rows = [
        record(method, steps, scores=SCORES) for method in ("emigm", "a-method-of-a-very-long-name") for steps in (1, 8)
    ]
    fitted = tokenizer("vq(codes=64)", **{name: value + 1000 for name, value in SCORES.items()})
    return store(tmp_path / "results", *rows, fitted, unfinished("mar", 4, 0, "oom", "no memory left"))


def printed(monkeypatch: pytest.MonkeyPatch, path: Path, width: int, **options: object) -> str:
    screen = Console(width=width, file=io.StringIO(), highlight=False)
    monkeypatch.setattr(table, "console", lambda: screen)
    table.print_table(read_results(path), **options)  # type: ignore[arg-type]
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 160, 240])
def test_no_head_and_no_number_is_cut_and_what_is_not_shown_is_said(
    monkeypatch: pytest.MonkeyPatch, results: Path, width: int
) -> None:
    text, frame = printed(monkeypatch, results, width), read_results(results)
    body, _, rest = text.partition("not shown: ")
    rest = " ".join(rest.split())
    for name, value in SCORES.items():
        whole = len(re.findall(rf"\b{value:.0f}\b", body))
        assert whole in (0, 4), "a number is whole in each of its rows"
        head = score_name(frame, name)
        assert set(head.partition("[")[0].split()) <= set(body.split()) if whole else head in rest, name
    assert str(round(SCORES["fid[digits_cnn]"])) in body, "the first score is always there"
    assert "…" not in body
    assert ("--all" in rest) == ("not shown" in text)
    if width >= 80:
        assert max(map(len, body.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 160])
def test_all_of_them_are_shown_in_parts(monkeypatch: pytest.MonkeyPatch, results: Path, width: int) -> None:
    text = printed(monkeypatch, results, width, everything=True)
    assert "not shown" not in text
    for value in SCORES.values():
        assert len(re.findall(rf"\b{value:.0f}\b", text)) == 4, "one for each of the rows"
        assert len(re.findall(rf"\b{value + 1000:.0f}\b", text)) == 1, "and one for the tokenizer"


def test_scores_are_named_with_or_without_extractor(monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    text = printed(monkeypatch, results, 80, scores=("recall", "sfid[digits_cnn]"))
    head = text.partition("reconstructions")[0]
    assert "Recall" in head
    assert "sFID" in head
    assert "KID" not in head
    with pytest.raises(UserError, match="did you mean 'recall'"):
        printed(monkeypatch, results, 80, scores=("recal",))
