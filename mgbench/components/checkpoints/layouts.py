"""Layouts of checkpoints: the tensor names of other code bases, and conversions to and from ours."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from torch import Tensor

from mgbench.components.checkpoints.halton import HaltonLayout
from mgbench.components.checkpoints.mar import MarLayout
from mgbench.components.checkpoints.others import DeTokFile, MaskGitV1
from mgbench.components.checkpoints.reading import Reading
from mgbench.errors import UserError

State = Mapping[str, Tensor]


class CheckpointLayout(Protocol):
    """The tensor names and shapes with which a code base stores a model."""

    name: str
    about: str

    def recognise(self, names: Collection[str]) -> bool:
        """Whether these tensor names belong to this layout, even if some are missing or unexpected."""

    def read(self, state: State, source: str, given: Mapping[str, Any]) -> Reading:
        """Read the model in a state dict; `given` has options of the network that do not follow from shapes.

        Raises:
            UserError: if a tensor is missing, unexpected or misshapen, or an option has to be given.
        """

    def write(self, tensors: State, beside: State) -> dict[str, Tensor]:
        """The state dict of a model, tensors of any shape, equal to the one that `read` accepts.

        Raises:
            UserError: if this layout cannot store the model.
        """


# Layouts of models that a network here loads, and all that are recognised.
LOADED: tuple[CheckpointLayout, ...] = (MarLayout(), HaltonLayout())
LAYOUTS: tuple[CheckpointLayout, ...] = (*LOADED, DeTokFile(), MaskGitV1())


def layout_of(names: Collection[str], source: str) -> CheckpointLayout:
    """The layout of a state dict with these names.

    Raises:
        UserError: if no layout recognises them.
    """
    for layout in LAYOUTS:
        if layout.recognise(names):
            return layout
    known = "; ".join(layout.about for layout in LAYOUTS)
    first = ", ".join(list(names)[:3])
    raise UserError(f"{source} is of no layout that is known ({known}); its tensors are called {first}, …")


def layout_named(name: str) -> CheckpointLayout:
    """A layout by its name."""
    return next(layout for layout in LAYOUTS if layout.name == name)
