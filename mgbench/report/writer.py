"""Everything that a report writes: the page, every figure as PNG, SVG and PDF, sheets and films, and the tables of a paper."""

from pathlib import Path

from mgbench.report.latex import write_tables
from mgbench.report.page.report import write_report
from mgbench.report.stored import DEFAULT, Choices, read_stored


def write_all(results: Path, output: Path, study: str | None = None, choices: Choices = DEFAULT) -> Path:
    """Write all of a report from stored records, which are read once; the path of its page.

    Raises:
        UserError: if there is nothing to report, a name does not exist, or rows are not comparable.
    """
    stored = read_stored(results, study, choices)
    page = write_report(stored, output)
    write_tables(stored.frame, output)
    return page
