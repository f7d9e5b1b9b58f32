"""A study's results as a table in the terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

TEXT_COLUMNS = ("series", "status")
WIDE = 160


def print_table(frame: "pd.DataFrame", allow_mismatch: bool = False) -> None:
    """Print one line per method and number of steps, and why the rows that are not there came to nothing.

    Raises:
        UserError: if the rows are not comparable.
    """
    from rich.text import Text

    from mgbench.report import printable, problems, summary_table

    shown = printable(summary_table(frame, allow_mismatch))
    if (shown["status"] == "done").all():
        shown = shown.drop(columns="status")
    table = plain_table()
    for name in map(str, shown):
        # As Text, because rich would read the brackets of fid[digits_cnn] as markup.
        head = Text(name.replace("[", "\n["))
        text = name in TEXT_COLUMNS
        # Where it is narrow, long names wrap and numbers stay whole.
        table.add_column(head, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for cells in shown.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in cells))
    screen = console()
    screen.print(table)
    for problem in problems(frame).itertuples(index=False):
        screen.print(f"{problem.status}: {problem.series} at steps {problem.steps}: {problem.reason}", markup=False)


def plain_table(title: str = "") -> "Table":
    """A table without lines but one."""
    from rich import box
    from rich.table import Table

    return Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def console() -> "Console":
    """Where tables are printed; wide where it is no terminal."""
    from rich.console import Console

    screen = Console()
    return screen if screen.is_terminal else Console(width=WIDE)
