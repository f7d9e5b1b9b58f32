"""`mgbench run`: plans a study, computes its missing rows and writes the report."""

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli.arguments import completion, options, values
from mgbench.cli.arguments.values import most_images, seconds
from mgbench.cli.study import background, selection
from mgbench.cli.study.failures import FailureLimit
from mgbench.cli.study.selection import summary
from mgbench.cli.study.work import Work, compute, display_of, engine_of, save_view
from mgbench.engines import server
from mgbench.errors import UserError
from mgbench.machine import cores
from mgbench.results.wording import amount

if TYPE_CHECKING:
    from mgbench.cli.output.displays import Display
    from mgbench.recipes.study import Outline

LOCAL = "local"


def run(
    study_file: options.StudyFile = None,
    plugins: options.Plugins = None,
    set_: options.Set = None,
    vary: options.Vary = None,
    seeds: options.Seeds = None,
    sample_seeds: options.SampleSeeds = None,
    methods: options.Methods = None,
    name: options.Name = "",
    results: options.Results = Path("results"),
    reports: options.Reports = Path("reports"),
    engine: Annotated[
        str,
        typer.Option(
            metavar="SPEC", help="Engine that runs trials; see 'mgbench list engine'.", autocompletion=completion.engine
        ),
    ] = LOCAL,
    address: Annotated[
        str,
        typer.Option(
            help="Address of the cluster: host:port, or auto for the cluster of this machine.", show_default=False
        ),
    ] = "",
    devices: options.Devices = "auto",
    devices_per_trial: Annotated[
        int, typer.Option(min=1, help="Devices per trial; they share its batches equally.")
    ] = 1,
    trial_timeout: Annotated[
        str,
        typer.Option(metavar="TIME", help="Time limit of a trial, such as 90s, 30m or 2h.", show_default=False),
    ] = "",
    trial_memory: Annotated[
        float,
        typer.Option(metavar="GIB", min=0, help="Limit of a trial's main memory.", show_default=False),
    ] = 0.0,
    batch: options.Batch = 250,
    keep_images: Annotated[
        str,
        typer.Option(metavar="N|all|none", help="Images of each row to store for metrics added later."),
    ] = "all",
    retry_failed: options.RetryFailed = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop when a trial fails.")] = False,
    max_failures: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop when N trials have failed.", show_default=False)
    ] = None,
    track: options.Track = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print failures only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")] = False,
    detach: Annotated[
        bool, typer.Option(background.OPTION, help="Run in the background; 'mgbench status' shows the progress.")
    ] = False,
) -> None:
    """Train, sample and evaluate every recipe of a study, then write the report; stored results are reused."""
    if engine == LOCAL and not detach:
        # It imports what trials need, while this process imports what it takes to plan them.
        server.start()
    from mgbench.engines.devices import check_batches
    from mgbench.interfaces.engine import Leases, Options
    from mgbench.interfaces.progress import INTERRUPTED
    from mgbench.trials.plan import plan_trials

    asked = values.outline(study_file, plugins, set_, vary, seeds, methods, name, sample_seeds)
    if not (asked.plugins or asked.methods or asked.own):
        raise UserError(_everything(asked))
    limit = FailureLimit.of(fail_fast, max_failures)
    leases = Leases(devices, devices_per_trial, seconds(trial_timeout), trial_memory * 2**30 or None)
    chosen = selection.choose(asked, results, retry_failed, values.listed(track))
    place = engine_of(chosen, engine, address)
    trials = plan_trials(chosen.rows)
    check_batches(trials, devices_per_trial)
    if detach:
        _detach(chosen)
        return
    work = Work(chosen, trials, place.open(leases), Options(batch, most_images(keep_images)), limit)
    chosen.store.check_writable()
    save_view(chosen)
    display = display_of(work, quiet, as_json)
    display.say(f"study {chosen.study.name}: {summary(chosen)}")
    # This process waits while the first trials start.
    Thread(target=_import_report).start()
    exit_code = compute(work, display)
    if exit_code == INTERRUPTED:
        display.say("stopped; run the same command again to continue")
    elif limit.reached:
        display.say(limit.sentence())
    else:
        _finish(chosen, results, reports, display)
    raise typer.Exit(exit_code)


def _everything(asked: "Outline") -> str:
    """Error text for a run without any selection."""
    from mgbench.registry.loading import load

    registry = load()
    bringing = {plugin: recipes for plugin, recipes in registry.recipes.items() if recipes}
    rows = len(list(asked.study(registry.recipes).expand()))
    methods = sum(map(len, bringing.values()))
    return (
        f"what shall be run? All {methods} methods of all plugins would be {rows} recipes. Name plugins, such as "
        f"--plugins emigm,maskgit (there are {', '.join(sorted(bringing))}), methods with --methods, or a study file; "
        "--plugins all runs everything, and 'mgbench plan' shows what a command would do"
    )


def _detach(chosen: selection.Chosen) -> None:
    chosen.store.check_writable()
    log = chosen.store.layout.log(chosen.study.name)
    number = background.start(log)
    typer.echo(f"study {chosen.study.name}: {summary(chosen)}")
    typer.echo(
        f"running in the background as process {number}; 'mgbench status {chosen.study.name}' shows the progress, "
        f"'kill -INT {number}' stops it, and its output is in {log}"
    )


def _say_what_is_kept(chosen: selection.Chosen, display: "Display") -> None:
    """Print the space that the study's stored images take, and the option that stores fewer."""
    from mgbench.results.maintenance.inventory import size

    folders = {chosen.store.layout.images(row.assembly.keys.images) for row in chosen.rows}
    kept = sum(map(size, folders))
    if kept:
        display.say(
            f"images stored for metrics added later:  {amount(kept)} in {chosen.store.layout.images('x').parent}; "
            "--keep-images N or none stores fewer"
        )


def _import_report() -> None:
    """Import what the report needs, which takes a second."""
    # The report says what is wrong with it.
    with suppress(ImportError):
        import_module("mgbench.report.writer")


def _finish(chosen: selection.Chosen, results: Path, reports: Path, display: "Display") -> None:
    """Say which images are kept, show the rows, and write the report."""
    from mgbench.report import write_all

    _say_what_is_kept(chosen, display)
    display.conclude(results, chosen.study.name)
    page = write_all(results, reports / chosen.study.name, chosen.study.name, processes=cores())
    display.say(f"report: {page}")
