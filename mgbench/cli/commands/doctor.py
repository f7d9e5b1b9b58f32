"""`mgbench doctor`: checks of every stored file and of the machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mgbench.results.maintenance.findings import Checkup, Finding

RESULTS = Path("results")


def doctor(
    results: Annotated[
        Path | None,
        typer.Argument(metavar="[RESULTS]", help="A results folder (default: results).", show_default=False),
    ] = None,
    mend: Annotated[
        bool,
        typer.Option(
            "--mend", help="Rename broken files and remove leftovers, so that the next run computes them again."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON; changes nothing.")] = False,
) -> None:
    """Check every stored file and the machine; print each problem with its consequence and its remedy."""
    from mgbench.engines.preflight import survey

    root = results or RESULTS
    checkup = _examined(root, given=results is not None)
    around = survey(root)
    if as_json:
        _print_json(around.facts, [*around.findings, *(checkup.findings if checkup else ())])
        return
    for fact in around.facts:
        typer.echo(fact)
    findings = [*around.findings, *(checkup.findings if checkup else ())]
    for finding in sorted(findings, key=lambda finding: not finding.broken):
        _say(finding)
    left = [finding for finding in findings if finding.broken]
    if mend and checkup:
        left = _mended(checkup, left)
    _conclude(root, checkup, left)


def _print_json(facts: "Sequence[str]", findings: "Sequence[Finding]") -> None:
    """Print facts and findings; exits with 1 if something is broken."""
    from mgbench.cli.output.as_json import print_json

    said = [{"broken": finding.broken, "says": finding.says, "paths": finding.paths} for finding in findings]
    print_json({"facts": facts, "findings": said})
    if any(finding.broken for finding in findings):
        raise typer.Exit(1)


def _examined(root: Path, given: bool) -> "Checkup | None":
    """Findings in the folder; None if it holds no results yet."""
    from mgbench.results.maintenance.check import ROOMS, examine

    if root.exists() and (not root.is_dir() or any((root / room).exists() for room in ROOMS)):
        with _Waiting() as waiting:
            return examine(root, waiting.show)
    if given:
        raise UserError(f"there are no results in {root}; name the folder that 'mgbench run' wrote its results to")
    return None


class _Waiting:
    """Print the number of files checked so far, on a terminal."""

    def __enter__(self) -> "_Waiting":
        from rich.console import Console

        self.status = Console(stderr=True).status("checking files")
        self.status.start()
        return self

    def show(self, checkup: "Checkup") -> None:
        self.status.update(f"checking files: {_amounts(checkup)}")

    def __exit__(self, *rest: object) -> None:
        self.status.stop()


def _amounts(checkup: "Checkup") -> str:
    from mgbench.results.wording import amount, counted

    return f"{counted(checkup.files, 'file')}, {amount(checkup.bytes)}"


def _say(finding: "Finding") -> None:
    """Print a sentence after its mark; long lines wrap on a terminal only."""
    from rich.table import Table
    from rich.text import Text

    from mgbench.cli.output.table import console

    mark, style = ("broken", "bold red") if finding.broken else ("note", "yellow")
    screen = console()
    if not screen.is_terminal:
        typer.echo(f"{mark}: {finding.says}")
        return
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=6)
    line.add_column(overflow="fold")
    line.add_row(Text(mark, style=style), Text(finding.says))
    screen.print(line)


def _mended(checkup: "Checkup", broken: "list[Finding]") -> "list[Finding]":
    """Mend what can be mended and print it; returns the remaining findings."""
    from mgbench.results.maintenance.check import mend

    for said in mend(checkup):
        typer.secho(f"mended: {said}", fg="green")
    return [finding for finding in broken if not finding.mend]


def _conclude(root: Path, checkup: "Checkup | None", broken: "list[Finding]") -> None:
    from mgbench.results.wording import counted

    looked = f"{_amounts(checkup)} in {root} checked" if checkup else f"there are no results in {root} yet"
    if broken:
        typer.secho(f"{looked}: {counted(len(broken), 'thing')} broken", fg="red")
        raise typer.Exit(1)
    typer.secho(f"{looked}: no problems found", fg="green")
