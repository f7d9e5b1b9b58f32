import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from mgbench.errors import Partly, Unfit
from mgbench.interfaces.data import Features
from mgbench.stages.evaluate import compute_scores, small_sample_warning
from mgbench.stages.extract import pass_for, put_through
from mgbench.stages.extracted import Extracted
from mgbench.testing.laws.scoring import Pixels

CPU = torch.device("cpu")
IMAGES = torch.randint(256, (300, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Total:
    """The mean of all features, from a state that merges."""

    def update(self, state: dict[str, Tensor] | None, seen: Features) -> dict[str, Tensor]:
        sums = {"sum": seen.features.sum(), "count": torch.tensor(len(seen.features))}
        return sums if state is None else self.merge(state, sums)

    def merge(self, one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: one[name] + other[name] for name in one}

    def compute(self, generated: dict[str, Tensor], reference: dict[str, Tensor]) -> dict[str, float]:
        return {"total": float(generated["sum"] / generated["count"] - reference["sum"] / reference["count"])}

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        return self.compute(self.update(None, generated), self.update(None, reference))


@dataclass(frozen=True)
class Fails:
    """A metric of a plugin that cannot be taken, in one way or another."""

    how: str

    def check_counts(self, generated: int, reference: int) -> None:
        if self.how == "count" and generated < 400:
            raise Unfit(f"{generated} images are too few")

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        assert self.how != "count"
        if self.how == "part":
            raise Partly("half of it is missing", {"half": 1.0})
        if self.how == "unfit":
            raise Unfit("it does not fit")
        return {"good": 1.0, "bad": math.nan}


REAL = Extracted.of(Features(torch.zeros(5, 4)))


@pytest.mark.parametrize(
    ("how", "scores", "reason"),
    [
        ("count", {}, "300 images are too few"),
        ("part", {"half": 1.0}, "half of it is missing"),
        ("unfit", {}, "it does not fit"),
        ("nan", {"good": 1.0}, "bad is left out, as it came to nan"),
    ],
)
def test_what_does_not_fit_is_left_out_with_its_reason(how: str, scores: dict[str, float], reason: str) -> None:
    found = compute_scores((Fails(how),), Extracted.of(Features(torch.zeros(300, 4))), REAL, "")
    assert found.scores == scores
    assert found.left_out == (reason,)


def test_features_are_kept_only_for_a_metric_that_needs_all_of_them() -> None:
    merged = put_through(pass_for(Pixels().eval(), CPU, (Total(),), batch=64), IMAGES, None)
    with pytest.raises(RuntimeError, match="were not kept"):
        _ = merged.features
    both = put_through(pass_for(Pixels().eval(), CPU, (Total(), Fails("nan")), batch=64), IMAGES, None)
    assert both.features.features.shape == (300, 4)
    real = Extracted.of(both.features.first(50))
    ours, whole = compute_scores((Total(),), merged, real, "").scores, Total()(both.features, real.features)
    assert ours == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    ("count", "says"),
    [(500, None), (480, None), (479, "biased upward"), (49, "biased upward"), (48, "singular"), (2, "singular")],
)
def test_few_images_are_warned_about(count: int, says: str | None) -> None:
    warning = small_sample_warning(count, 48)
    assert warning is None if says is None else says in str(warning)
