"""`mgbench guide`: notes for scripts and coding agents."""

import typer


def guide() -> None:
    """Print notes for scripts and coding agents that use this version of mgbench."""
    from importlib.resources import files

    typer.echo(files("mgbench").joinpath("AGENTS.md").read_text(encoding="utf-8"), nl=False)
