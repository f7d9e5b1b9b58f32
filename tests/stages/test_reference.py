"""Halves of the held-out images: disjoint, together all of them, of equal size and equal classes."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces.data import ImageData
from mgbench.stages.reference import held_out_halves, reference_images


def data(count: int, labels: Tensor | None) -> ImageData:
    pixels = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1)
    train = torch.full((4, 1, 1, 1), 255, dtype=torch.uint8)
    trained = None if labels is None else torch.arange(4) % 2
    return ImageData(train, trained, pixels, labels, ("a", "b", "c"))


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 0, 0, 1, 1, 2, 0, 2, 2, 1, 0])], ids=["none", "classes"])
def test_the_halves_are_disjoint_and_of_equal_classes(labels: Tensor | None) -> None:
    count = 11
    one, two = held_out_halves(labels, count)
    assert sorted([*one.tolist(), *two.tolist()]) == list(range(count))
    assert abs(len(one) - len(two)) <= 1
    if labels is not None:
        counts = [labels[rows].bincount(minlength=3) for rows in (one, two)]
        assert int((counts[0] - counts[1]).abs().max()) <= 1


def test_each_half_is_the_reference_of_one_part_and_the_floor_of_the_other() -> None:
    labels = torch.tensor([0, 1, 0, 1, 2, 2])
    given = data(6, labels)
    one, two = (reference_images(given, part) for part in ("validation", "test"))
    assert torch.equal(one.train, two.test)
    assert torch.equal(one.test, two.train)
    assert torch.equal(one.train_labels, labels[one.train.flatten().long()])
    assert reference_images(given, "train") is given
    assert len({given.fingerprint, one.fingerprint, two.fingerprint}) == 3
    # The features of a reference are kept for the same object.
    assert reference_images(given, "test") is two


def test_a_single_held_out_image_has_no_halves() -> None:
    alone = replace(data(6, None), test=torch.zeros(1, 1, 1, 1, dtype=torch.uint8))
    with pytest.raises(Unfit, match="there are 1; take reference=train"):
        reference_images(alone, "validation")
