from dataclasses import replace

import pytest
import torch
from scipy.spatial import KDTree
from torch import Tensor

from mgbench.components.metrics.memorisation import AuthPct, Copied, Gap
from mgbench.errors import Unfit
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features, Statistics

TRAIN, HELD_OUT, FRESH = (
    torch.randn(count, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for seed, count in enumerate((800, 400, 400))
)
REFERENCE = Features(TRAIN, held_out=Features(HELD_OUT))
METRICS = pytest.mark.parametrize("metric", [Copied(), AuthPct(), Gap()], ids=["copied", "authpct", "gap"])


def score(metric: Metric, features: Tensor, reference: Features = REFERENCE) -> float:
    (value,) = metric(Features(features), reference).values()
    return value


def partly_copied(share: float) -> Tensor:
    copies = round(share * len(FRESH))
    return torch.cat([TRAIN[:copies] + 1e-3, FRESH[copies:]])


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_held_out_images_are_copied_to_the_share_that_is_asked(share: float) -> None:
    assert score(Copied(share), HELD_OUT) == pytest.approx(share, abs=1 / len(HELD_OUT))


def test_fresh_images_are_copied_to_about_that_share_and_copies_add_to_it() -> None:
    fresh = score(Copied(), FRESH)
    assert fresh == pytest.approx(0.05, abs=0.04)
    for share in (0.25, 0.5, 1.0):
        assert score(Copied(), partly_copied(share)) == pytest.approx(share + (1 - share) * fresh, abs=0.03)


def test_copied_is_what_a_tree_of_neighbours_says() -> None:
    tree = KDTree(TRAIN.numpy())
    held_out, fresh = (torch.from_numpy(tree.query(images.numpy())[0]) for images in (HELD_OUT, FRESH))
    assert score(Copied(0.3), FRESH) == float((fresh < held_out.quantile(0.3)).double().mean())


def test_authentic_is_what_a_tree_of_neighbours_says() -> None:
    tree = KDTree(TRAIN.numpy())
    near, which = tree.query(FRESH.numpy())
    among = tree.query(TRAIN.numpy(), k=2)[0][:, 1]
    assert score(AuthPct(), FRESH) == pytest.approx(100 * (among[which] < near).mean())


def test_copies_are_not_authentic_and_what_lies_far_away_is() -> None:
    assert score(AuthPct(), TRAIN[:100] + 1e-3) == 0
    assert score(AuthPct(), FRESH + 100) == 100
    assert score(AuthPct(), partly_copied(0.5)) < score(AuthPct(), FRESH)


def test_a_training_image_twice_in_the_set_makes_its_copies_authentic() -> None:
    """As it is defined: the nearest neighbour of a doubled image is at 0, nearer than any copy that is not exact."""
    doubled = replace(REFERENCE, features=TRAIN.repeat(2, 1))
    assert score(AuthPct(), TRAIN[:100] + 1e-3, doubled) == 100


def test_the_gap_of_fresh_images_is_nothing_and_that_of_copies_is_not() -> None:
    fresh = score(Gap(), FRESH)
    scatter = [abs(score(Gap(seed=seed), FRESH)) for seed in range(5)]
    assert abs(fresh) <= max(scatter) < 0.1
    assert score(Gap(subsets=1), TRAIN[:400], replace(REFERENCE, features=TRAIN[:400])) > 3 * max(scatter)


def test_the_gap_does_not_come_from_how_many_images_there_are() -> None:
    """FID to 100 images is far above FID to 800 of the same law, and the gap does not see it."""
    few = replace(REFERENCE, held_out=Features(HELD_OUT[:100]))
    assert abs(score(Gap(subsets=8), FRESH, few)) < 0.25


@METRICS
def test_statistics_are_not_enough(metric: Metric) -> None:
    known = Features(torch.empty(0, 6), statistics=Statistics(torch.zeros(6), torch.eye(6)))
    with pytest.raises(Unfit, match="compares images one by one"):
        metric(Features(FRESH), known)


@pytest.mark.parametrize("metric", [Copied(), Gap()], ids=["copied", "gap"])
def test_without_held_out_images_it_says_so(metric: Metric) -> None:
    with pytest.raises(Unfit, match="needs held-out images"):
        metric(Features(FRESH), Features(TRAIN))


def test_against_halves_of_the_held_out_images_copies_look_like_fresh_images() -> None:
    halves = Features(HELD_OUT[::2], held_out=Features(HELD_OUT[1::2]))
    copies = partly_copied(1.0)
    for metric, near in ((Copied(), 0.05), (AuthPct(), 8)):
        assert score(metric, copies, halves) == pytest.approx(score(metric, FRESH, halves), abs=near)
        assert abs(score(metric, copies) - score(metric, FRESH)) > 2 * near
