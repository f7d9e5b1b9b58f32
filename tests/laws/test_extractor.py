import dataclasses
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mgbench import testing
from mgbench.interfaces.data import Features
from tests import weights
from tests.laws.registered import built, every


class Means(nn.Module):
    """The mean of each channel, with one mistake."""

    numbers = itertools.count()

    def __init__(self, law: str) -> None:
        super().__init__()
        self.law = law
        self.id = f"means@{next(self.numbers)}" if law == "the id" else "means@1"
        self.train(law == "evaluation mode")

    def forward(self, images: Tensor) -> Features:
        said = Features(images.double().mean((2, 3)))
        match self.law:
            case "B,F":
                return Features(said.features[0])
            case "finite":
                return Features(said.features / 0)
            case "logits":
                return dataclasses.replace(said, logits=said.features[0])
            case "same images":
                return Features(said.features + torch.rand(()))
            case "on the batch":
                return Features(said.features - said.features.mean(0) + 100)
            case "different images":
                return Features(torch.ones_like(said.features))
        return said


class Maker:
    def __init__(self, law: str) -> None:
        self.law = law

    def build(self) -> Any:
        return Means(self.law)


@every("extractor")
def test_every_extractor_keeps_the_laws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(weights.torch_home()))
    testing.extractor(built("extractor", name))


@pytest.mark.parametrize(
    "law",
    ["the id", "evaluation mode", "B,F", "finite", "logits", "same images", "on the batch", "different images"],
)
def test_a_broken_extractor_breaks_its_law(law: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=law):
        testing.extractor(Maker(law))


def test_the_extractor_that_is_broken_here_keeps_the_laws_as_it_is() -> None:
    testing.extractor(Maker(""))
