"""The options that several commands share, and what they amount to."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.errors import UserError

if TYPE_CHECKING:
    from mgbench.recipes.source import Source
    from mgbench.recipes.study import Outline, Study
    from mgbench.registry.registry import Registry
    from mgbench.results.store import Store
    from mgbench.trials.plan import Row

StudyFile = Annotated[
    Path | None,
    typer.Argument(metavar="STUDY.toml", help="A study file; the options below add to it.", show_default=False),
]
Plugins = Annotated[
    str,
    typer.Option(help="Whose methods to run: names of installed plugins, files (.py) or modules, separated by commas."),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a field in every recipe; may be repeated.")
]
Vary = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=VALUE,…", help="Run every combination with each of these values; may be repeated."),
]
Seeds = Annotated[str, typer.Option(help="Seeds to repeat everything with, separated by commas; each trains anew.")]
Methods = Annotated[str, typer.Option(help="Only these methods of the plugins, separated by commas.")]
Name = Annotated[str, typer.Option(help="What to call the study, and its report.")]
Track = Annotated[
    str,
    typer.Option(
        metavar="NAME,…",
        help="Tell these plugins how trials go, such as tensorboard, wandb or mlflow; files and modules as well.",
        show_default=False,
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try rows again that failed before.")]
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
Results = Annotated[Path, typer.Option(help="Where results are kept and found again.")]


@dataclass(frozen=True)
class Chosen:
    """What a command is about: the plugins loaded, the study, and its rows, those about tokenizers first; and who tracks them."""

    sources: "tuple[Source, ...]"
    registry: "Registry"
    study: "Study"
    store: "Store"
    rows: "list[Row]"
    trackers: tuple[str, ...] = ()


def choose(outline: "Outline", results: Path, retry: bool = False, track: tuple[str, ...] = ()) -> Chosen:
    """Load the plugins and look every recipe of the study up; what failed before stands, unless it is to be tried again.

    Raises:
        UserError: if a plugin, field or component does not exist, or one that is to track runs has no hook for that.
    """
    from mgbench.registry.loading import find, load
    from mgbench.results.store import Store
    from mgbench.trials.plan import plan_rows, plan_tokenizers

    sources = tuple(find(name) for name in outline.plugins)
    trackers = tuple(find(name) for name in track)
    registry = load((*sources, *trackers))
    for tracker in trackers:
        _check_tracker(registry, tracker)
    for problem in registry.problems.values():
        typer.secho(f"mgbench: left out: {problem}", err=True, fg="yellow")
    # Recipes are known by the names of plugins, which for a file is not how it was given.
    study = replace(outline, plugins=tuple(source.name for source in sources)).study(registry.recipes)
    store = Store(results)
    recipes = plan_rows(registry, study, store, retry)
    rows = [*plan_tokenizers(recipes, store, retry), *recipes]
    for note in store.notes:
        typer.secho(f"mgbench: {note}", err=True, fg="yellow")
    tracking = tuple(dict.fromkeys(tracker.name for tracker in trackers))
    return Chosen(tuple(dict.fromkeys((*sources, *trackers))), registry, study, store, rows, tracking)


def _check_tracker(registry: "Registry", tracker: "Source") -> None:
    from mgbench.interfaces.tracking import LIFE_HOOKS

    if tracker.name not in registry.life:
        raise UserError(
            f"plugin {tracker.name!r} tracks nothing: it has none of {', '.join(LIFE_HOOKS)}; "
            f"those that do are {', '.join(sorted(registry.life))}"
        )


def outline(
    study_file: Path | None,
    plugins: str,
    set_: list[str] | None,
    vary: list[str] | None,
    seeds: str,
    methods: str,
    name: str,
) -> "Outline":
    """What the options and the study file ask for together.

    Raises:
        UserError: if one of them cannot be read.
    """
    from mgbench.recipes.spec import parse_value, parse_values
    from mgbench.recipes.study import Outline, read_study

    given = Outline(
        name,
        names(plugins),
        names(methods),
        _seeds(seeds),
        {field: parse_value(value) for field, value in _pairs(set_, "--set")},
        {field: parse_values(values) for field, values in _pairs(vary, "--vary")},
    )
    return given if study_file is None else given.over(read_study(study_file))


def seconds(text: str) -> float | None:
    """A time such as 90s, 30m or 2h in seconds; a bare number is seconds, and nothing is None.

    Raises:
        UserError: if it is none.
    """
    if not text:
        return None
    number, unit = (text[:-1], text[-1]) if text[-1] in UNITS else (text, "s")
    try:
        found = float(number) * UNITS[unit]
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise UserError(f"{text!r} is no time; write for example 90s, 30m or 2h")
    return found


def names(text: str) -> tuple[str, ...]:
    """What an option lists, separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(seed) for seed in names(text))
    except ValueError:
        raise UserError(f"--seeds {text} is not a list of whole numbers; write for example --seeds 0,1,2") from None


def _pairs(items: Iterable[str] | None, option: str) -> list[tuple[str, Any]]:
    pairs = [item.partition("=") for item in items or ()]
    for name, equals, value in pairs:
        if not equals or not value:
            raise UserError(f"{option} {name} needs a value; write for example {option} sampling_steps=8")
    return [(name.strip(), value) for name, _, value in pairs]
