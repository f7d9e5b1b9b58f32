"""`mgbench cite`: BibTeX entries of a study."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli.arguments import completion, options


def cite(
    study: Annotated[str, typer.Argument(help="A study's name.", show_default=False, autocompletion=completion.study)],
    results: options.Results = Path("results"),
) -> None:
    """Print the BibTeX entry of every method and component of a study, with a comment that names its users."""
    from mgbench.errors import UserError
    from mgbench.results.layout import Layout
    from mgbench.results.record import find_study

    view = find_study(Layout(results), study)
    if not view.references:
        raise UserError(
            f"the study {study!r} stores no references; run it again (stored rows are reused): {view.command}"
        )
    typer.echo(view.references)
