from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mgbench import testing
from mgbench.components.networks.transformers import Transformer
from mgbench.interfaces.data import TokenSpace
from tests.laws.registered import built, every


class Broken(nn.Module):
    """A transformer with one mistake."""

    def __init__(self, law: str, space: TokenSpace, classes: int) -> None:
        super().__init__()
        self.law, self.inner = law, Transformer(width=16, depth=1).build(space, classes)
        self.width = self.inner.width + (law == "width")
        self.peek = nn.Embedding(space.codes, 16) if space.codes else nn.Linear(space.dim, 16)

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        match self.law:
            case "under the mask":
                return self.inner(tokens, mask, labels) + self.peek(tokens)
            case "visible tokens":
                return self.inner(tokens, torch.ones_like(mask), labels)
            case "the label":
                return self.inner(tokens, mask, labels.clamp_min(0))
            case "depend on its batch":
                return self.inner(tokens, mask, labels) + 0.01 * mask.float().mean()
            case "without classes":
                return self.inner(tokens, mask, labels) / (1 if self.inner.label.classes else 0)
        return self.inner(tokens, mask, labels)


class Maker:
    def __init__(self, law: str) -> None:
        self.law = law

    def build(self, space: TokenSpace, classes: int) -> Any:
        return Broken(self.law, space, classes)


@every("network")
def test_every_network_keeps_the_laws(name: str) -> None:
    testing.network(built("network", name))


@pytest.mark.parametrize(
    "law", ["width", "under the mask", "visible tokens", "the label", "depend on its batch", "without classes"]
)
def test_a_broken_network_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.network(Maker(law))


def test_the_network_that_is_broken_here_keeps_the_laws_as_it_is() -> None:
    testing.network(Maker(""))
