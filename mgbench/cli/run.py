"""`mgbench run`: plans a study, computes its missing rows and writes the report."""

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli import background, choices, completion, options
from mgbench.cli.amounts import most_images, seconds
from mgbench.cli.failures import FailureLimit
from mgbench.cli.plan import summary
from mgbench.errors import UserError
from mgbench.results.wording import amount, counted

if TYPE_CHECKING:
    from mgbench.cli.displays import Display
    from mgbench.engines.status import StatusWriter
    from mgbench.interfaces.engine import Engine, Event, Job, Options, Run
    from mgbench.recipes.study import Outline
    from mgbench.results.tuning import Tuning
    from mgbench.trials.plan import Trial


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
    ] = "local",
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
    batch: Annotated[int, typer.Option(min=1, help="Images per sampling batch; does not change the images.")] = 250,
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
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")] = False,
    detach: Annotated[
        bool, typer.Option(background.OPTION, help="Run in the background; 'mgbench status' shows the progress.")
    ] = False,
) -> None:
    """Train, sample and evaluate every recipe of a study, then write the report; stored results are reused."""
    from mgbench.engines.devices import check_batches
    from mgbench.interfaces.engine import Leases, Options
    from mgbench.interfaces.progress import INTERRUPTED
    from mgbench.trials.plan import plan_trials

    asked = choices.outline(study_file, plugins, set_, vary, seeds, methods, name, sample_seeds)
    if not (asked.plugins or asked.methods or asked.own):
        raise UserError(_everything(asked))
    limit = FailureLimit.of(fail_fast, max_failures)
    leases = Leases(devices, devices_per_trial, seconds(trial_timeout), trial_memory * 2**30 or None)
    chosen = choices.choose(asked, results, retry_failed, choices.listed(track))
    place = engine_of(chosen, engine, address)
    trials = plan_trials(chosen.rows)
    check_batches(trials, devices_per_trial)
    if detach:
        _detach(chosen)
        return
    work = Work(chosen, trials, place.open(leases), Options(batch, most_images(keep_images)), limit)
    chosen.store.check_writable()
    save_view(chosen)
    display = display_of(work, quiet, json)
    display.say(f"study {chosen.study.name}: {summary(chosen)}")
    exit_code = compute(work, display)
    if exit_code == INTERRUPTED:
        display.say("stopped; run the same command again to continue")
    elif limit.reached:
        display.say(limit.sentence())
    else:
        _say_what_is_kept(chosen, display)
        _finish(chosen, results, reports, display, table=not (quiet or json))
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


@dataclass(frozen=True)
class Work:
    """A study, its pending trials, the engine that runs them, its options, and the limit of failures."""

    chosen: choices.Chosen
    trials: "list[Trial]"
    engine: "Run"
    options: "Options"
    limit: FailureLimit

    def job(self, trial: "Trial") -> "Job":
        """The job of a trial for the engine."""
        from mgbench.interfaces.engine import Job

        chosen = self.chosen
        return Job(
            name=trial.name,
            key=trial.key,
            about=trial.about,
            needs=trial.needs,
            rows=tuple((row.method, row.assembly.recipe) for row in trial.rows),
            sources=chosen.sources,
            root=chosen.store.root.resolve(),
            options=self.options,
            study=chosen.study.name,
            command=command_line(),
            trackers=chosen.trackers,
            planned=tuple(row.key for row in trial.rows),
            code=tuple(source.code() for source in chosen.sources),
        )


def _detach(chosen: choices.Chosen) -> None:
    chosen.store.check_writable()
    log = chosen.store.layout.log(chosen.study.name)
    number = background.start(log)
    typer.echo(f"study {chosen.study.name}: {summary(chosen)}")
    typer.echo(
        f"running in the background as process {number}; 'mgbench status {chosen.study.name}' shows the progress, "
        f"'kill -INT {number}' stops it, and its output is in {log}"
    )


def engine_of(chosen: choices.Chosen, engine: str, address: str) -> "Engine":
    """Build the engine.

    Raises:
        UserError: if the engine does not exist, or takes no address.
    """
    from mgbench.interfaces.engine import Engine
    from mgbench.recipes.spec import Spec, hints

    spec = Spec.parse(engine)
    if address:
        if "address" not in hints(chosen.registry.offer("engine", spec).maker):
            raise UserError(
                f"the engine {spec.name!r} takes no address; leave --address out, or choose another --engine"
            )
        spec = Spec(spec.name, spec.args, (*spec.options, ("address", address)))
    return chosen.registry.build(Engine, spec)


