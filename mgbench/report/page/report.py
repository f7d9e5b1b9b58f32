"""The report of a study: one self-contained page, the figures and sheets as files, and every row as a table."""

from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

from mgbench.report.agreement import agreement_said
from mgbench.report.figures import gallery
from mgbench.report.figures.claims import SECTION as CLAIMS
from mgbench.report.findings import findings, headline
from mgbench.report.frame import ABOUT, REPEAT, TOKENIZER, of_images, taught
from mgbench.report.measures import briefly, counts_scored
from mgbench.report.page.claims import claims_of
from mgbench.report.page.details import details
from mgbench.report.page.drawing import draw_pictures
from mgbench.report.page.grid import grids
from mgbench.report.page.origin import environment, protocols, study_commands
from mgbench.report.page.pictures import Embedded, embed, sections
from mgbench.report.page.shell import as_json, write_page
from mgbench.report.published.overlay import overlay
from mgbench.report.speed import reasons, speed_note, speed_tables
from mgbench.report.spread import NOTE, printable_spread
from mgbench.report.stored import Stored
from mgbench.report.style import looks, on_dark
from mgbench.report.table import problems, summary_table, tokenizer_table, write_csv
from mgbench.report.tuning import NOTE as TUNING_NOTE
from mgbench.report.tuning import changes_said, printable_gap, verdict
from mgbench.results.layout import Layout
from mgbench.results.speed import stored_speeds
from mgbench.results.tuning import Tuning

# Maximum number of lines of a list in the page; the table has all.
MOST_LINES = 40


def write_report(stored: Stored, output: Path, processes: int = 1) -> Path:
    """Write `index.html`, `table.csv`, `figures/` and `sheets/` into the output folder; return the path of the page.

    More than one of `processes` draw the pictures together. Each new one imports the main module of the program, which must
    therefore do its work under `if __name__ == "__main__"` only.

    With the name of a set of published numbers, rows with the same protocol are added to its figure.

    Raises:
        UserError: if a requested picture or set of published numbers does not exist.
    """
    frame, choices = stored.frame, stored.choices
    images = of_images(frame).reset_index(drop=True)
    beside = overlay(images, choices.published) if choices.published else None
    pictures = gallery(stored)
    output.mkdir(parents=True, exist_ok=True)
    drawn = draw_pictures(pictures, output, choices.paper, processes) if len(images) else []
    main = _main(drawn)
    rest = [item for item in drawn[len(main) :] if item.section != CLAIMS]
    write_csv(frame, output / "table.csv")
    return write_page(
        output / "index.html",
        "report.html.j2",
        title=choices.title or frame.attrs["study"] or "Results",
        tokenizers=_tokenizers(frame),
        beside=beside.sentence if beside else "",
        published=list(embed(beside.pictures, output)) if beside else [],
        counts=_counts(frame, images),
        main=main,
        spread=_spread(images),
        speed=_speed(stored.layout, images),
        tuning=_tuning(stored, images),
        agreement=agreement_said(images) if len(images) else [],
        claims=claims_of(stored, [item for item in drawn if item.section == CLAIMS]),
        sections=sections(rest),
        facts=_facts(images),
        same=frame.attrs.get("same", 0),
        former=frame.attrs.get("former", ""),
        **_about_rows(frame),
        **_about_images(stored.layout, images),
    )


def _main(drawn: list[Embedded]) -> list[Embedded]:
    """The main figure and its alternatives, with other scores and costs, from the same section."""
    if not drawn or not drawn[0].vector:
        return []
    views = list(takewhile(lambda item: item.section == drawn[0].section and item.view, drawn))
    return views or drawn[:1]


def _tokenizers(frame: pd.DataFrame) -> dict[str, Any] | None:
    """The table of tokenizers in cells; none where there are no such rows."""
    table = tokenizer_table(frame)
    return None if table.empty else {"heads": list(table), "rows": table.to_numpy().tolist()}


def _spread(images: pd.DataFrame) -> dict[str, Any] | None:
    """The spread of scores over the sampling seeds of one model in cells; none where no model was sampled twice."""
    table = printable_spread(images)
    return None if table.empty else {"heads": list(table), "rows": table.to_numpy().tolist(), "note": NOTE}


def _speed(layout: Layout, images: pd.DataFrame) -> dict[str, Any] | None:
    """Tables of the measured speeds of the methods shown; none where none of them was measured."""
    speeds = [speed for speed in stored_speeds(layout) if speed.method in set(images["method"])]
    tables = [
        {"title": title, "heads": list(table), "rows": table.to_numpy().tolist()}
        for title, table in speed_tables(speeds).items()
    ]
    return {"tables": tables, "left_out": reasons(speeds), "note": speed_note(speeds)} if speeds else None


