"""`mgbench export`: a model as the code that it is from stores it."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli import choices, completion


def export(
    method: Annotated[
        str,
        typer.Argument(
            help="What was imported, a method with one trained model, or the key of a row.",
            autocompletion=completion.method,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, such as checkpoint.pth.")],
    results: choices.Results = Path("results"),
) -> None:
    """Write weights as the published code of MAR and eMIGM reads them; what was imported comes out exactly as it came in."""
    from mgbench.components.checkpoints.exchange import export_model
    from mgbench.results.store import Store

    layout = export_model(Store(results), method, output)
    typer.echo(f"{method} in the layout {layout}: {output}")
