"""The result of reading a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mgbench.interfaces.data import TokenSpace


@dataclass(frozen=True)
class Reading:
    """A model read from a checkpoint, with our tensor names.

    `fields` are the recipe fields that build and sample it, `tensors` its weights, `beside` tensors that our model does
    not have, with their original names; `classes` and `space` are its number of classes and its tokens.
    """

    fields: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    classes: int
    space: TokenSpace
    beside: Mapping[str, Tensor] = field(default_factory=dict)
