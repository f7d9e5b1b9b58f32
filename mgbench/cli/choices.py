"""Options that several commands share, and the study that they select."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgbench.cli.study_files import study_file
from mgbench.cli.terminal import notify
from mgbench.errors import UserError

if TYPE_CHECKING:
    from mgbench.recipes.source import Source
    from mgbench.recipes.study import Outline, Study
    from mgbench.registry.registry import Registry
    from mgbench.results.store import Store
    from mgbench.trials.plan import Row

# The value of --plugins and --vary that stands for everything.
ALL = "all"


@dataclass(frozen=True)
class Chosen:
    """The selection of a command: loaded plugins, study, rows (those of tokenizers first) and trackers."""

    sources: "tuple[Source, ...]"
    registry: "Registry"
    study: "Study"
    store: "Store"
    rows: "list[Row]"
    trackers: tuple[str, ...] = ()

    @cached_property
    def trained(self) -> frozenset[str]:
        """Keys of the stored models and tokenizers that pending rows need, read once when first used; damage is reported."""
        layout, known = self.store.layout, len(self.store.notes)
        homes = {
            row.trial: layout.model(row.trial) if row.about == "images" else layout.tokenizer(row.trial)
            for row in self.rows
            if not row.standing and not row.assembly.unfit
        }
        given = {row.trial for row in self.rows if row.about == "images" and row.assembly.recipe.weights}
        found = frozenset(key for key, home in homes.items() if key in given or self.store.complete(home))
        notify(*self.store.notes[known:])
        return found


def choose(
    outline: "Outline", results: Path, retry: bool = False, track: tuple[str, ...] = (), refuse: bool = True
) -> Chosen:
    """Load the plugins and plan every recipe of the study; rows that failed before stay as they are without `retry`.

    A study without a recipe that can be built is an error, unless it is not to `refuse` that.

    Raises:
        UserError: if a plugin, field or component does not exist, a tracker has no tracking hook, or a claim fits no rows.
    """
    from mgbench.cli.claims import check_claims
    from mgbench.cli.naming import settled
    from mgbench.registry.imported import add_imported
    from mgbench.registry.loading import find, load
    from mgbench.results.store import Store
    from mgbench.trials.plan import plan_study

    sources = tuple(find(name) for name in outline.plugins if name != ALL)
    trackers = tuple(find(name) for name in track)
    registry = load((*sources, *trackers))
    store = Store(results)
    add_imported(registry, store.layout)
    for tracker in trackers:
        _check_tracker(registry, tracker)
    notify(*(f"left out: {problem}" for problem in registry.problems.values()))
    study = study_of(outline, registry, sources)
    rows = plan_study(registry, study, store, retry, refuse)
    notify(*store.notes)
    check_claims(study, registry, rows)
    study, renamed = settled(study, store.layout, rows, given=bool(outline.name))
    if renamed:
        notify(renamed)
    tracking = tuple(dict.fromkeys(tracker.name for tracker in trackers))
    return Chosen(tuple(dict.fromkeys((*sources, *trackers))), registry, study, store, rows, tracking)


def study_of(outline: "Outline", registry: "Registry", sources: "Sequence[Source]") -> "Study":
    """The study that a command selects from the recipes of its plugins.

    Raises:
        UserError: if there is no such plugin, method or field.
    """
    # Recipes are filed by plugin name; the name of a plugin given as a file is not its path.
    named = tuple(source.name for source in sources) if ALL not in outline.plugins else tuple(registry.recipes)
    vary = {axis: _every(registry, axis) if values == (ALL,) else values for axis, values in outline.vary.items()}
    name = outline.name or ("" if ALL not in outline.plugins else ALL)
    return replace(outline, plugins=named, vary=vary, name=name).study(registry.recipes)


def _every(registry: "Registry", kind: str) -> tuple[str, ...]:
    """Names of all components of a kind that need no options: the values of `--vary kind=all`.

    Raises:
        UserError: if the field is not a kind.
    """
    from mgbench.recipes.kinds import KINDS
    from mgbench.recipes.spec import defaults, hints

    if kind not in KINDS:
        raise UserError(f"{kind} is not a kind, so it cannot vary over {ALL}; kinds are {', '.join(KINDS)}")
    known = {name: set(hints(offer.maker)) - set(defaults(offer.maker)) for name, offer in registry.names(kind).items()}
    for name, needed in known.items():
        if needed:
            notify(f"left out of {kind}={ALL}: {name} needs {', '.join(needed)}")
    return tuple(sorted(name for name, needed in known.items() if not needed))


def _check_tracker(registry: "Registry", tracker: "Source") -> None:
    from mgbench.interfaces.tracking import LIFE_HOOKS

    if tracker.name not in registry.trackers:
        raise UserError(
            f"plugin {tracker.name!r} cannot track runs: it has none of the hooks {', '.join(LIFE_HOOKS)}; "
            f"plugins that can are {', '.join(sorted(registry.trackers))}"
        )


def outline(
    file: Path | None,
    plugins: list[str] | None,
    set_: list[str] | None,
    vary: list[str] | None,
    seeds: list[str] | None,
    methods: list[str] | None,
    name: str,
    sample_seeds: list[str] | None = None,
) -> "Outline":
    """The study file with the options of the command line on top.

    Raises:
        UserError: if one of them cannot be read.
    """
    from mgbench.recipes.study import Outline

    given = Outline(name, listed(plugins), listed(methods), seed_list(seeds), changes(set_), axes(vary))
    given = replace(given, sample_seeds=seed_list(sample_seeds, "--sample-seeds"))
    return given if file is None else given.over(study_file(file))


def changes(items: list[str] | None) -> dict[str, Any]:
    """The fields set by `--set`.

    Raises:
        UserError: if a field is given several values.
    """
    from mgbench.recipes.recipe import FIELDS
    from mgbench.recipes.spec import parse_list, parse_values

    found: dict[str, Any] = {}
    for name, text in _pairs(items, "--set"):
        takes_list = name in FIELDS and isinstance(FIELDS[name].default, tuple)
        values: tuple[Any, ...] = (parse_list(text),) if takes_list else parse_values(text)
        if len(values) != 1 or found.get(name, values[0]) != values[0]:
            both = text if name not in found else f"{found[name]},{text}"
            raise UserError(f"--set {name} takes one value; to run each of them write --vary {name}={both}")
        found[name] = values[0]
    return found


def axes(items: list[str] | None) -> dict[str, tuple[Any, ...]]:
    """The fields varied by `--vary`; values of a repeated field are joined."""
    from mgbench.recipes.spec import parse_values

    found: dict[str, tuple[Any, ...]] = {}
    for name, text in _pairs(items, "--vary"):
        values = (*found.get(name, ()), *parse_values(text))
        found[name] = tuple(value for place, value in enumerate(values) if value not in values[:place])
    return found


def names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def listed(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Split the values of a repeatable option into names, without duplicates."""
    return tuple(dict.fromkeys(name for text in texts or () for name in names(text)))


def seed_list(texts: list[str] | None, option: str = "--seeds") -> tuple[int, ...]:
    try:
        return tuple(int(seed) for seed in listed(texts))
    except ValueError:
        given = ",".join(texts or ())
        raise UserError(f"{option} {given} is not a list of whole numbers; write for example {option} 0,1,2") from None


def _pairs(items: Iterable[str] | None, option: str) -> list[tuple[str, Any]]:
    pairs = [item.partition("=") for item in items or ()]
    for name, equals, value in pairs:
        if not equals or not value:
            raise UserError(f"{option} {name} needs a value; write for example {option} sampling_steps=8")
    return [(name.strip(), value) for name, _, value in pairs]
