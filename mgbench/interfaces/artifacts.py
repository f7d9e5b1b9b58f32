"""The finished row that is passed to the `artifacts` of components."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FinishedRow:
    """A row that was drawn and scored, before it is recorded.

    `key` is its key and `method` its method; `recipe` has every field in full (None for kinds that are not used).
    `images` uint8 [M,C,H,W'] and `labels` int64 [M] (-1: none) are all scored images, on the CPU; `scores` and `costs`
    are by name.
    """

    key: str
    method: str
    recipe: Mapping[str, Any]
    images: "Tensor"
    labels: "Tensor"
    scores: Mapping[str, float]
    costs: Mapping[str, float]
