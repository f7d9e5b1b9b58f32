"""`mgbench tune`: searches how a trained model is sampled, and compares what it finds on images that it did not see."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli.arguments import completion, options, values
from mgbench.cli.output.search import line, print_plan, print_time, report
from mgbench.cli.output.terminal import notify
from mgbench.cli.study import selection
from mgbench.errors import UserError

if TYPE_CHECKING:
    from mgbench.interfaces.engine import Options, Run
    from mgbench.recipes.source import Source
    from mgbench.recipes.study import Study
    from mgbench.registry.registry import Registry
    from mgbench.results.store import Store
    from mgbench.results.tuning import Tuning
    from mgbench.tuning.session import Request, Session


def tune(
    method: Annotated[
        str,
        typer.Argument(metavar="METHOD", help="The method.", show_default=False, autocompletion=completion.methods),
    ],
    nfe: Annotated[
        float, typer.Option(help="Forward passes of the network for an image, at most.", show_default=False)
    ],
    trials: Annotated[int, typer.Option(min=1, help="Recipes to try.")] = 40,
    together: Annotated[
        int, typer.Option(min=1, help="Recipes suggested and drawn at once; the same for the same search.")
    ] = 5,
    set_: options.Set = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE,…",
            help="Values to try beside or instead of the usual ones; LOW..HIGH is a range; may be repeated.",
            show_default=False,
            autocompletion=completion.settings,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file with a [vary] table: only these values.", show_default=False),
    ] = None,
    metric: Annotated[str, typer.Option(help="The score to search for.")] = "fid",
    seeds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEED,…", help="Training seeds of the comparison (default: 0,1,2,3,4).", show_default=False
        ),
    ] = None,
    search_seeds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEED,…",
            help="Training seeds whose models the search samples (default: the first of --seeds).",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search.")] = 0,
    plugins: options.AlsoPlugins = None,
    name: options.Name = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Study file to write (default: tuned-METHOD.toml).", show_default=False),
    ] = None,
    results: options.Results = Path("results"),
    reports: options.Reports = Path("reports"),
    devices: options.Devices = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the budget, the space and the rows, and stop.")
    ] = False,
) -> None:
    """Search how a trained model is sampled for the best score at a number of network forwards (Optuna).

    The search compares with one half of the held-out images, and the recipe that it finds is compared with the method on the
    other half, over several trained models. The same command continues after an interruption.
    """
    from mgbench.tuning.search import Plan
    from mgbench.tuning.session import Request
    from mgbench.tuning.study_file import check_free

    target = output or Path(f"tuned-{method}.toml")
    check_free(target)
    compared = values.seed_list(seeds) or tuple(range(5))
    request = Request(
        method,
        nfe,
        Plan(trials, together, seed),
        seeds=compared,
        search_seeds=values.seed_list(search_seeds, "--search-seeds") or compared[:1],
        metric=metric,
        changes=values.changes(set_),
        values={**(_space(space) if space else {}), **values.axes(vary)},
        only=space is not None,
    )
    runner = _runner(results, plugins, devices)
    session = _session(runner, request, name or f"tune-{method}-nfe{nfe:g}")
    print_plan(session)
    if dry_run:
        print_time(session)
        return
    runner.store.check_writable()
    for some in session.run():
        for tried in some:
            typer.echo(line(session, tried))
    tuning = _compare(session, runner)
    target.write_text(_study_file(session, runner), encoding="utf-8")
    report(session, tuning, reports / session.name, target)


@dataclass(frozen=True)
class Runner:
    """Loaded plugins, a results folder, and a function that opens an engine to compute rows."""

    sources: "tuple[Source, ...]"
    registry: "Registry"
    store: "Store"
    open: "Callable[[], Run]"

    def compute(self, study: "Study", options: "Options") -> selection.Chosen:
        """Compute the rows of a study that are not stored; those that failed before stay as they are.

        Raises:
            typer.Exit: if the user stopped it.
        """
        from mgbench.cli.output.displays import Quiet
        from mgbench.cli.study.failures import FailureLimit
        from mgbench.cli.study.work import Work, compute, display_of
        from mgbench.interfaces.progress import INTERRUPTED
        from mgbench.trials.plan import plan_study, plan_trials

        known = len(self.store.notes)
        rows = plan_study(self.registry, study, self.store, refuse=False)
        self._say(known)
        chosen = selection.Chosen(self.sources, self.registry, study, self.store, rows)
        trials = plan_trials(rows)
        work = Work(chosen, trials, self.open(), options, FailureLimit())
        # Rows of trained models are many and short.
        quiet = all(trial.key in chosen.trained for trial in trials)
        if trials and compute(work, Quiet() if quiet else display_of(work, quiet=False, as_json=False)) == INTERRUPTED:
            typer.echo("stopped; run the same command again to continue")
            raise typer.Exit(INTERRUPTED)
        return chosen

    def _say(self, known: int) -> None:
        """Print notes about rows that were not printed before."""
        said = set(self.store.notes[:known])
        notify(*dict.fromkeys(note for note in self.store.notes[known:] if note not in said))


def _space(path: Path) -> dict[str, Any]:
    """The values to try from the [vary] table of a file.

    Raises:
        UserError: if it cannot be read, or has anything else.
    """
    from mgbench.recipes.study import Outline, read_study

    found = read_study(path)
    if not found.vary or found != Outline(found.name, vary=found.vary):
        raise UserError(
            f"{path} should have a [vary] table and nothing else; seeds and changes are options of the command"
        )
    return dict(found.vary)


def _runner(results: Path, plugins: list[str] | None, devices: str) -> Runner:
    from mgbench.engines.local import Local
    from mgbench.interfaces.engine import Leases
    from mgbench.registry.imported import add_imported
    from mgbench.registry.loading import find, load
    from mgbench.results.store import Store

    sources = tuple(find(name) for name in values.listed(plugins))
    registry, store = load(sources), Store(results)
    add_imported(registry, store.layout)
    return Runner(sources, registry, store, lambda: Local().open(Leases(devices)))


def _session(runner: Runner, request: "Request", name: str) -> "Session":
    from mgbench.interfaces.engine import Options
    from mgbench.tuning.session import Session

    # Of searched recipes the scores are kept, and the images of none are looked at.
    searching = Options(keep_images=0)

    def compute(study: "Study") -> None:
        runner.compute(study, searching)

    return Session(runner.registry, runner.store, request, compute, name)


def _compare(session: "Session", runner: Runner) -> "Tuning":
    """Compute the comparison on held-out images, and store it as a study with its search."""
    from mgbench.cli.study.work import save_view
    from mgbench.interfaces.engine import USUAL

    asked = session.request
    chosen = runner.compute(session.comparison(asked.seeds), USUAL)
    others = [seed for seed in asked.search_seeds if seed not in asked.seeds]
    if others:
        runner.compute(session.comparison(others), USUAL)
    tuning = session.tuning()
    save_view(chosen, tuning)
    return tuning


def _study_file(session: "Session", runner: Runner) -> str:
    from mgbench.cli.study.work import command_line
    from mgbench.tuning.study_file import MARK, found_study, study_text

    asked, base = session.request, session.base
    steps = {"sampling_steps": base.sampling_steps}
    tuned = session.recipes().get(session.tuned)
    found = (session.tuned, {"sampling_steps": tuned.sampling_steps, **session.winner.changes}) if tuned else None
    plugins = tuple(source.target for source in runner.sources)
    outline = found_study(session.name, (asked.method, steps), found, asked.changes, asked.seeds, plugins)
    comments = [
        f"{MARK.removeprefix('# ')}: {command_line()}",
        "Both recipes compared on the half of the held-out images that the search did not see; in a comparison with other",
        f"methods: mgbench run FILE --name NAME --methods {session.tuned},OTHER --set reference=train",
    ]
    return study_text(outline, comments)
