"""A model as it is read from a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mgbench.interfaces.data import TokenSpace


@dataclass(frozen=True)
class Reading:
    """A model under our names.

    `fields` are those of a recipe that build and sample it, `tensors` its weights, `beside` tensors under their published
    names that no part of our model holds; the model knows so many `classes` and tokens of the `space`.
    """

    fields: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    classes: int
    space: TokenSpace
    beside: Mapping[str, Tensor] = field(default_factory=dict)
