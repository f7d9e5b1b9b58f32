"""The study that the options of a command select, with its planned rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mgbench.cli.output.terminal import notify
from mgbench.errors import UserError
from mgbench.results.wording import counted

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
    from mgbench.cli.study.claims import check_claims
    from mgbench.cli.study.naming import settled
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


def summary(chosen: Chosen) -> str:
    """Counts of recipes, trials and tokenizers by action."""
    from mgbench.trials.plan import plan_trials

    rows = [row for row in chosen.rows if row.about == "images"]
    trials = plan_trials(rows)
    known = sum(trial.key in chosen.trained for trial in trials)
    failed = sum(bool(row.standing) and not row.reused for row in chosen.rows)
    return (
        f"{counted(len(rows), 'recipe')}: {sum(len(trial.rows) for trial in trials)} to compute in "
        f"{counted(len(trials), 'trial')} ({len(trials) - known} to train, {known} trained already), "
        f"{sum(row.reused for row in rows)} reused, {sum(bool(row.assembly.unfit) for row in rows)} skipped; "
        f"{_tokenizers(chosen)}"
        + (f"; {failed} failed before and are not computed again (--retry-failed does)" if failed else "")
    )


def _tokenizers(chosen: Chosen) -> str:
    tokenizers = [row for row in chosen.rows if row.about == "tokenizer" and (row.reused or not row.standing)]
    fitted = {row.trial for row in tokenizers if row.reused or row.trial in chosen.trained}
    to_fit = {row.trial for row in tokenizers} - fitted
    return f"tokenizers: {len(to_fit)} to fit, {len(fitted)} fitted already"
