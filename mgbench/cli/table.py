"""A study's results as a table in the terminal."""

from pathlib import Path


def print_table(results: Path, study: str | None, allow_mismatch: bool = False) -> None:
    """Print one line per method and number of steps, and why the rows that are not there came to nothing.

    Raises:
        UserError: if there are no results, or they are not comparable.
    """
    from rich.console import Console
    from rich.table import Table

    from mgbench.report import printable, problems, read_results, summary_table

    frame = read_results(results, study)
    shown = printable(summary_table(frame, allow_mismatch))
    table = Table()
    for name in shown:
        table.add_column(str(name), justify="left" if name in ("series", "status") else "right")
    for cells in shown.itertuples(index=False):
        table.add_row(*map(str, cells))
    console = Console()
    console.print(table)
    for problem in problems(frame).itertuples(index=False):
        console.print(f"{problem.status}: {problem.series} at steps {problem.steps}: {problem.reason}", markup=False)
