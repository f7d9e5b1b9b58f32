"""Figures show themselves in notebooks, before pyplot has drawn any."""

import ast
from pathlib import Path

import mgbench.report
from mgbench.report import metric_panels, read_results
from tests.report.synthetic import FID, record, store


def test_a_figure_is_a_picture(tmp_path: Path) -> None:
    frame = read_results(store(tmp_path, *(record("emigm", steps) for steps in (2, 8))))
    assert metric_panels(frame, FID)._repr_png_().startswith(b"\x89PNG")


def test_no_figure_is_made_that_shows_its_name_instead() -> None:
    for path in Path(mgbench.report.__file__).parent.rglob("*.py"):
        calls = [
            node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ]
        assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "Figure"], path
