from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench import testing
from mgbench.components.tokenizers.patches import KMeans, KMeansModule, Patch, PatchModule
from tests.laws.registered import built, every


class BrokenCodes(KMeansModule):
    law = ""

    def encode(self, images: Tensor) -> Tensor:
        codes = super().encode(images)
        match self.law:
            case "must be int64":
                return codes.int()
            case "below the number":
                return codes + 1
            case "depend on its batch":
                return codes.flip(0) if len(images) == 2 else codes
        return codes

    def decode(self, tokens: Tensor) -> Tensor:
        images = super().decode(tokens)
        match self.law:
            case "uint8 images":
                return images.float()
            case "nearer than the mean":
                return images.flip(0)
        return images

    def load_state_dict(self, state: Any, *args: Any, **kwargs: Any) -> Any:
        return None if self.law == "state must hold" else super().load_state_dict(state, *args, **kwargs)


class BrokenVectors(PatchModule):
    law = ""

    def encode(self, images: Tensor) -> Tensor:
        tokens = super().encode(images)
        return tokens.flatten(1) if self.law == "as the space says" else tokens / 0 if self.law == "finite" else tokens


class Maker:
    def __init__(self, law: str, module: type[Any], *options: int) -> None:
        self.law, self.module, self.options = law, module, options

    def build(self, shape: tuple[int, int, int]) -> Any:
        made = self.module(shape, *self.options)
        made.law = self.law
        return made


@every("tokenizer")
def test_every_tokenizer_keeps_the_laws(name: str) -> None:
    testing.tokenizer(built("tokenizer", name))


@pytest.mark.parametrize(
    "law",
    [
        "must be int64",
        "below the number",
        "uint8 images",
        "nearer than the mean",
        "depend on its batch",
        "state must hold",
    ],
)
def test_broken_codes_break_their_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.tokenizer(Maker(law, BrokenCodes, 2, 16))


def test_a_lossy_second_round_is_found() -> None:
    class Fading(PatchModule):
        """Gives the first images back as they were, and darkens what it is shown after."""

        seen = 0

        def encode(self, images: Tensor) -> Tensor:
            self.seen += 1
            return super().encode(images if self.seen == 1 else images // 2)

    with pytest.raises(AssertionError, match="second round"):
        testing.tokenizer(Maker("", Fading, 2))


@pytest.mark.parametrize("law", ["as the space says", "finite"])
def test_broken_vectors_break_their_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.tokenizer(Maker(law, BrokenVectors, 2))


def test_the_modules_that_are_broken_here_keep_the_laws_as_they_are() -> None:
    testing.tokenizer(Maker("", BrokenCodes, 2, 16))
    testing.tokenizer(Maker("", BrokenVectors, 2))


@pytest.mark.parametrize("tokenizer", [Patch(1), Patch(2), Patch(4)])
def test_patches_lose_nothing(tokenizer: Patch) -> None:
    images = torch.randint(256, (9, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    module = tokenizer.build((3, 8, 8))
    assert torch.equal(module.decode(module.encode(images)), images)


def test_codes_come_back_as_they_were() -> None:
    images = torch.randint(256, (64, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    module = KMeans(codes=16).build((1, 8, 8))
    list(module.fit(images, 0))
    tokens = torch.randint(16, (40, 16), generator=torch.Generator().manual_seed(1))
    assert torch.equal(module.encode(module.decode(tokens)), tokens)
