"""Labels in equal numbers, in the shares of the training images, or drawn evenly; and held-out images that follow them."""

import dataclasses
from typing import get_args

import pytest
import torch

from mgbench.interfaces.data import UNLABELLED, ImageData
from mgbench.recipes.recipe import LabelDistribution
from mgbench.stages.labels import (
    by_turns,
    held_out_rows,
    in_shares,
    labels_for,
    too_few_held_out,
    unequal_classes,
)

DISTRIBUTIONS = pytest.mark.parametrize("distribution", get_args(LabelDistribution))
SHARES = pytest.mark.parametrize(
    "counts", [(1, 1, 1), (900, 90, 10), (5, 0, 3), (1000, *(1 for _ in range(1000))), (7,)], ids=str
)


def data(train: tuple[int, ...], held_out: tuple[int, ...]) -> ImageData:
    """Black pixels, so many of each class, in the order of classes."""
    one, two = (torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)) for counts in (train, held_out))
    train_images, test_images = (torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8) for labels in (one, two))
    return ImageData(train_images, one, test_images, two, tuple(map(str, range(len(train)))))


@DISTRIBUTIONS
def test_a_label_belongs_to_the_image_whatever_the_batch(distribution: LabelDistribution) -> None:
    counts = (50, 30, 20)
    labels = labels_for(torch.arange(1000), counts, distribution, seed=3)
    assert torch.equal(labels_for(torch.arange(50, 60), counts, distribution, seed=3), labels[50:60])
    assert labels.dtype == torch.int64
    assert labels.unique().tolist() == [0, 1, 2]


@DISTRIBUTIONS
def test_without_classes_nothing_is_asked(distribution: LabelDistribution) -> None:
    assert (labels_for(torch.arange(5), (), distribution, seed=3) == UNLABELLED).all()


def test_balanced_labels_differ_in_number_by_one_at_most() -> None:
    assert labels_for(torch.arange(25), (9,) * 10, "balanced", 0).bincount().tolist() == [3] * 5 + [2] * 5


def test_uniform_labels_are_drawn_from_the_seed() -> None:
    labels = labels_for(torch.arange(10_000), (900, *(1,) * 9), "uniform", seed=3)
    assert (labels.bincount(minlength=10) - 1000).abs().max() < 150
    assert not torch.equal(labels_for(torch.arange(60), (1,) * 10, "uniform", seed=4), labels[:60])


@SHARES
@pytest.mark.parametrize("count", [10, 100, 2001])
def test_labels_of_the_data_are_in_its_shares_after_any_number(counts: tuple[int, ...], count: int) -> None:
    """Also those of many small classes together, each of which has less than one image."""
    found = labels_for(torch.arange(count), counts, "data", 0).bincount(minlength=len(counts)).double()
    wanted = torch.tensor(counts, dtype=torch.float64) * count / sum(counts)
    assert (found.cumsum(0) - wanted.cumsum(0)).abs().max() <= 3
    assert not found[torch.tensor(counts) == 0].any()


def test_held_out_images_come_class_by_class_in_turn() -> None:
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2, -1])
    assert labels[by_turns(labels, 8)].tolist() == [-1, 0, 1, 2, 0, 1, 0, 0]
    assert by_turns(None, 1000)[:10].sort().values.diff().max() < 250
    assert sorted(by_turns(None, 50).tolist()) == list(range(50))
    assert len(by_turns(None, 0)) == 0


def test_held_out_images_come_in_the_order_that_is_wanted() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2])
    wanted = torch.tensor([1, 1, 1, 0, 3, 2])
    assert by_turns(labels, 5, wanted).tolist() == [2, 3, 0, 4, 1]


def test_held_out_images_have_the_labels_that_are_asked_of_a_model() -> None:
    found = data((90, 9, 1), (450, 45, 5))
    for count in (10, 100, 400):
        rows = held_out_rows(found, count, "data")
        assert found.test_labels is not None
        assert torch.equal(found.test_labels[rows], labels_for(torch.arange(count), (90, 9, 1), "data", 0))
    assert sorted(held_out_rows(found, 10_000, "data").tolist()) == list(range(500))
    equal = found.test_labels[held_out_rows(found, 15, "balanced")]
    assert equal.tolist() == [0, 1, 2] * 5
    assert torch.equal(held_out_rows(found, 15, "uniform"), held_out_rows(found, 15, "balanced"))


def test_held_out_images_follow_the_training_images_where_their_own_shares_are_others() -> None:
    found = data((90, 9, 1), (100, 100, 100))
    assert found.test_labels is not None
    assert found.test_labels[held_out_rows(found, 100, "data")].bincount().tolist() == pytest.approx([90, 9, 1], abs=1)


def test_classes_far_from_equal_are_said_unless_asked_in_their_shares() -> None:
    assert "900 to 900" not in unequal_classes((900, 900), "balanced")
    assert unequal_classes((100, 90), "balanced") == unequal_classes((), "balanced") == ""
    assert unequal_classes((900, 100), "data") == ""
    for distribution in ("balanced", "uniform"):
        said = unequal_classes((900, 100), distribution)
        assert "100 to 900 training images" in said
        assert "label_distribution=data" in said


def test_too_few_held_out_images_of_a_class_are_said() -> None:
    few = data((50, 50), (90, 10))
    assert too_few_held_out(few, 20, "balanced") == ""
    assert "10 to 90 per class" in too_few_held_out(few, 100, "balanced")
    assert "10 to 90 per class" in too_few_held_out(few, 100, "data")
    assert too_few_held_out(data((90, 10), (90, 10)), 100, "data") == ""
    unlabelled = dataclasses.replace(few, train_labels=None, test_labels=None)
    assert too_few_held_out(unlabelled, 100, "balanced") == ""


def test_counts_in_the_shares_of_others_are_known() -> None:
    assert in_shares([90, 9, 1], (900, 90, 10))
    assert not in_shares([34, 33, 33], (900, 90, 10))
