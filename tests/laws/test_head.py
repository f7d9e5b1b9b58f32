from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from mgbench import testing
from mgbench.components.heads.categorical import Categorical, CategoricalModule
from mgbench.components.heads.diffusion import DiffusionMLP
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Drawn
from tests.laws.registered import built, every


class BrokenCodes(CategoricalModule):
    law = ""

    def loss(self, z: Tensor, values: Tensor, generator: Generator) -> Tensor:
        losses = super().loss(z, values, generator)
        match self.law:
            case "loss must be":
                return losses.mean()
            case "same loss":
                return losses + torch.rand(())
            case "a gradient in z":
                return super().loss(z.detach() + 0 * z, values, generator)
        return losses

    def sample(
        self, z: Tensor, z_uncond: Tensor | None, scale: float, rng: Streams, parts: Parts, temperature: float = 1.0
    ) -> Any:
        if self.law == "same values":
            rng = rng.fold(torch.randint(1000, ()))
        if self.law == "depend on its batch":
            rng = Streams.root(0, "all").fold(torch.arange(len(z)))
        if self.law == "scale 1" and z_uncond is not None:
            scale += 1
        if self.law == "scale 0":
            scale = 1.0
        drawn = super().sample(z, z_uncond, scale, rng, parts, 1.0 if self.law == "temperature 0" else temperature)
        match self.law:
            case "int64":
                return replace(drawn, values=drawn.values.int())
            case "below the number":
                return replace(drawn, values=drawn.values + 1)
            case "logits must be":
                return replace(drawn, logits=None)
            case "must be float64":
                return replace(drawn, logits=drawn.logits.float())
            case "log-probabilities":
                return replace(drawn, log_p=drawn.log_p.exp())
        return drawn


class BrokenVectors(DiffusionMLP):
    law = ""

    def sample(self, *options: Any) -> Any:
        values = super().sample(*options).values
        return Drawn(values[:, 0] if self.law == "R,D" else values / 0)


class Maker(Categorical):
    law = ""

    def build(self, space: TokenSpace, width: int) -> Any:
        made = BrokenCodes(self, space.codes or 0, width)
        made.law = self.law
        return made


class VectorMaker:
    law = ""

    def check(self, parts: Parts, space: TokenSpace) -> None:
        from mgbench.components.heads.diffusion import Diffusion

        Diffusion().check(parts, space)

    def build(self, space: TokenSpace, width: int) -> Any:
        made = BrokenVectors(space.dim, width, 8, 1, 1)
        made.law = self.law
        return made


def broken(maker: type[Any], mistake: str) -> Any:
    class Mistaken(maker):  # type: ignore[misc]
        law = mistake

    return Mistaken()


@every("head")
def test_every_head_keeps_the_laws(name: str) -> None:
    testing.head(built("head", name))


@pytest.mark.parametrize(
    "law",
    [
        "loss must be",
        "same loss",
        "a gradient in z",
        "same values",
        "depend on its batch",
        "scale 1",
        "scale 0",
        "int64",
        "below the number",
        "logits must be",
        "must be float64",
        "log-probabilities",
        "temperature 0",
    ],
)
def test_a_broken_head_of_codes_breaks_its_law(law: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=law):
        testing.head(broken(Maker, law))


@pytest.mark.parametrize("law", ["R,D", "finite"])
def test_a_broken_head_of_vectors_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.head(broken(VectorMaker, law))


def test_a_head_that_takes_no_tokens_at_all_is_refused() -> None:
    class Picky(Categorical):
        def check(self, parts: Parts, space: TokenSpace) -> None:
            super().check(parts, TokenSpace(1, 1))

    with pytest.raises(AssertionError, match="tokens of some kind"):
        testing.head(Picky())
