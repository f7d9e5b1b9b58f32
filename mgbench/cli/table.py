"""A study's results as a table in the terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

TEXT_COLUMNS = ("series", "status", "tokenizer")
WIDE = 160


def print_table(frame: "pd.DataFrame", allow_mismatch: bool = False) -> None:
    """Print one line per method and number of steps, one per tokenizer, and why the rows that are not there came to nothing.

    Raises:
        UserError: if the rows are not comparable.
    """
    from mgbench.report import of_images, printable, problems, summary_table, tokenizer_table

    shown = printable(summary_table(of_images(frame), allow_mismatch))
    if (shown["status"] == "done").all():
        shown = shown.drop(columns="status")
    screen = console()
    screen.print(_table(shown))
    tokenizers = tokenizer_table(frame)
    if len(tokenizers):
        screen.print("reconstructions, the floor of every model of these tokens:")
        screen.print(_table(tokenizers))
    for problem in problems(frame).itertuples(index=False):
        steps = str(problem.steps)
        at = f" at steps {steps}" if steps else ""
        screen.print(f"{problem.status}: {problem.series}{at}: {problem.reason}", markup=False)


def _table(shown: "pd.DataFrame") -> "Table":
    from rich.text import Text

    table = plain_table()
    for name in map(str, shown):
        # As Text, because rich would read the brackets of fid[digits_cnn] as markup.
        head = Text(name.replace("[", "\n["))
        text = name in TEXT_COLUMNS
        # Where it is narrow, long names wrap and numbers stay whole.
        table.add_column(head, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for cells in shown.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table


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
