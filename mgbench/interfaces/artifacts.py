"""The finished row that a component may keep artifacts of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FinishedRow:
    """A row that was drawn and scored, and is about to be recorded.

    `key` names it in the results folder and `method` is its method; `recipe` holds every field spelled out (None where nothing
    asks the kind). `images` uint8 [M,C,H,W'] and `labels` int64 [M] (-1: none) are all that were scored, on the CPU; `scores`
    and `costs` are by name.
    """

    key: str
    method: str
    recipe: Mapping[str, Any]
    images: "Tensor"
    labels: "Tensor"
    scores: Mapping[str, float]
    costs: Mapping[str, float]