def _tuning(stored: Stored, images: pd.DataFrame) -> dict[str, Any] | None:
    """The search that found a recipe of the study: its outcome, and the gap in cells; none without a search."""
    tuning: Tuning | None = stored.frame.attrs.get("tuning") or None
    if tuning is None:
        return None
    table = printable_gap(stored.layout, images, tuning)
    return {
        "heads": list(table),
        "rows": table.to_numpy().tolist(),
        "verdict": verdict(images, tuning),
        "note": TUNING_NOTE,
        "recipes": {name: changes_said(attempt.changes) or "as it is" for name, attempt in tuning.names.items()},
    }


def _about_rows(frame: pd.DataFrame) -> dict[str, Any]:
    """The parts of the page about rows of any kind."""
    return {
        "problems": problems(frame).to_dict("records"),
        "warnings": _warnings(frame),
        "protocols": protocols(frame),
        "environment": environment(frame),
        "commands": study_commands(frame),
        "corrupt": frame.attrs["corrupt"],
        "missing": frame.attrs["missing"],
        "most": MOST_LINES,
    }


def _about_images(layout: Layout, frame: pd.DataFrame) -> dict[str, Any]:
    """The parts of the page about images that were drawn; nothing where no row is about any."""
    if frame.empty:
        return {"headline": "", "findings": [], "grids": [], "data": None, "swatches": {}}
    swatches = {name: (look.colour, on_dark()[look.colour]) for name, look in looks(frame).items()}
    tables = grids(frame, summary_table(frame, allow_mismatch=True))
    return {
        "headline": headline(frame),
        "findings": findings(frame),
        "grids": tables,
        "data": as_json(
            {
                "grids": {grid.id: grid.as_data() for grid in tables},
                "details": details(frame, layout),
                "swatches": swatches,
                "file": frame.attrs["study"] or layout.root.name,
            }
        ),
        "swatches": swatches,
    }


def _facts(images: pd.DataFrame) -> list[tuple[str, str]]:
    """The basis of the numbers: data, images scored, device, budget of the training and its duration."""
    rows = images[images["status"] == "done"]
    if rows.empty:
        return []
    budget = [
        f"{int(steps):,} steps of {int(size)} images"
        for steps, size in rows[["train_steps", "batch_size"]]
        .dropna()
        .drop_duplicates()
        .head(3)
        .itertuples(index=False)
    ]
    said = {
        "data": ", ".join(map(str, rows["dataset"].dropna().unique()[:3])),
        "images scored": " to ".join(
            f"{count:,}" for count in dict.fromkeys(counts_scored(rows)[:: max(1, len(counts_scored(rows)) - 1)])
        ),
        "training": " or ".join(budget),
        "after a teacher": "; ".join(f"{', '.join(series)} from {teacher}" for teacher, series in taught(rows).items()),
        "device": ", ".join(map(str, rows["device"].dropna().unique()[:2])) if "device" in rows else "",
        "training took": _duration(rows),
    }
    return [(name, value) for name, value in said.items() if value]


def _duration(rows: pd.DataFrame) -> str:
    """The seconds of all trainings together, each model once."""
    if "train_seconds" not in rows:
        return ""
    models = rows.drop_duplicates("training_key")
    seconds = float(pd.to_numeric(models["train_seconds"], errors="coerce").sum())
    return f"{briefly(seconds)} s in all ({len(models)} models)" if seconds else ""


def _counts(frame: pd.DataFrame, images: pd.DataFrame) -> list[tuple[str, str]]:
    """The study in figures: methods, seeds, rows by status, and the tokenizers that failed."""
    rows = frame if images.empty else images
    counted = [("row", len(rows)), ("series", rows["series"].nunique()), ("seed", rows[REPEAT].nunique())]
    plural = {"row": "rows", "seed": "seeds"}
    counts = [(f"{count:,}", name if count == 1 else plural.get(name, name)) for name, count in counted]
    fitted = frame[(frame[ABOUT] == TOKENIZER) & (frame["status"] != "done")] if len(images) else rows[:0]
    statuses = [*rows["status"].value_counts().items()]
    statuses += [(f"tokenizers {status}", count) for status, count in fitted["status"].value_counts().items()]
    return counts + [(f"{count:,}", str(name)) for name, count in statuses]


def _warnings(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Every warning once, with how many rows carry it and of which series."""
    said = frame[["series", "warnings"]].explode("warnings").dropna()
    found = []
    for text, rows in said.groupby("warnings", sort=False):
        names = list(rows["series"].unique())
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        found.append((str(text), f"{len(rows):,} row{'s' if len(rows) > 1 else ''}: {', '.join(names[:3])}{more}"))
    return found
