"""How is it read? One self-contained page, the figures and sheets as files, and every row as a table."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from mgbench.errors import UserError
from mgbench.record import Layout
from mgbench.report.figures import gallery
from mgbench.report.figures.picture import Picture, Stored, as_data_uri, files_of
from mgbench.report.findings import findings, headline
from mgbench.report.frame import POINT, REPEAT, of_images, read_results, score_names, spell
from mgbench.report.measures import cost_short, number, score_name
from mgbench.report.style import DPI, looks
from mgbench.report.summary import comparable, mark_protocols
from mgbench.report.table import (
    TABLE_COSTS,
    best_per_series,
    best_per_step,
    metrics_of,
    printable,
    problems,
    summary_table,
    write_csv,
)

# Columns of origin that say when and how, not where and with which versions.
WHEN = ("started", "finished")
COMMAND = "command"


@dataclass(frozen=True)
class Embedded:
    """A picture inside the page: its words, and itself as data for a light and a dark page."""

    words: Picture
    light: str
    dark: str
    width: int
    height: int


def write_report(
    results: Path,
    output: Path,
    study: str | None = None,
    title: str | None = None,
    allow_mismatch: bool = False,
    where: str = "",
    by: str = "",
    neighbours: bool = False,
) -> Path:
    """Write `index.html`, `table.csv`, `figures/` and `sheets/` into the output folder; return the path of the page.

    Raises:
        UserError: if there is nothing to report, or rows are not comparable and `allow_mismatch` is false.
    """
    frame = read_results(results, study, where)
    images = of_images(frame)
    if images.empty:
        raise UserError(f"{results} holds no record that can be read; run the study again")
    for metric in score_names(images):
        comparable(images, metric, allow_mismatch)
    frame = mark_protocols(frame)
    output.mkdir(parents=True, exist_ok=True)
    write_csv(frame, output / "table.csv")
    context = _context(Stored(frame, Layout(Path(results)), by, neighbours), output)
    page = _environment().get_template("report.html.j2").render(title=title or study or "Results", **context)
    _write(output / "index.html", page.encode())
    return output / "index.html"


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _context(stored: Stored, output: Path) -> dict[str, Any]:
    frame, drawn = of_images(stored.frame), list(gallery(stored))
    table = summary_table(frame, allow_mismatch=True)
    return {
        "headline": headline(frame),
        "findings": findings(frame),
        "counts": _counts(frame),
        "figures": list(_embed((picture for picture in drawn if picture.vector), output)),
        "sheets": list(_embed((picture for picture in drawn if not picture.vector), output)),
        "best": _best_table(frame, table),
        "summary": _summary_table(frame, table),
        "rows": _rows_table(frame),
        "problems": problems(frame).to_dict("records"),
        "warnings": _warnings(frame),
        "protocols": _protocols(frame),
        "environment": _origin(frame),
        "commands": _commands(frame),
        "swatches": {name: (look.colour, looks(frame, True)[name].colour) for name, look in looks(frame).items()},
        "corrupt": frame.attrs["corrupt"],
        "missing": frame.attrs["missing"],
    }


def _embed(wanted: Iterator[Picture], output: Path) -> Iterator[Embedded]:
    """Draw each picture twice, keep the light one as a file, and give both as data."""
    for picture in wanted:
        light, dark = picture.draw(False), picture.draw(True)
        if light is None or dark is None:
            continue
        for name, content in files_of(picture, light):
            (output / name).parent.mkdir(exist_ok=True)
            _write(output / name, content)
        size = [round(float(side) * DPI) for side in light.get_size_inches()]
        uris = [as_data_uri(figure, picture.vector, figure is dark) for figure in (light, dark)]
        yield Embedded(picture, uris[0], uris[1], size[0], size[1])


def _write(path: Path, content: bytes) -> None:
    """Write as a whole or not at all."""
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(content)
    os.replace(draft, path)  # noqa: PTH105 - the same thing, and it says that it overwrites


def _counts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """The study in figures: methods, seeds, rows by status."""
    counted = [("row", len(frame)), ("series", frame["series"].nunique()), ("seed", frame[REPEAT].nunique())]
    plural = {"row": "rows", "seed": "seeds"}
    counts = [(f"{count:,}", name if count == 1 else plural.get(name, name)) for name, count in counted]
    return counts + [(f"{count:,}", str(name)) for name, count in frame["status"].value_counts().items()]


def _best_table(frame: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any] | None:
    """Each series at its best number of steps by the first score; none where a series is all there is of one point."""
    metrics = metrics_of(table)
    if not metrics or table["series"].nunique() == len(table):
        return None
    best = best_per_series(frame, table, metrics[0])
    return {"metric": score_name(metrics[0]), **_cells(printable(best), set())} if len(best) else None


def _summary_table(frame: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """All of the summary, the best of each number of steps marked."""
    marked: set[tuple[int, str]] = set()
    for metric in metrics_of(table):
        if table["series"].nunique() > 1:
            best = best_per_step(frame, table, metric)
            marked |= {(place, score_name(metric)) for place in table.index.get_indexer(best.index).tolist()}
    return _cells(printable(table), marked)


def _cells(shown: pd.DataFrame, marked: set[tuple[int, str]]) -> dict[str, Any]:
    heads = list(shown.columns)
    rows = [
        [(text, (place, head) in marked) for head, text in zip(heads, row, strict=True)]
        for place, row in enumerate(shown.itertuples(index=False, name=None))
    ]
    return {"heads": heads, "rows": rows}


def _rows_table(frame: pd.DataFrame) -> dict[str, Any]:
    """Every row by itself: the seeds behind the means."""
    shown = pd.DataFrame(
        {"series": frame["series"], "steps": frame[POINT].map(number), "seed": frame[REPEAT].map(number)}
    )
    for cost in (name for name in TABLE_COSTS if name in frame):
        shown[cost_short(cost)] = pd.to_numeric(frame[cost], errors="coerce").map(number)
    for metric in score_names(frame):
        shown[score_name(metric)] = pd.to_numeric(frame[metric], errors="coerce").map(number)
    return _cells(shown.assign(status=frame["status"]), set())


def _warnings(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Every warning once, with how many rows carry it and of which series."""
    said = frame[["series", "warnings"]].explode("warnings").dropna()
    found = []
    for text, rows in said.groupby("warnings", sort=False):
        names = list(rows["series"].unique())
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        found.append((str(text), f"{len(rows):,} row{'s' if len(rows) > 1 else ''}: {', '.join(names[:3])}{more}"))
    return found


def _protocols(frame: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Mark, protocol and number of rows."""
    known = frame[frame["protocol"].astype(bool)]
    counts = known.groupby(["mark", "protocol"], sort=False).size().reset_index(name="rows")
    return [(row["mark"].strip(), row["protocol"], int(row["rows"])) for row in counts.to_dict("records")]


def _origin(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Device and versions, each with all values there are, and when it ran."""
    found = []
    for name in frame.attrs["origin"]:
        values = list(dict.fromkeys(spell(value) for value in frame[name].dropna()))
        if name not in (*WHEN, COMMAND) and values:
            more = f" and {len(values) - 6} more" if len(values) > 6 else ""
            found.append((name.replace("_", " "), ", ".join(values[:6]) + more))
    for name, pick in zip(WHEN, (min, max), strict=True):
        if name in frame and frame[name].notna().any():
            found.append((name, str(pick(frame[name].dropna().astype(str)))))
    return found


def _commands(frame: pd.DataFrame) -> list[str]:
    """What to type to run it again: the study's command, else the commands of the rows."""
    if frame.attrs["command"]:
        return [frame.attrs["command"]]
    return list(frame[COMMAND].dropna().astype(str).unique()[:5]) if COMMAND in frame else []
