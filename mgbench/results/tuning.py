"""The record of a search over recipes: the recipes that it tried, and the one that it chose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """A recipe that a search tried: the fields that it changes, its sampling steps, and the keys of its rows on the search
    split, one for each model of the search; or the `reason` why it has no score.
    """

    changes: Mapping[str, Any]
    steps: int | None = None
    keys: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Tuning:
    """A search for the best `metric` of a method at `nfe` forwards, with the models of `seeds` and noise of `sample_seed`.

    The first attempt is the method as it is, and `winner` the number of the best one, which is called `tuned`. `held_out` has
    the keys of rows of both, by name, with the same models on images that the search did not see.
    """

    method: str
    tuned: str
    metric: str
    higher: bool
    nfe: float
    seed: int
    seeds: tuple[int, ...]
    sample_seed: int
    attempts: tuple[Attempt, ...]
    winner: int
    held_out: Mapping[str, tuple[str, ...]]

    def __deepcopy__(self, _: object) -> "Tuning":
        # Frames carry it in `attrs`, which pandas copies deeply.
        return self

    @property
    def names(self) -> dict[str, Attempt]:
        """The method as it is and, if it is another one, the recipe that was found, by name."""
        found = {self.tuned: self.attempts[self.winner]} if self.winner else {}
        return {self.method: self.attempts[0], **found}


def read_tuning(content: Mapping[str, Any] | None) -> Tuning | None:
    """A search from plain values; None from none.

    Raises:
        KeyError, TypeError: if it is no search.
    """
    if not content:
        return None
    attempts = tuple(Attempt(**{**attempt, "keys": tuple(attempt["keys"])}) for attempt in content["attempts"])
    held_out = {name: tuple(keys) for name, keys in content["held_out"].items()}
    return Tuning(**{**content, "attempts": attempts, "seeds": tuple(content["seeds"]), "held_out": held_out})
