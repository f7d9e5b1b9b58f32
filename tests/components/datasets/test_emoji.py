import torch

from mgbench.components.datasets.emoji import GROUPS, HELD_OUT_PER_CLASS, TRAINED_PER_CLASS, Emoji
from mgbench.components.tokenizers.patches import Patch


def distances(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """The root mean squared differences [M,L] of pictures, in grey levels."""
    return torch.cdist(one.flatten(1).double(), two.flatten(1).double()) / one[0].numel() ** 0.5


def test_every_class_has_as_many_on_each_side() -> None:
    data = Emoji().load()
    assert data.shape == (3, 32, 32)
    assert data.train_labels is not None
    assert data.test_labels is not None
    assert data.train_labels.bincount().tolist() == [TRAINED_PER_CLASS] * len(GROUPS)
    assert data.test_labels.bincount().tolist() == [HELD_OUT_PER_CLASS] * len(GROUPS)


def test_no_two_pictures_are_twins_and_no_relatives_are_on_both_sides() -> None:
    data = Emoji().load()
    among = distances(data.train, data.train).fill_diagonal_(255)
    assert among.min() >= 12
    assert distances(data.train, data.test).min() >= 20


def test_pictures_are_colourful_and_on_white() -> None:
    images = Emoji().load().train.double()
    assert (images[:, :, 0, 0] == 255).all(1).double().mean() > 0.8
    assert (images.amax(1) - images.amin(1)).mean() > 40


def test_a_flag_is_wider_than_a_face_and_a_face_is_yellow() -> None:
    """The classes are where their names say."""
    data = Emoji().load()
    assert data.train_labels is not None
    red, green, blue = (
        data.train[data.train_labels == GROUPS.index("Smileys & Emotion")].double().mean((0, 2, 3))
    ).tolist()
    assert red > green > blue + 40
    by_class = [data.train[data.train_labels == group].double() for group in range(len(GROUPS))]
    top = torch.stack([images[:, :, :4].mean() for images in by_class])
    assert int(top.argmax()) == GROUPS.index("Flags")


def test_patches_cut_it_into_64_tokens() -> None:
    assert Patch(4).build(Emoji().load().shape).space.length == 64
