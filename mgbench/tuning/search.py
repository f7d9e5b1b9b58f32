"""The search: Optuna suggests values, which are scored some at a time."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mgbench.errors import UserError
from mgbench.recipes.spec import Value
from mgbench.tuning.space import Range, Space

if TYPE_CHECKING:
    import optuna

# Values suggested at random before the estimator of the search is used; the first is the recipe as it is.
AT_RANDOM = 10


@dataclass(frozen=True)
class Score:
    """The score of some values, or the reason why they have none."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Tried:
    """A suggestion of the search: its number, the fields that it changes, and its score."""

    number: int
    changes: Mapping[str, Value]
    score: Score


@dataclass(frozen=True)
class Plan:
    """The settings of a search: suggestions in all, suggestions scored together, its seed, and the better direction."""

    trials: int
    together: int = 5
    seed: int = 0
    higher: bool = False


# Scores some changes of a recipe.
Judge = Callable[[Sequence[Mapping[str, Value]]], Sequence[Score]]


def search(space: Space, plan: Plan, judge: Judge) -> Iterator[list[Tried]]:
    """Search by the tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) of Optuna.

    The first suggestion changes nothing. Suggestions depend on the plan, the space and earlier scores only, so that a
    search that is repeated with stored scores makes the same ones. Suggestions are yielded as they are scored, `together` of
    them at once; those without a score count as suggestions and teach the search nothing.

    Raises:
        UserError: if Optuna is not installed.
    """
    optuna = _optuna()
    study = optuna.create_study(direction="maximize" if plan.higher else "minimize", sampler=_sampler(plan.seed))
    study.enqueue_trial(space.own_answers)
    for first in range(0, plan.trials, plan.together):
        asked = [study.ask() for _ in range(min(plan.together, plan.trials - first))]
        changes = [space.suggest(_Suggested(trial)) for trial in asked]
        scores = judge(changes)
        for trial, score in zip(asked, scores, strict=True):
            if score.value is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, score.value)
        yield [Tried(first + place, *each) for place, each in enumerate(zip(changes, scores, strict=True))]


def best(tried: Sequence[Tried], higher: bool = False) -> Tried | None:
    """The first suggestion of the best score; None if none has a score."""
    found = [each for each in tried if each.score.value is not None]
    sign = -1 if higher else 1
    return min(found, key=lambda each: sign * (each.score.value or 0.0), default=None)


@dataclass(frozen=True)
class _Suggested:
    """The values that Optuna suggests in a trial."""

    trial: "optuna.trial.Trial"

    def number(self, name: str, among: Range) -> float:
        if among.whole:
            return self.trial.suggest_int(name, int(among.low), int(among.high), log=among.wide)
        return self.trial.suggest_float(name, among.low, among.high, log=among.wide)

    def choice(self, name: str, among: Sequence[str]) -> str:
        return str(self.trial.suggest_categorical(name, list(among)))


# Any: Optuna is an optional requirement.
def _sampler(seed: int) -> Any:
    optuna = _optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Of suggestions scored together, each takes those before it for bad ones, and so differs from them.
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=AT_RANDOM, multivariate=True, group=True, constant_liar=True
        )


# Any: the module, which is an optional requirement.
def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError("a search needs Optuna, which is not installed; pip install 'mgbench[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
