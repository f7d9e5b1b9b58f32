import itertools
import math
from typing import ClassVar

import pytest
import torch

from mgbench import testing
from mgbench.errors import Unfit
from mgbench.interfaces.data import Features
from mgbench.interfaces.scores import ScoreInfo
from tests.laws.registered import built, every

COUNT = itertools.count()


def spoil(generated: Features, reference: Features) -> dict[str, float]:
    generated.features.add_(1)
    return {"d": 0.0}


def silent(generated: Features, reference: Features) -> dict[str, float]:
    if generated.images is None:
        raise Unfit
    return {"d": 0.0}


class Pretender:
    """A distance of features that is declared to be of images."""

    scores: ClassVar = {"d": ScoreInfo("Distance", "lower", of="images")}

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        return {"d": float(generated.features.mean() - reference.features.mean())}


class Sideways(Pretender):
    """Declared with a direction that there is not."""

    scores: ClassVar = {"d": ScoreInfo("Distance", "left")}  # type: ignore[arg-type]


class Forgetful(Pretender):
    """A distance of which half is about the reference, and not the same half whoever asks."""

    scores: ClassVar = {"d": ScoreInfo("Distance", "lower")}

    def of_reference(self, reference: Features) -> dict[str, torch.Tensor]:
        return {"mean": reference.features.mean()}

    def compare(self, generated: Features, reference: Features, known: dict[str, torch.Tensor]) -> dict[str, float]:
        return {"d": float(generated.features.mean() - known["mean"].add_(1))}


BROKEN = {
    "name its numbers": lambda generated, reference: [1.0],
    "finite": lambda generated, reference: {"d": math.nan},
    "same numbers": lambda generated, reference: {"d": float(next(COUNT))},
    "some number": lambda generated, reference: {},
    "must be named": silent,
    "leave the features": spoil,
    "must be declared": lambda generated, reference: {"d": 0.0},
    "depends on the features": Pretender(),
    "better is": Sideways(),
    "known of the reference": Forgetful(),
}


@every("metric")
def test_every_metric_keeps_the_laws(name: str) -> None:
    testing.metric(built("metric", name))


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_metric_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.metric(BROKEN[law])


@pytest.mark.parametrize("name", ["fid", "kid"])
def test_a_distance_grows_with_the_distance(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 4, dtype=torch.float64, generator=generator)
    other = torch.randn(400, 4, dtype=torch.float64, generator=generator)
    near, far = (built("metric", name)(Features(other + shift), Features(features))[name] for shift in (0, 1))
    assert abs(near) < 0.1
    assert far > 1
