"""`mgbench published`: published FID against network forwards."""

from pathlib import Path
from typing import Annotated

import typer


def published(
    name: Annotated[str, typer.Argument(help="The benchmark: imagenet-256, imagenet-384 or imagenet-512.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder; the figure gets a subfolder.")] = Path(
        "reports"
    ),
) -> None:
    """Draw published FID against network forwards (PNG, SVG, PDF), with a page of footnotes and sources."""
    from mgbench.report import write_published

    typer.echo(f"published numbers: {write_published(name, output / name)}")
