from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from mgbench import testing
from mgbench.testing.toys import Independent
from tests.laws.registered import built, every


class Broken:
    """The toy masking with one mistake."""

    def __init__(self, law: str) -> None:
        self.law = law

    def draw(self, schedule: Any, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        mask, t = Independent().draw(schedule, batch, tokens, generator)
        match self.law:
            case "must be bool":
                mask = mask.float()  # type: ignore[assignment]
            case "times must be":
                t = t[:, None]
            case "a masked token":
                mask[0] = False
            case "same generator":
                mask[0, torch.randint(tokens, ()).item() : tokens] = True
                mask[0, 0] = torch.rand(()) < 0.5
                mask[0, -1] = True
            case "mean share":
                mask |= torch.rand(mask.shape, generator=generator) < 0.2
            case "no position":
                mask = mask.sort(1, descending=True).values
            case "an only token":
                mask &= torch.tensor(tokens > 1)
        return mask, t


@every("masking")
def test_every_masking_keeps_the_laws(name: str) -> None:
    testing.masking(built("masking", name))


@pytest.mark.parametrize(
    "law",
    ["must be bool", "times must be", "a masked token", "same generator", "mean share", "no position", "only token"],
)
def test_a_broken_masking_breaks_its_law(law: str) -> None:
    torch.manual_seed(0)
    broken = Broken("an only token" if law == "only token" else law)
    with pytest.raises(AssertionError, match="must have a masked token|only token" if law == "only token" else law):
        testing.masking(broken)


def test_the_toy_keeps_the_laws() -> None:
    testing.masking(Broken(""))
