"""A whole search: the method at its budget, the space, the suggestions, and the comparison on images it did not see."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from mgbench.errors import Unfit, UserError, suggestion
from mgbench.interfaces import optional
from mgbench.interfaces.scores import ScoreInfo, declaration
from mgbench.recipes.recipe import Recipe, plain
from mgbench.recipes.spec import Value
from mgbench.recipes.study import Study
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import Assembly, assemble
from mgbench.results.store import Store
from mgbench.results.tuning import Attempt, Tuning
from mgbench.tuning.budget import Budget
from mgbench.tuning.defaults import every, usual_values
from mgbench.tuning.judge import Compute, Judge, changed
from mgbench.tuning.search import Plan, Tried, best, search
from mgbench.tuning.space import Space, check_searchable, space_of

# Added to the seed of a search for the noise of its images, so that it is not that of any row.
SEARCH_NOISE = 1_000_000
TUNED = "{}-tuned"
_STEPS = "sampling_steps"
# Fields that a search decides itself.
_DECIDED = {
    "reference": "the search compares with reference=validation and reports on reference=test",
    "seed": "--seeds has the trained models that are compared, and --search-seeds those of the search",
    "sample_seed": "the search and the comparison draw with noise of their own",
}


@dataclass(frozen=True)
class Request:
    """A search to make: a method with changed fields, forwards of the network for an image, and seeds.

    `values` are those to try by field, in addition to the usual ones unless `only`; `seeds` are those of the comparison and
    `search_seeds` of the models that the search samples.
    """

    method: str
    nfe: float
    plan: Plan
    seeds: tuple[int, ...]
    search_seeds: tuple[int, ...]
    metric: str = "fid"
    changes: Mapping[str, Value] = field(default_factory=dict)
    values: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    only: bool = False

    def __post_init__(self) -> None:
        for name, why in _DECIDED.items():
            if name in self.changes:
                raise UserError(f"{name} cannot be set here: {why}")
        if self.nfe < 1:
            raise UserError(f"an image needs at least 1 forward of the network, and --nfe is {self.nfe:g}")
        for name in self.values:
            check_searchable(name)
        twice = set(self.changes) & set(self.values)
        if twice:
            raise UserError(f"{', '.join(sorted(twice))} is both set and searched; keep either --set or --vary")


@dataclass
class Session:
    """A search in a results folder; `compute` computes the rows of a study that are not stored."""

    registry: Registry
    store: Store
    request: Request
    compute: Compute
    name: str
    tried: list[Tried] = field(default_factory=list)

    @cached_property
    def method(self) -> Recipe:
        """The recipe of the method with the changes of the request.

        Raises:
            UserError: if there is no such method or field.
        """
        return self.registry.method(self.request.method).change(**self.request.changes)

    @cached_property
    def base(self) -> Recipe:
        """The method with the most steps that the budget allows, compared with the search split.

        Raises:
            UserError: if it cannot be built, or needs more forwards with any number of steps.
        """
        noise = SEARCH_NOISE + self.request.plan.seed
        try:
            return self.budget.fitted(self.method.change(reference="validation", sample_seed=noise))
        except Unfit as reason:
            raise UserError(f"{self.request.method} cannot be tuned for {self.request.nfe:g} NFE: {reason}") from None

    @cached_property
    def given(self) -> frozenset[str]:
        """The fields that the request sets or varies."""
        names = [*self.request.changes, *self.request.values]
        return frozenset(name.partition(".")[0] for name in names)

    @cached_property
    def budget(self) -> Budget:
        """The budget; steps are chosen to fit it unless the request sets or varies them."""
        free = _STEPS not in {*self.request.changes, *self.request.values}
        return Budget(self.request.nfe, partial(assemble, self.registry, given=self.given), free)

    @cached_property
    def assembly(self) -> Assembly:
        """The base, resolved."""
        return self.budget.assemble(self.base)

    @cached_property
    def score(self) -> ScoreInfo:
        """The declaration of the score that is searched.

        Raises:
            UserError: if the recipe has no such score, or it does not say which direction is better.
        """
        known = [optional.declared_scores(metric) for metric in self.assembly.parts.metrics]
        found = [info for scores in known if (info := declaration(scores, self.request.metric)) is not None]
        if not found:
            names = [name for scores in known for name in scores]
            raise UserError(
                f"{self.request.method} has no score {self.request.metric!r}; {suggestion(self.request.metric, names)}; "
                "--set metrics=… adds others"
            )
        return found[0]

    @cached_property
    def _spaces(self) -> tuple[Space, list[str]]:
        spelled, asked = self.assembly.spelled, self.request
        usual = {} if asked.only else usual_values(self.registry, self.base, spelled)
        free = {name: values for name, values in usual.items() if name.partition(".")[0] not in asked.changes}
        own = {name: every(self.registry, name, values) for name, values in asked.values.items()}
        whole = space_of(self.base, spelled, {**free, **own})
        left_out: dict[str, list[Value]] = {}
        reasons: dict[str, str] = {}
        for name, value, filled in whole.alternatives():
            reason = self._misfit({name: filled}, name in own)
            if reason:
                left_out.setdefault(name, []).append(value)
                reasons.setdefault(name, reason)
        notes = [
            f"left out of the search: {name}={', '.join(str(plain(value)) for value in values)} ({reasons[name]})"
            for name, values in left_out.items()
        ]
        return whole.without(left_out), notes

    def _misfit(self, changes: Mapping[str, Value], given: bool) -> str:
        """The reason why a changed recipe does not fit; a value that the user has given must at least exist."""
        try:
            return self.budget.assemble(changed(self.base, changes)).unfit
        except UserError as error:
            if given:
                raise
            return str(error)

    @property
    def space(self) -> Space:
        """The space without the values that do not fit the method.

        Raises:
            UserError: if a field cannot be searched, or nothing is left.
        """
        if not self._spaces[0].axes:
            raise UserError("there is nothing to search: " + ("; ".join(self.notes) or "give values with --vary"))
        return self._spaces[0]

    @property
    def notes(self) -> list[str]:
        """Sentences about values that are left out."""
        return self._spaces[1]

    @cached_property
    def judge(self) -> Judge:
        """The judge of suggestions."""
        asked, name = self.request, f"{self.name} trial"
        seeds = asked.search_seeds
        return Judge(self.base, asked.metric, seeds, self.budget, self.store, self.compute, name, self.given)

    def run(self) -> Iterator[list[Tried]]:
        """Make and score the suggestions of the plan; raises as `mgbench.tuning.search.search`."""
        for some in search(self.space, self.plan, self.judge):
            self.tried += some
            yield some

    @property
    def plan(self) -> Plan:
        """The plan of the request in the better direction of the score."""
        return replace(self.request.plan, higher=self.score.better == "higher")

    @property
    def winner(self) -> Tried:
        """The best suggestion so far; the first, which changes nothing, if none is better.

        Raises:
            UserError: if none has a score, with the reason of the first.
        """
        found = best(self.tried, self.plan.higher)
        if found is None:
            raise UserError(f"no recipe of the search has a {self.request.metric}: {self.tried[0].score.reason}")
        return found

    @property
    def tuned(self) -> str:
        """The name of the recipe that is found."""
        return TUNED.format(self.request.method)

    def recipes(self) -> dict[str, Recipe]:
        """The method at its budget, and the recipe that was found, compared with the held-out split, by name."""
        found = {self.request.method: self.base, self.tuned: self._recipe(self.winner)}
        return {
            name: recipe.change(reference="test", sample_seed=self.method.sample_seed)
            for name, recipe in found.items()
            if name == self.request.method or self.winner.number
        }

    def _recipe(self, tried: Tried) -> Recipe:
        return self.judge.tried[tried.number][0] or self.base

    def comparison(self, seeds: Collection[int]) -> Study:
        """The study of the method and the found recipe on the held-out split."""
        recipes = self.recipes()
        return Study(self.name, recipes, {}, tuple(seeds), dict.fromkeys(recipes, self.given))

    def tuning(self) -> Tuning:
        """The search, to be stored beside the rows of its comparison."""
        attempts = [
            Attempt(
                {name: plain(value) for name, value in tried.changes.items()},
                recipe.sampling_steps if recipe else None,
                keys,
                tried.score.reason,
            )
            for tried, (recipe, keys) in zip(self.tried, self.judge.tried, strict=True)
        ]
        held_out = {
            name: tuple(self.budget.assemble(recipe.change(seed=seed)).keys.run for seed in self.request.search_seeds)
            for name, recipe in self.recipes().items()
        }
        asked = self.request
        return Tuning(
            asked.method,
            self.tuned,
            asked.metric,
            self.plan.higher,
            asked.nfe,
            asked.plan.seed,
            asked.search_seeds,
            SEARCH_NOISE + asked.plan.seed,
            tuple(attempts),
            self.winner.number,
            held_out,
        )
