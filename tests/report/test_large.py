"""Reports of very many rows: all of it is there, and no figure has more in it than can be told apart."""

import csv
import json
import re

import pytest
from matplotlib.collections import LineCollection

from mgbench.report import write_all
from mgbench.report.figures import gallery
from mgbench.report.figures.tradeoff import MOST_FAINT
from mgbench.report.stored import Stored, read_stored
from tests.report.synthetic import large, store, store_study

ROWS = 10_000
# Ticks, labels and grid lines of nine panels, and what is drawn into them.
MOST_ARTISTS = 3000


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    records = list(large(ROWS))
    root = store(tmp_path_factory.mktemp("large"), *records)
    store_study(root, "large", [(item.key, item.method) for item in records])
    return root


@pytest.mark.slow
def test_a_report_of_ten_thousand_rows_is_written_completely(results, tmp_path):
    page = write_all(results, tmp_path / "out", "large")
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in csv.DictReader(file)) == ROWS
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])
    assert len(data["grids"]["rows"]["columns"][0]["codes"]) == ROWS
    drawn = {picture.name for picture in gallery(read_stored(results, "large")) if picture.draw() is not None}
    assert {
        "figures/fid-versus-nfe",
        "figures/guidance",
        "figures/effects-fid",
        "figures/fid-by-guidance-schedule",
    } <= drawn
    for name in drawn:
        assert all((tmp_path / "out" / f"{name}.{kind}").stat().st_size > 0 for kind in ("png", "svg", "pdf")), name
    for name in ("table.md", "table.tex", "table.parquet", "methods.md"):
        assert (tmp_path / "out" / name).stat().st_size > 0, name


@pytest.mark.slow
def test_no_figure_has_more_in_it_than_can_be_told_apart_however_many_rows_there_are(results):
    stored = read_stored(results, "large")
    assert stored.frame["series"].nunique() > 2 * MOST_FAINT
    few = Stored(stored.frame[stored.frame["method"] == "emigm"], stored.layout)
    for picture in (*gallery(stored), *gallery(few)):
        figure = picture.draw()
        if figure is not None:
            assert len(figure.findobj()) < MOST_ARTISTS, picture.stem
            assert all(len(lines.get_paths()) <= MOST_FAINT for lines in figure.findobj(LineCollection)), picture.stem
