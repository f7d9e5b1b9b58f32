"""`mgbench prepare`: obtain what a study needs, before it runs on a node without a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli.arguments import options, values
from mgbench.cli.study import selection

if TYPE_CHECKING:
    from mgbench.recipes.study import Outline
    from mgbench.registry.resolve import Assembly
    from mgbench.results.store import Store


def prepare(
    study_file: options.StudyFile = None,
    plugins: options.Plugins = None,
    set_: options.Set = None,
    vary: options.Vary = None,
    methods: options.Methods = None,
    results: options.Results = Path("results"),
    device: options.Device = "auto",
    check: Annotated[
        bool, typer.Option("--check", help="Fetch and compute nothing; exit with 1 if something is missing.")
    ] = False,
) -> None:
    """Fetch the files that a study's data sets and weights lack, and compute what its scores ask of real images.

    A run downloads nothing: this is the command for a node with a network, and --check the one for a node without.
    """
    from mgbench.trials.prepare import has_reference, scored

    asked = values.outline(study_file, plugins, set_, vary, None, methods, "")
    if not check:
        _fetch(asked)
    chosen = selection.choose(asked, results, refuse=False)
    lacking = list(dict.fromkeys(row.assembly.unfit for row in chosen.rows if row.assembly.refused))
    for assembly in scored(chosen.rows):
        typer.echo(_described(assembly))
        if not check:
            _prepare_reference(chosen.store, assembly, device)
        elif not has_reference(chosen.store, assembly):
            lacking.append(f"what scores ask of real images, {_seen(assembly)}, is not in {results}")
    for sentence in lacking:
        typer.secho(f"missing: {sentence}", fg="red")
    if lacking:
        raise typer.Exit(1)
    typer.echo("everything is there" if check else "everything is there; the run needs no network")


def _prepare_reference(store: "Store", assembly: "Assembly", device: str) -> None:
    """Compute what scores ask of real images, and print the scores of held-out ones."""
    from mgbench.cli.output.progress import progress_bar
    from mgbench.engines.devices import first_device
    from mgbench.trials.prepare import prepare_reference

    with progress_bar(f"looking at {_seen(assembly)}") as advance:
        floors = prepare_reference(store, assembly, first_device(device), advance)
    said = ", ".join(f"{score} {value:.4g}" for score, value in floors.items())
    count = min(assembly.samples, len(assembly.reference_data.test))
    typer.echo(f"{_seen(assembly)}: " + (f"{count:,} held-out ones score {said}" if said else "no floors"))


def _seen(assembly: "Assembly") -> str:
    return f"{assembly.spelled['dataset']} through {assembly.spelled['extractor']}"


def _fetch(asked: "Outline") -> None:
    """Let every component of the study that can get its own files do so."""
    from mgbench.registry.loading import find, load
    from mgbench.trials.prepare import fetchers

    sources = tuple(find(name) for name in asked.plugins if name != selection.ALL)
    registry = load(sources)
    recipes = [recipe for _, recipe in selection.study_of(asked, registry, sources).expand()]
    for spelled, fetching in fetchers(registry, recipes).items():
        for fetch in fetching:
            fetch()
        typer.echo(f"{spelled}: the files are there")


def _described(assembly: "Assembly") -> str:
    from mgbench.interfaces.images import LazyImages

    data = assembly.data
    kept = "read when they are asked for" if isinstance(data.train, LazyImages) else "held in memory"
    size = "x".join(map(str, data.shape))
    counts = f"{len(data.train):,} and {len(data.test):,} images of {size}"
    return f"{assembly.spelled['dataset']}: {counts}, {len(data.class_names)} classes, {kept} ({data.fingerprint})"
