"""A study's results as a table in the terminal."""

from pathlib import Path

TEXT_COLUMNS = ("series", "status")
WIDE = 160


def print_table(results: Path, study: str | None, allow_mismatch: bool = False) -> None:
    """Print one line per method and number of steps, and why the rows that are not there came to nothing.

    Raises:
        UserError: if there are no results, or they are not comparable.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mgbench.report import printable, problems, read_results, summary_table

    frame = read_results(results, study)
    shown = printable(summary_table(frame, allow_mismatch))
    if (shown["status"] == "done").all():
        shown = shown.drop(columns="status")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in map(str, shown):
        # As Text, because rich would read the brackets of fid[digits_cnn] as markup.
        head = Text(name.replace("[", "\n["))
        text = name in TEXT_COLUMNS
        # Where it is narrow, long names wrap and numbers stay whole.
        table.add_column(head, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for cells in shown.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in cells))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    console.print(table)
    for problem in problems(frame).itertuples(index=False):
        console.print(f"{problem.status}: {problem.series} at steps {problem.steps}: {problem.reason}", markup=False)
