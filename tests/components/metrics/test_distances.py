import pytest
import torch
from torch import Tensor

from mgbench.components.metrics.distances import (
    Accuracy,
    Fid,
    InceptionScore,
    Kid,
    kernel_distance,
)
from mgbench.errors import Unfit, UserError
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features, Statistics

DISTANCES = pytest.mark.parametrize(
    "metric", [Fid(), Kid(), Kid(subsets=3, subset_size=50)], ids=["fid", "kid", "kid_subsets"]
)


def normal(count: int, dim: int = 8, seed: int = 0, offset: float = 0.0) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + offset


@pytest.mark.parametrize(("first", "second"), [(50, 70), (2, 2), (2500, 2100)])
def test_kid_is_the_mean_over_pairs(first: int, second: int) -> None:
    one, two = normal(first, seed=0), normal(second, seed=1, offset=0.3)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / 8 + 1) ** 3

    inside = [(kernel(x, x).sum() - kernel(x, x).diagonal().sum()) / (len(x) * (len(x) - 1)) for x in (one, two)]
    expected = float(inside[0] + inside[1] - 2 * kernel(one, two).mean())
    assert kernel_distance(one, two) == pytest.approx(expected, rel=1e-9)


def test_kid_of_equal_distributions_is_zero_on_average() -> None:
    values = torch.tensor([kernel_distance(normal(60, seed=2 * i), normal(60, seed=2 * i + 1)) for i in range(200)])
    assert abs(float(values.mean())) < 3 * float(values.std()) / 200**0.5
    assert 0.2 < float((values < 0).double().mean()) < 0.8


def test_kid_of_subsets_is_seeded() -> None:
    sets = Features(normal(100)), Features(normal(90, seed=1))
    first, again, other = (Kid(subsets=4, subset_size=40, seed=seed)(*sets)["kid"] for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("size", [1, 91])
def test_kid_refuses_subsets_larger_than_the_sets(size: int) -> None:
    with pytest.raises(UserError, match=r"subset_size is .* from 2 to 90"):
        Kid(subsets=4, subset_size=size)(Features(normal(100)), Features(normal(90)))


@DISTANCES
def test_a_distance_grows_with_the_difference(metric: Metric) -> None:
    reference = Features(normal(400))
    values = [
        next(iter(metric(Features(normal(400, seed=1, offset=by)), reference).values())) for by in (0.0, 0.5, 1.0, 2.0)
    ]
    assert values == sorted(values)


@DISTANCES
@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (torch.ones(1, 8), "at least 2 images"),
        (torch.empty(0, 8), "at least 2 images"),
        (torch.full((60, 8), float("nan")), "60 of 60 images"),
        (torch.ones(60, 9), "one extractor for both"),
    ],
)
def test_what_cannot_be_measured_is_refused(metric: Metric, bad: Tensor, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        metric(Features(bad), Features(normal(60)))
    with pytest.raises(UserError, match=sentence):
        metric(Features(normal(60)), Features(bad))


LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 1.0, 5.0], [4.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (torch.tensor([0, 1, 2, 0]), {"accuracy": 1.0}),
        (torch.tensor([1, 1, 2, 0]), {"accuracy": 0.75}),
        (torch.tensor([1, 0, 0, 2]), {"accuracy": 0.0}),
        (torch.tensor([0, 0, -1, -1]), {"accuracy": 0.5}),
        (torch.tensor([-1, -1, -1, -1]), {}),
        (None, {}),
    ],
)
def test_accuracy_of_hand_made_logits(labels: Tensor | None, expected: dict[str, float]) -> None:
    assert Accuracy()(Features(normal(4), LOGITS, labels), Features(normal(4))) == expected


def test_accuracy_needs_logits() -> None:
    assert Accuracy()(Features(normal(4), None, torch.zeros(4, dtype=torch.int64)), Features(normal(4))) == {}


@pytest.mark.parametrize(
    ("logits", "sentence"),
    [(LOGITS[:1], "at least 2 images"), (LOGITS[:0], "at least 2 images"), (LOGITS * float("nan"), "not finite")],
)
def test_accuracy_refuses_what_it_cannot_judge(logits: Tensor, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Accuracy()(Features(normal(4), logits, torch.zeros(len(logits), dtype=torch.int64)), Features(normal(4)))


def certain(labels: Tensor, classes: int) -> Features:
    """Images whose class is beyond doubt."""
    return Features(normal(len(labels)), torch.nn.functional.one_hot(labels, classes) * 100.0)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (certain(torch.arange(40) % 5, 5), 5.0),
        (certain(torch.zeros(40, dtype=torch.int64), 5), 1.0),
        (Features(normal(40), torch.zeros(40, 5)), 1.0),
        (certain(torch.arange(40) % 2, 5), 2.0),
    ],
)
def test_inception_score_counts_certain_classes(features: Features, expected: float) -> None:
    assert InceptionScore()(features, features)["inception_score"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("splits", [1, 7])
def test_torch_fidelity_agrees_on_inception_score(splits: int) -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_isc", reason="torch-fidelity is the second opinion")
    logits = 2 * normal(700, 10)
    said = theirs.isc_features_to_metric(logits, splits=splits)
    # The splits differ, so the means agree as far as means of so many draws do.
    tolerance = 1e-9 if splits == 1 else 5 * said["inception_score_std"] * (2 / splits) ** 0.5
    ours = InceptionScore(splits)(Features(normal(700), logits), Features(normal(2)))["inception_score"]
    assert ours == pytest.approx(said["inception_score_mean"], abs=tolerance)


def test_inception_score_says_what_it_needs() -> None:
    with pytest.raises(Unfit, match="needs class logits"):
        InceptionScore()(Features(normal(4)), Features(normal(4)))
    with pytest.raises(UserError, match="at least 2 images"):
        InceptionScore(splits=3)(Features(normal(5), LOGITS[[0, 1, 2, 3, 0]]), Features(normal(4)))


def test_kid_needs_images_and_not_statistics() -> None:
    known = Features(torch.empty(0, 8), statistics=Statistics(torch.zeros(8), torch.eye(8)))
    with pytest.raises(Unfit, match="kid compares images one by one"):
        Kid()(Features(normal(20)), known)
