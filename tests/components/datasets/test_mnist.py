import torch

from mgbench.components.datasets.mnist import Mnist
from mgbench.components.tokenizers.patches import Patch


def test_it_is_five_thousand_digits_with_a_hundred_of_each_held_out() -> None:
    data = Mnist().load()
    assert data.train.shape == (4000, 1, 28, 28)
    assert data.test_labels is not None
    assert data.train_labels is not None
    assert data.test_labels.bincount().tolist() == [100] * 10
    assert data.train_labels.bincount().tolist() == [400] * 10


def test_digits_lie_in_the_middle_on_black_as_mnist_has_them() -> None:
    """MNIST centres each digit by its mass in 28x28, after fitting it into 20x20."""
    images = Mnist().load().train[:, 0].double()
    assert images.amax((1, 2)).min() >= 200
    border = images[:, [0, -1]].sum((1, 2)) + images[:, :, [0, -1]].sum((1, 2))
    assert (border > 0).double().mean() < 0.02
    mass = images.sum((1, 2))
    rows, columns = (images.sum(axis) @ torch.arange(28.0, dtype=torch.float64) / mass for axis in (2, 1))
    assert (rows - 13.5).abs().max() < 1.5
    assert (columns - 13.5).abs().max() < 1.5


def test_patches_cut_it_into_49_and_196_tokens() -> None:
    shape = Mnist().load().shape
    assert [Patch(size).build(shape).space.length for size in (4, 2)] == [49, 196]
