"""`mgbench cite`: the BibTeX of what a study used."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli import choices


def cite(
    study: Annotated[str, typer.Argument(help="A study's name.", show_default=False)],
    results: choices.Results = Path("results"),
) -> None:
    """Print BibTeX entries of every method and component of a study, each after a comment that says which asks for it."""
    from mgbench.errors import UserError
    from mgbench.results.layout import Layout
    from mgbench.results.record import find_study

    view = find_study(Layout(results), study)
    if not view.references:
        raise UserError(
            f"the study {study!r} keeps no references; run it again (what is stored is reused): {view.command}"
        )
    typer.echo(view.references)
