"""`mgbench export`: write a model in the format of its original code."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli.arguments import completion, options


def export(
    method: Annotated[
        str,
        typer.Argument(
            help="An imported model or autoencoder, a method with one trained model, the key of a row, or the folder of "
            "an AutoencoderKL of diffusers.",
            autocompletion=completion.method,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, such as checkpoint.pth.")],
    results: options.Results = Path("results"),
) -> None:
    """Write weights in the format of the official code of MAR, eMIGM or Halton-MaskGIT, and autoencoders in that of latent
    diffusion (kl16.ckpt).

    An imported model is written exactly as it was read; of an autoencoder, every tensor that encodes or decodes.
    """
    from mgbench.components.checkpoints.exchange import export_model
    from mgbench.results.store import Store

    layout = export_model(Store(results), method, output)
    typer.echo(f"{method} in the layout {layout}: {output}")
