"""The table of a computed study, and the verdicts on its claims."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgbench.report.judging import Verdict


def print_study(results: Path, study: str) -> None:
    """Print the table of a stored study, and the verdicts on its claims."""
    from mgbench.cli.output.table import print_table
    from mgbench.report import read_results

    print_table(read_results(results, study))
    print_verdicts(results, study)


def print_verdicts(results: Path, study: str) -> None:
    """Print the verdicts on the claims of a stored study, with what they leave out; nothing where it has no claims."""
    from mgbench.cli.output.table import console, print_frame
    from mgbench.report import read_results, verdict_table, verdicts
    from mgbench.report.claims import NOTE, by_chance

    frame = read_results(results, study, every=True)
    found = verdicts(frame)
    if not found:
        return
    screen = console()
    print_frame(screen, verdict_table(found, frame), "verdicts on the claims")
    for line in (*_notes(found), NOTE, by_chance(found)):
        screen.print(line, soft_wrap=True, markup=False, highlight=False)


def verdict_values(results: Path, study: str) -> list[dict[str, Any]]:
    """The verdicts on the claims of a stored study, as plain values."""
    from mgbench.report import read_results, verdicts
    from mgbench.report.claims import as_values

    return [as_values(verdict) for verdict in verdicts(read_results(results, study, every=True))]


def _notes(found: "Sequence[Verdict]") -> Iterator[str]:
    from mgbench.report.claims import at_said

    for verdict in found:
        if verdict.notes:
            at = f" at {at_said(verdict)}" if verdict.at else ""
            yield f"{verdict.claim.name}{at}: {'; '.join(verdict.notes)}"
