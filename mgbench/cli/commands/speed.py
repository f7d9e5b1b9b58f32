"""`mgbench speed`: the time of training, sampling and scoring of methods, on models that are not trained."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli.arguments import completion, options, values
from mgbench.errors import UserError

if TYPE_CHECKING:
    from mgbench.recipes.recipe import Recipe
    from mgbench.registry.registry import Registry
    from mgbench.results.speed import Speed
    from mgbench.trials.speed import Measured


def speed(
    methods: Annotated[
        list[str],
        typer.Argument(
            metavar="METHOD…", help="Methods to measure.", show_default=False, autocompletion=completion.method
        ),
    ],
    set_: options.Set = None,
    plugins: options.AlsoPlugins = None,
    batch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N,…",
            help="Images of a training step and of a batch of samples (default: batch_size of the method).",
        ),
    ] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Measure each method eager and compiled.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare two methods that take turns: ratios with 95 % intervals.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Times of which the median is taken.")] = 5,
    device: options.Device = "auto",
    assume: options.Assume = None,
    results: options.Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every cost and part.")] = False,
) -> None:
    """Measure training steps, sampling by parts, features, metrics and memory of methods; nothing is trained.

    Measurements are stored, and 'mgbench plan' estimates times from them. With --compare nothing is stored.
    """
    from mgbench.cli.forecast.costs import assumed
    from mgbench.engines.devices import first_device
    from mgbench.engines.process import set_up_process
    from mgbench.registry.imported import load_with_imported
    from mgbench.registry.resolve import assemble
    from mgbench.results.layout import Layout
    from mgbench.trials.speed import to_measure

    registry = load_with_imported(values.listed(plugins), Layout(results))
    facts, on = assumed(assume), first_device(device)
    set_up_process()
    recipes = list(_recipes(registry, methods, values.changes(set_), _sizes(batch), compile_))
    if compare and len(recipes) != 2:
        raise UserError(
            f"--compare takes two methods at one batch, and there are {len(recipes)} sides; {_other_sides(recipes)}"
        )
    subjects = [to_measure(name, assemble(registry, recipe), facts, on) for name, recipe in recipes]
    if compare:
        _compare(subjects, rounds, as_json)
    else:
        _measure(registry, subjects, rounds, results, as_json)


def _recipes(
    registry: "Registry", methods: list[str], changes: dict[str, object], batches: tuple[int, ...], compiled: bool
) -> "Iterator[tuple[str, Recipe]]":
    """The recipes to measure: each method at each batch, eager and then compiled.

    Raises:
        UserError: if there is no such method or setting.
    """
    for name in dict.fromkeys(methods):
        recipe = registry.method(name).change(**changes)
        sizes: list[dict[str, object]] = [{"batch_size": size, "accumulate": 1} for size in batches] or [{}]
        ways = [{"compile": way, "sampling_compile": way} for way in ("off", "on")] if compiled else [{}]
        yield from ((name, recipe.change(**size, **way)) for size in sizes for way in ways)


def _other_sides(recipes: "list[tuple[str, Recipe]]") -> str:
    """The remedy where a comparison does not have two sides."""
    return "name two methods" if len({name for name, _ in recipes}) != 2 else "give one --batch and leave out --compile"


def _sizes(batch: list[str] | None) -> tuple[int, ...]:
    texts = values.listed(batch)
    if not all(text.isdecimal() and int(text) for text in texts):
        raise UserError(f"--batch {','.join(texts)} is no list of numbers above 0; write for example --batch 16,64")
    return tuple(map(int, texts))


def _measure(registry: "Registry", subjects: "list[Measured]", rounds: int, results: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from mgbench.cli.output.as_json import print_json
    from mgbench.cli.study.work import command_line
    from mgbench.results.speed import save_speed
    from mgbench.results.store import Store
    from mgbench.trials.speed import measure

    store, found = Store(results), list["Speed"]()
    store.check_writable()
    for one in subjects:
        typer.secho(f"measuring {one.method} at {one.subject.recipe.batch_size} images …", err=True, dim=True)
        plugins = registry.versions(one.method, one.assembly.spelled)
        found.append(measure(one, rounds, {"command": command_line(), "plugins": plugins}))
        save_speed(store.layout, found[-1])
    if as_json:
        print_json([asdict(speed) for speed in found])
    else:
        _print(found)


def _print(found: "list[Speed]") -> None:
    from mgbench.cli.forecast.rates import said_flops
    from mgbench.cli.output.table import console, print_frame
    from mgbench.report.speed import reasons, speed_tables

    screen = console()
    typer.echo(f"on {found[0].origin['device']}")
    for title, table in speed_tables(found).items():
        print_frame(screen, table, title)
    rates = dict.fromkeys(f"{said_flops(speed.costs['matrix_rate'])}/s" for speed in found)
    screen.print(f"matrix products in the same minutes: {', '.join(rates)}", markup=False)
    for reason in reasons(found):
        typer.secho(f"left out: {reason}", fg="yellow", err=True)


def _compare(subjects: "list[Measured]", rounds: int, as_json: bool) -> None:
    from dataclasses import asdict

    from mgbench.cli.output.as_json import print_json
    from mgbench.trials.speed import compared

    ratios, (one, other) = compared(subjects[0], subjects[1], rounds), map(_side, subjects)
    if as_json:
        found = {name: asdict(ratio) for name, ratio in ratios.items()}
        print_json({"of": one, "over": other, "rounds": rounds, "ratios": found})
        return
    typer.echo(f"time of {one} over that of {other}, medians of {rounds} rounds in turns, with 95 % intervals:")
    for name, ratio in ratios.items():
        typer.echo(f"  {name:<14} {ratio}")


def _side(measured: "Measured") -> str:
    recipe = measured.subject.recipe
    return f"{measured.method} (batch {recipe.batch_size}, compile {recipe.compile})"
