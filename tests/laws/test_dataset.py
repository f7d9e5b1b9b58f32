import dataclasses
import itertools
from typing import Any, ClassVar

import pytest
import torch

from mgbench import testing
from mgbench.interfaces.data import ImageData
from tests.laws.registered import built, every

COUNT = itertools.count()


class Broken:
    extractor: ClassVar[str] = "shapes_cnn"

    def __init__(self, law: str) -> None:
        self.law = law
        if law == "name an extractor":
            self.extractor = ""  # type: ignore[misc]

    def load(self) -> ImageData:
        images, labels = torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6) % 2
        data = ImageData(images, labels, images.clone(), labels.clone(), ("a", "b"), "CC0-1.0")
        changed: dict[str, dict[str, Any]] = {
            "same images": {"train": images + next(COUNT)},
            "licence": {"licence": ""},
            "uint8": {"train": images.float()},
            "one shape": {"test": images[..., :3]},
            "labels must be int64": {"train_labels": labels.int()},
            "number of classes": {"test_labels": labels + 1},
        }
        return dataclasses.replace(data, **changed.get(self.law, {}))


@every("dataset")
def test_every_dataset_keeps_the_laws(name: str) -> None:
    testing.dataset(built("dataset", name))


@pytest.mark.parametrize(
    "law",
    ["same images", "name an extractor", "licence", "uint8", "one shape", "labels must be int64", "number of classes"],
)
def test_a_broken_dataset_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.dataset(Broken(law))


def test_the_dataset_that_is_broken_here_keeps_the_laws_as_it_is() -> None:
    testing.dataset(Broken(""))
