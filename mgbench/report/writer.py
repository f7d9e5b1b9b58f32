"""Write a report: the page, figures as PNG, SVG and PDF, sheets and films, and tables for a paper."""

from pathlib import Path

from mgbench.report.latex import write_tables
from mgbench.report.page.report import write_report
from mgbench.report.stored import DEFAULT, Choices, read_stored


def write_all(
    results: Path, output: Path, study: str | None = None, choices: Choices = DEFAULT, processes: int = 1
) -> Path:
    """Write a complete report from stored records, its pictures drawn by so many processes; the path of its page.

    Raises:
        UserError: if there is nothing to report, a name does not exist, or rows are not comparable.
    """
    stored = read_stored(results, study, choices)
    page = write_report(stored, output, processes)
    write_tables(stored.frame, output)
    return page
