"""The report of published results: the figure as files, and a page with footnotes and sources."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mgbench.report.frame import spell
from mgbench.report.page.details import as_groups, field
from mgbench.report.page.grid import Column, Grid, number_column
from mgbench.report.page.pictures import embed
from mgbench.report.page.shell import ELSEWHERE, as_json, write_page
from mgbench.report.published.data import Published, read_published
from mgbench.report.published.figure import group_colours, published_figure
from mgbench.report.published.overlay import picture
from mgbench.report.style import DPI, on_dark, theme
from mgbench.results.files import write_bytes

# Without dates, so that equal figures give equal files.
UNDATED: dict[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def write_published(name: str, output: Path) -> Path:
    """Write the figure (PNG, SVG, PDF, with its footnotes) and `index.html` into the folder; return the page's path.

    Raises:
        UserError: if there are no published numbers of that name.
    """
    published = read_published(name)
    with theme():
        figure = published_figure(published)
        for kind, metadata in UNDATED.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=2 * DPI, metadata=metadata)
            write_bytes(output / f"{name}.{kind}", buffer.getvalue(), ELSEWHERE)
    return write_page(output / "index.html", "published.html.j2", **_context(published))


def _context(published: Published) -> dict[str, Any]:
    wanted = replace(picture(published), draw=partial(_without_notes, published))
    missing = published.rows.drop(published.drawn.index)
    numbers = published.numbered()
    grid = _grid(published, numbers)
    return {
        "title": f"{published.title}, as published",
        "published": published,
        "picture": next(embed([wanted], None)),
        "formats": list(UNDATED),
        "notes": [(name, published.text_of(name), _concerned(published, name)) for name in numbers],
        "missing": list(dict.fromkeys(missing["model"])),
        "grids": [grid],
        "data": as_json(
            {
                "grids": {grid.id: grid.as_data()},
                "details": _details(published),
                "swatches": _swatches(published.rows),
                "file": published.name,
            }
        ),
    }


def _without_notes(published: Published) -> Figure:
    """The figure for a page that has the footnotes as text."""
    return published_figure(published, notes=False)


def _concerned(published: Published, trap: str) -> str:
    """The series that a caveat concerns."""
    rows = published.drawn
    return ", ".join(dict.fromkeys(rows.loc[[trap in traps for traps in rows["traps"]], "series"]))


def _grid(published: Published, numbers: dict[str, int]) -> Grid:
    rows = published.rows
    known = [" ".join(str(numbers[trap]) for trap in traps if trap in numbers) for traps in rows["traps"]]
    columns = [
        Column("model", list(rows["model"]), swatch=True),
        Column("family", list(rows["family"]), hidden=True),
        Column("kind", list(rows["group"]), facet=True),
        number_column("parameters (M)", rows["params_millions"]),
        number_column("NFE", rows["nfe"]),
        Column("guidance", list(rows["guidance"]), facet=True),
        number_column("FID", rows["fid"]),
        number_column("IS", rows["inception_score"]),
        number_column("precision", rows["precision"]),
        number_column("recall", rows["recall"]),
        Column("footnotes", known),
        Column("how NFE was counted", list(rows["nfe_note"]), hidden=True),
        Column("source", list(rows["source"]), hidden=True),
    ]
    return Grid("published", "Published numbers", "Open a row for its source and details.", columns)


def _details(published: Published) -> list[dict[str, Any]]:
    rows = published.rows
    known = [" ".join(published.text_of(trap) for trap in traps) for traps in rows["traps"]]
    return as_groups(
        {
            "Source": [field("source", rows["source"])],
            "What one has to know": [field("traps", known)],
            "Forwards": [field("NFE", rows["nfe"].map(_number)), field("counted as", rows["nfe_note"])],
            "Model": [field("series", rows["series"]), field("size", rows["size"]), field("family", rows["family"])],
        }
    )


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:g}"


def _swatches(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    light = group_colours()
    pairs = zip(rows["model"].map(spell), rows["group"], strict=True)
    return {model: (light[group], on_dark()[light[group]]) for model, group in pairs}
