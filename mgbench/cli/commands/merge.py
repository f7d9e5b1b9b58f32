"""`mgbench merge`: copy the results of other folders or archives into a results folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli.arguments import options

if TYPE_CHECKING:
    from mgbench.results.maintenance.merge import Merged

# Subfolders of a results folder, with a noun for their items, in the order of output.
NOUNS = {
    "runs": "row",
    "models": "model",
    "tokenizers": "tokenizer",
    "studies": "study",
    "images": "set of drawn images",
    "references": "reference",
    "imported": "import",
    "real": "set of real images",
    "speed": "measured speed",
    "logs": "log",
}
PLURALS = {
    "study": "studies",
    "set of drawn images": "sets of drawn images",
    "set of real images": "sets of real images",
}


def merge(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE…", help="Results folders, or .zip or .tar archives of them.")
    ],
    results: options.Results = Path("results"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: for each source what was copied, exists, differs or is damaged.")
    ] = False,
) -> None:
    """Copy other results into a results folder; every file is verified, and nothing is replaced.

    Exits with 1 if something differs from an existing file, or is damaged.
    """
    from mgbench.results.maintenance.archive import opened
    from mgbench.results.maintenance.merge import merge as merge_results
    from mgbench.results.store import Store

    outcomes = {}
    for source in sources:
        with opened(source, results) as folder:
            outcomes[source] = merge_results(folder, Store(results))
    if as_json:
        _print_json(outcomes)
    else:
        for source, found in outcomes.items():
            _tell(source, results, found)
    raise typer.Exit(int(any(found.conflicts or found.damaged for found in outcomes.values())))


def _print_json(outcomes: "dict[Path, Merged]") -> None:
    from mgbench.cli.output.as_json import print_json

    print_json(
        [
            {
                "source": str(source),
                "taken": found.taken,
                "here": found.here,
                "conflicts": found.conflicts,
                "damaged": found.damaged,
            }
            for source, found in outcomes.items()
        ]
    )


def _tell(source: Path, results: Path, found: "Merged") -> None:
    from mgbench.cli.output.terminal import readable

    typer.echo(f"{source}: took {_counts(found.taken) or 'nothing'}")
    if found.here:
        typer.echo(f"in {results} already: {_counts(found.here)}")
    for sentence in found.conflicts:
        typer.secho(f"conflict: {readable(sentence)}", fg="yellow")
    for sentence in found.damaged:
        typer.secho(f"damaged, left out: {readable(sentence)}", fg="red")
    for name in found.taken.get("studies", ()):
        typer.echo(f"'mgbench report --study {readable(name)}' reports the study")


def _counts(rooms: "dict[str, list[str]]") -> str:
    said = []
    for room, noun in NOUNS.items():
        count = len(rooms.get(room, ()))
        if count:
            said.append(f"{count} {noun if count == 1 else PLURALS.get(noun, f'{noun}s')}")
    return ", ".join(said)
