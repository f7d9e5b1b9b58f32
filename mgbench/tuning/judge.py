"""Scores of suggestions: each is a recipe that fits the budget, drawn from trained models and scored like any row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from mgbench.errors import Unfit, UserError
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Value
from mgbench.recipes.study import Study
from mgbench.results.record import Record
from mgbench.results.store import Store
from mgbench.tuning.budget import Budget
from mgbench.tuning.search import Score

# Counted for one image and measured over all; samplers whose steps differ between images may exceed the count a little.
_SLACK = 0.01
# Computes the rows of a study that are not stored.
Compute = Callable[[Study], None]


@dataclass
class Judge:
    """Scores changes of a recipe (`base`) by the mean of a metric over the models of some seeds.

    `given` are the fields that the user or the search sets.

    `tried` collects for every suggestion its recipe (None where none fits) and the keys of its rows.
    """

    base: Recipe
    metric: str
    seeds: Sequence[int]
    budget: Budget
    store: Store
    compute: Compute
    name: str
    given: frozenset[str]
    tried: list[tuple[Recipe | None, tuple[str, ...]]] = field(default_factory=list)

    def __call__(self, suggestions: Sequence[Mapping[str, Value]]) -> list[Score]:
        """The scores of suggestions, or the reasons why they have none."""
        first, found = len(self.tried), [self._fitted(changes) for changes in suggestions]
        recipes = [recipe if isinstance(recipe, Recipe) else None for recipe in found]
        self.tried += [(recipe, self._keys(recipe) if recipe else ()) for recipe in recipes]
        named = {f"{self.name} {first + place}": recipe for place, recipe in enumerate(recipes) if recipe is not None}
        if named:
            given = dict.fromkeys(named, self.given)
            self.compute(Study(self.name, named, {}, tuple(self.seeds), given))
        keys = [keys for _, keys in self.tried[first:]]
        return [
            Score(None, made) if isinstance(made, str) else self._score(rows)
            for made, rows in zip(found, keys, strict=True)
        ]

    def _fitted(self, changes: Mapping[str, Value]) -> Recipe | str:
        """The recipe of a suggestion, or the reason why it is none."""
        try:
            return self.budget.fitted(changed(self.base, changes))
        except (Unfit, UserError) as reason:
            return str(reason)

    def _keys(self, recipe: Recipe) -> tuple[str, ...]:
        return tuple(self.budget.assemble(recipe.change(seed=seed)).keys.run for seed in self.seeds)

    def _score(self, keys: Sequence[str]) -> Score:
        records = [self.store.record(key) for key in keys]
        done = [record for record in records if record is not None and record.status == "done"]
        if len(done) < len(records):
            reasons = [record.reason for record in records if record is not None and record.status != "done"]
            return Score(None, next(iter(reasons), "it has no result"))
        needed = max(record.costs["nfe"] for record in done)
        if needed > self.budget.nfe * (1 + _SLACK):
            return Score(None, f"it needed {needed:.4g} forwards of the network when it was drawn")
        scores = [score for record in done if (score := score_of(record, self.metric)) is not None]
        return Score(fmean(scores)) if len(scores) == len(done) else Score(None, f"it has no {self.metric}")


def changed(recipe: Recipe, changes: Mapping[str, Value]) -> Recipe:
    """A recipe with changes of fields, and then of options of components.

    Raises:
        UserError: if a value does not fit its field.
    """
    for name in sorted(changes, key=lambda name: name.count(".")):
        recipe = recipe.change(**{name: changes[name]})
    return recipe


def score_of(record: Record, metric: str) -> float | None:
    """The score of a metric, by its full name or without the extractor's; None if there is none."""
    found = [score for name, score in record.scores.items() if metric in (name, name.partition("[")[0])]
    return found[0] if found else None
