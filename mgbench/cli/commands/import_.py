"""`mgbench import`: make a method of weights from other code."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli.arguments import options, values
from mgbench.errors import UserError


def import_(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint (.pth, .pt, .safetensors).")],
    name: Annotated[
        str, typer.Option("--as", help="Name of the method (default: that of the file).", show_default=False)
    ] = "",
    weights: Annotated[
        str,
        typer.Option(
            metavar="model_ema|model",
            help="Weights to read (default: the averaged ones, model_ema).",
            show_default=False,
        ),
    ] = "",
    like: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help="A method with the sampling, tokenizer and data to use (sizes come from the file).",
            show_default=False,
        ),
    ] = "",
    set_: options.Set = None,
    results: options.Results = Path("results"),
) -> None:
    """Read a checkpoint of MAR, eMIGM or Halton-MaskGIT, or an autoencoder such as kl16.ckpt, without running code in it.

    Then 'mgbench run --methods NAME' samples a model; an autoencoder is stored as a folder for
    tokenizer=pretrained_kl(path=…), or pretrained_vq if it has codes.
    """
    from mgbench.components.checkpoints.exchange import Request, import_checkpoint
    from mgbench.recipes.recipe import Recipe
    from mgbench.registry.loading import load
    from mgbench.results.store import Store

    store = Store(results)
    store.check_writable()
    registry = load()
    name = name or checkpoint.name.partition(".")[0]
    if name in registry.methods:
        raise UserError(f"there is a method {name!r} already; choose another name with --as NAME")
    base = registry.method(like) if like else Recipe()
    for line in import_checkpoint(store, Request(checkpoint, name, weights, base, values.changes(set_))):
        typer.echo(line)
