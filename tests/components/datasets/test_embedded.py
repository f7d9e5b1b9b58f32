import dataclasses

import pytest
import torch

from mgbench.components.datasets.embedded import Digits, Shapes
from mgbench.components.datasets.emoji import Emoji
from mgbench.components.datasets.mnist import Mnist
from mgbench.errors import UserError
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData
from mgbench.recipes.spec import checked, hints

SMALL = Shapes(train=80, test=40)
FINGERPRINTS = {
    "digits": (Digits(), "8356ded803e0d595"),
    "shapes": (SMALL, "82a38b1adf808aac"),
    "mnist": (Mnist(), "9ef2ebec32db2fea"),
    "emoji": (Emoji(), "dc7ff80220315860"),
}
MAKERS = pytest.mark.parametrize("dataset", [dataset for dataset, _ in FINGERPRINTS.values()], ids=FINGERPRINTS)


def pixels(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def labels_of(data: ImageData) -> tuple[torch.Tensor, torch.Tensor]:
    assert data.train_labels is not None
    assert data.test_labels is not None
    return data.train_labels, data.test_labels


@MAKERS
def test_images_and_labels_keep_the_contract(dataset: Dataset) -> None:
    data = dataset.load()
    for images, labels in zip((data.train, data.test), labels_of(data), strict=True):
        assert images.dtype == torch.uint8
        assert labels.dtype == torch.int64
        assert labels.shape == images.shape[:1]
        assert images.shape[1:] == data.shape
        assert set(labels.tolist()) == set(range(len(data.class_names)))
    assert data.licence


@MAKERS
def test_loading_again_gives_the_same_bytes(dataset: Dataset) -> None:
    assert dataset.load().fingerprint == dataset.load().fingerprint


@MAKERS
def test_no_image_is_both_trained_on_and_held_out(dataset: Dataset) -> None:
    data = dataset.load()
    assert len(pixels(data.train)) == len(data.train)
    assert not pixels(data.train) & pixels(data.test)


@pytest.mark.parametrize(("dataset", "fingerprint"), FINGERPRINTS.values(), ids=FINGERPRINTS)
def test_the_bytes_are_those_that_results_were_made_from(dataset: Dataset, fingerprint: str) -> None:
    assert dataset.load().fingerprint == fingerprint


def test_digits_are_the_whole_set_with_fifty_of_each_held_out() -> None:
    data = Digits().load()
    assert data.train.shape == (1297, 1, 8, 8)
    assert labels_of(data)[1].bincount().tolist() == [50] * 10
    assert len(set(data.train.flatten().tolist())) == 17
    assert data.train.amax() == 255


def test_shapes_are_balanced() -> None:
    train, test = labels_of(Shapes(train=800, test=84).load())
    assert train.bincount().tolist() == [100] * 8
    assert test.bincount().tolist() == [11] * 4 + [10] * 4


def test_more_shapes_extend_the_sequence() -> None:
    few, many = SMALL.load(), Shapes(train=600, test=50).load()
    assert torch.equal(many.train[:80], few.train)
    assert torch.equal(many.test[:40], few.test)


def test_another_seed_draws_other_shapes() -> None:
    assert not pixels(SMALL.load().train) & pixels(dataclasses.replace(SMALL, seed=1).load().train)


@pytest.mark.parametrize("size", [16, 23, 32, 64])
def test_size_only_sharpens(size: int) -> None:
    small, large = SMALL.load().train, dataclasses.replace(SMALL, size=size).load().train
    assert large.shape == (80, 3, size, size)
    shrunk = torch.nn.functional.interpolate(large.double(), (16, 16), mode="bilinear", antialias=True)
    assert (shrunk - small.double()).abs().mean() < 6


def test_a_shape_stands_out_from_its_background() -> None:
    images = Shapes(train=400, test=8).load().train.double()
    assert images.std((1, 2, 3)).min() > 12


@pytest.mark.parametrize(
    ("option", "value"), [("size", 15), ("size", 65), ("train", 0), ("test", -1), ("seed", -1), ("size", 16.5)]
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(UserError, match=option):
        checked(hints(Shapes)[option], value, option)
