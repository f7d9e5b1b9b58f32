"""Layouts of checkpoints: which names the tensors of a file have, and what they are called here."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from torch import Tensor

from mgbench.components.checkpoints.others import MaskGitV1, MaskGitV2
from mgbench.components.checkpoints.published import MarLayout
from mgbench.components.checkpoints.reading import Reading
from mgbench.errors import UserError

State = Mapping[str, Tensor]


class CheckpointLayout(Protocol):
    """The names and shapes under which some code stores a model."""

    name: str
    about: str

    def recognise(self, names: Collection[str]) -> bool:
        """Whether tensors of these names are of this layout, however many are missing or left over."""

    def read(self, state: State, source: str, told: Mapping[str, Any]) -> Reading:
        """The model in a state dict; `told` are options of the network that no shape tells.

        Raises:
            UserError: if a tensor is missing, left over or misshapen, or something has to be told.
        """

    def write(self, tensors: State, beside: State) -> dict[str, Tensor]:
        """The state dict of a model, exactly as `read` was given it.

        Raises:
            UserError: if the model is none that this layout stores.
        """


LAYOUTS: tuple[CheckpointLayout, ...] = (MarLayout(), MaskGitV2(), MaskGitV1())


def layout_of(names: Collection[str], source: str) -> CheckpointLayout:
    """The layout of tensors of these names.

    Raises:
        UserError: if it is none of those that are known.
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
