"""The table of a study's results in the terminal."""

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgbench.errors import UserError, suggestion

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

# Text columns wrap on narrow terminals; numbers never do.
TEXT_COLUMNS = (
    "series", "status", "tokenizer", "method", "score", "field", "before", "after", "claim", "at", "verdict",
)  # fmt: skip
# Columns that every part of a split table repeats.
FIXED = ("series", "steps", "NFE", "s/image", "N", "seeds", "sampling seeds", "status", "tokenizer")
WIDE, PADDING, HEAD, LEAST_TEXT = 160, 2, 18, 16


def print_table(
    frame: "pd.DataFrame", allow_mismatch: bool = False, scores: Sequence[str] = (), everything: bool = False
) -> None:
    """Print warnings, a line per method and number of steps, a line per tokenizer, and the reasons of missing rows.

    Shows the first scores that fit the screen, the named ones, or `everything` in several tables; scores that are left
    out are named below.

    Raises:
        UserError: if the rows are not comparable, or a named score does not exist.
    """
    from mgbench.report import of_images, printable, problems, summary_table, tokenizer_table

    _print_warnings(frame)
    shown = printable(_only(summary_table(of_images(frame), allow_mismatch), scores))
    if (shown["status"] == "done").all():
        shown = shown.drop(columns="status")
    screen = console()
    left = _print_parts(screen, shown, everything or bool(scores))
    tokenizers = tokenizer_table(frame)
    if len(tokenizers):
        screen.print("reconstructions (the floor of every model on these tokens):")
        left += _print_parts(screen, tokenizers, everything)
    print_spread(screen, frame)
    if left:
        study = f" {frame.attrs['study']}" if frame.attrs.get("study") else ""
        names = ", ".join(dict.fromkeys(left))
        screen.print(f"not shown: {names}; see 'mgbench show{study} --all', or name some with --scores", markup=False)
    for problem in problems(frame).itertuples(index=False):
        steps = str(problem.steps)
        at = f" at steps {steps}" if steps else ""
        screen.print(f"{problem.status}: {problem.series}{at}: {problem.reason}", markup=False)


def print_spread(screen: "Console", frame: "pd.DataFrame") -> None:
    """Print how scores vary over the sampling seeds of one model; nothing where no model was sampled twice."""
    from mgbench.report.spread import NOTE, printable_spread

    table = printable_spread(frame)
    if len(table):
        print_frame(screen, table, "spread given one model")
        screen.print(NOTE)


def _print_warnings(frame: "pd.DataFrame") -> None:
    """Print the warnings that apply to the numbers below."""
    import typer

    for text in frame["warnings"].explode().dropna().unique():
        typer.secho(f"warning: {text}", fg="yellow")
    if former := frame.attrs.get("former"):
        typer.secho(f"warning: {former}", fg="yellow")
    if same := frame.attrs.get("same"):
        rows = "1 row asks" if same == 1 else f"{same} rows ask"
        typer.secho(
            f"{rows} for more steps than can be taken and repeat{'s' if same == 1 else ''} the row of fewer", dim=True
        )


def _only(table: "pd.DataFrame", names: Sequence[str]) -> "pd.DataFrame":
    """A summary table with the named scores only (extractor optional), or with all if none is named."""
    from mgbench.report.labels import family
    from mgbench.report.table import metrics_of

    metrics = metrics_of(table)
    for name in names:
        if name not in {*metrics, *map(family, metrics)}:
            raise UserError(f"there is no score {name!r} here; {suggestion(name, map(family, metrics))}")
    unwanted = [name for name in metrics if names and not {name, family(name)} & set(names)]
    return table.drop(columns=[f"{name}{end}" for name in unwanted for end in ("", " low", " high")])


def _print_parts(screen: "Console", shown: "pd.DataFrame", everything: bool) -> list[str]:
    """Print a table in parts that fit the screen, or the first part only; returns the columns that are left out."""
    parts = _parts(shown, screen.width)
    for part in parts if everything else parts[:1]:
        print_frame(screen, part)
    return [] if everything else [str(name) for part in parts[1:] for name in part if name not in FIXED]


def _parts(shown: "pd.DataFrame", width: int) -> "list[pd.DataFrame]":
    """Split a table by columns: each part has the fixed columns and as many others as fit."""
    fixed = sum(_least_width(shown, name) for name in shown if name in FIXED)
    parts: list[list[str]] = [[]]
    room = width - fixed
    for name in (name for name in map(str, shown) if name not in FIXED):
        needed = _least_width(shown, name)
        if parts[-1] and needed > room:
            parts.append([])
            room = width - fixed
        parts[-1].append(name)
        room -= needed
    return [shown[[name for name in shown if name in FIXED or name in part]] for part in parts]


def _least_width(shown: "pd.DataFrame", name: str) -> int:
    """The minimal width of a column: text may wrap, numbers and heads may not."""
    head = max(map(len, _head(name).splitlines()))
    longest = max(map(len, map(str, shown[name])), default=0)
    return PADDING + max(head, min(longest, LEAST_TEXT) if name in TEXT_COLUMNS else longest)


def _head(name: str) -> str:
    """A column head in short lines, with a line break before brackets."""
    parts = re.split(r"(?=\[)", name)
    return "\n".join(line for part in parts for line in textwrap.wrap(part, HEAD, break_long_words=False))


def print_frame(screen: "Console", shown: "pd.DataFrame", title: str = "") -> None:
    """Print a frame of texts; lines may exceed the screen, so that no number is cut."""
    from rich.text import Text

    table = plain_table(title)
    for name in map(str, shown):
        text = name in TEXT_COLUMNS
        # As Text, because rich would read the brackets of fid[digits_cnn] as markup.
        table.add_column(Text(_head(name)), justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for cells in shown.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in cells))
    needed = sum(_least_width(shown, name) for name in map(str, shown))
    screen.print(table, width=max(needed, screen.width), crop=False, soft_wrap=False)


def plain_table(title: str = "") -> "Table":
    """A table with a line below its head only."""
    from rich import box
    from rich.table import Table

    return Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def console() -> "Console":
    """The console for tables; wide if the output is not a terminal."""
    from rich.console import Console

    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(width=WIDE, highlight=False)
