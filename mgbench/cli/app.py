"""The `mgbench` application: all commands and `--version`."""

from typing import Annotated

import typer

import mgbench
from mgbench.cli import (
    check,
    cite,
    compare,
    diff,
    doctor,
    encode,
    evaluate,
    export,
    guide,
    import_,
    listing,
    merge,
    new_plugin,
    plan,
    plugins,
    prepare,
    published,
    report,
    results,
    run,
    sample,
    show,
    speed,
    status,
    tune,
)
from mgbench.cli.command import Command, Group

app = typer.Typer(
    name="mgbench",
    cls=Group,
    help="Compare masked image generation models: train, sample, evaluate and report every combination of components.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    run.run,
    sample.sample,
    plan.plan,
    speed.speed,
    tune.tune,
    prepare.prepare,
    encode.encode,
    report.report,
    published.published,
    listing.list_,
    show.show,
    status.status,
    diff.diff,
    compare.compare,
    evaluate.evaluate,
    import_.import_,
    export.export,
    results.results_,
    merge.merge,
    doctor.doctor,
    cite.cite,
    plugins.plugins,
    new_plugin.new_plugin,
    check.check,
    guide.guide,
):
    app.command(command.__name__.strip("_").replace("_", "-"), cls=Command)(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mgbench {mgbench.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    return