def display_of(work: Work, quiet: bool, json: bool) -> "Display":
    from mgbench.cli.displays import JsonLines, Quiet
    from mgbench.cli.live import Live
    from mgbench.cli.naming import row_names

    if json:
        return JsonLines()
    return Quiet() if quiet else Live(sum(len(trial.rows) for trial in work.trials), row_names(work.trials))


def command_line() -> str:
    import shlex

    return shlex.join(["mgbench", *sys.argv[1:]])


def save_view(chosen: choices.Chosen, tuning: "Tuning | None" = None) -> None:
    """Store the list of the study's rows, the search that found one of its recipes, and the records of skipped rows."""
    from mgbench.registry.citations import references
    from mgbench.results.environment import packages
    from mgbench.results.record import StudyView

    for row in chosen.rows:
        if row.assembly.unfit:
            chosen.store.save_record(row.record("skipped", row.assembly.unfit))
    rows = tuple((row.key, row.method) for row in chosen.rows)
    cited = references(chosen.registry, [(row.method, row.assembly.spelled) for row in chosen.rows])
    claims = tuple(claim.plain() for claim in chosen.study.claims)
    chosen.store.save_study(StudyView(chosen.study.name, rows, command_line(), cited, packages(), claims, tuning))


def compute(work: Work, display: "Display") -> int:
    """Run every trial; returns 0 if all rows are done or skipped, 1 if some failed, 130 if the user stopped the run."""
    from mgbench.engines.status import StatusWriter
    from mgbench.engines.supervise import supervise

    chosen = work.chosen
    if not work.trials:
        return _exit_code(chosen, stopped=False)
    board = StatusWriter(
        chosen.store.layout, chosen.study.name, command_line(), sum(len(trial.rows) for trial in work.trials)
    )

    def show(event: "Event") -> None:
        board.show(event)
        display.show(event)
        if work.limit.reaches(event):
            work.engine.stop()

    with display, board.updating():
        asked = _stop_on_ctrl_c(work.engine, display, board)
        supervise(work.engine, chosen.store, work.trials, work.job, show)
        exit_code = _exit_code(chosen, stopped=bool(asked))
        board.ended(exit_code)
    return exit_code


def _stop_on_ctrl_c(engine: "Run", display: "Display", board: "StatusWriter") -> list[int]:
    """On SIGINT or SIGTERM let trials write checkpoints and end; on a second one end them at once."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            display.say("stopped")
            engine.kill()
            return
        trained = sum(stage.stage == "train" for stage in board.status.stages.values())
        kept = "a checkpoint" if trained == 1 else "checkpoints"
        waits = f": {counted(trained, 'training')} running, which will write {kept}" if trained else ""
        display.say(f"stopping{waits}; press Ctrl-C again to stop at once")
        engine.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return asked


def _exit_code(chosen: choices.Chosen, stopped: bool) -> int:
    from mgbench.interfaces.progress import INTERRUPTED

    if stopped:
        return INTERRUPTED
    records = [chosen.store.record(row.key) for row in chosen.rows]
    return int(any(record is None or record.status not in ("done", "skipped") for record in records))


def _say_what_is_kept(chosen: choices.Chosen, display: "Display") -> None:
    """Print the space that the study's stored images take, and the option that stores fewer."""
    from mgbench.results.maintenance.inventory import size

    folders = {chosen.store.layout.images(row.assembly.keys.images) for row in chosen.rows}
    kept = sum(map(size, folders))
    if kept:
        display.say(
            f"images stored for metrics added later:  {amount(kept)} in {chosen.store.layout.images('x').parent}; "
            "--keep-images N or none stores fewer"
        )


def _finish(chosen: choices.Chosen, results: Path, reports: Path, display: "Display", table: bool) -> None:
    from mgbench.cli.claims import print_study
    from mgbench.report import write_all

    if table:
        print_study(results, chosen.study.name)
    page = write_all(results, reports / chosen.study.name, chosen.study.name)
    display.say(f"report: {page}")
