"""Codes split into digits, each of which is a token (MDM-Prime, arXiv:2505.18495; MaskBit, arXiv:2409.16211)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Tokenizer
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.images import Images
from mgbench.interfaces.modules import Fitting, TokenizerModule
from mgbench.recipes.spec import Part

Base = Annotated[int, Ge(2)]


class SubtokensModule(nn.Module):
    """The codes of another tokenizer, each as `digits` digits in a base, most significant first."""

    def __init__(self, inner: TokenizerModule, base: int) -> None:
        super().__init__()
        if inner.space.codes is None:
            raise Unfit("subtokens writes codes as digits, and the tokenizer in it makes vectors; take of=kmeans")
        self.inner, self.base, self.highest = inner, base, inner.space.codes - 1
        self.digits = 1
        while base**self.digits <= self.highest:
            self.digits += 1
        # No grid, because the digits of a code share its position.
        self.space = TokenSpace(inner.space.length * self.digits, 1, base)

    def fit(self, images: Images, seed: int) -> Fitting:
        return self.inner.fit(images, seed)

    def encode(self, images: Tensor) -> Tensor:
        codes = self.inner.encode(images)
        return (codes[..., None] // self._places(codes.device) % self.base).flatten(1)

    def decode(self, tokens: Tensor) -> Tensor:
        """Decode digits int64 [B,N] to images uint8 [B,C,H,W']; digits that are not a code count as the last code."""
        places = self._places(tokens.device)
        codes = (tokens.reshape(len(tokens), -1, self.digits) * places).sum(-1)
        return self.inner.decode(codes.clamp_max(self.highest))

    def _places(self, device: torch.device) -> Tensor:
        return self.base ** torch.arange(self.digits - 1, -1, -1, device=device)


@dataclass(frozen=True)
class Subtokens:
    """The codes of another tokenizer as digits in a `base`, which are masked separately (MDM-Prime, arXiv:2505.18495).

    With base 2, every bit is a token; with the square root of the number of codes as base, each code has two digits
    (MaskBit).
    """

    of: Annotated[Tokenizer, Part("tokenizer")]
    base: Base = 2

    def build(self, shape: tuple[int, int, int]) -> SubtokensModule:
        return SubtokensModule(self.of.build(shape), self.base)


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {"subtokens": Subtokens}
