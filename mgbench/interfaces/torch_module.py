"""Protocol of `torch.nn.Module`, as much of it as a run uses; whatever inherits from it conforms."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Module(Protocol):
    """The part of `torch.nn.Module` that a run uses."""

    training: bool

    def to(self, device: "torch.device") -> Self:
        """The module itself, its parameters and buffers moved to the device."""

    def parameters(self) -> Iterator["Tensor"]:
        """Every parameter, of any shape, once."""

    def buffers(self) -> Iterator["Tensor"]:
        """Every buffer, of any shape, once."""

    def state_dict(self) -> dict[str, Any]:
        """Parameters and persistent buffers by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object:
        """Take over parameters and persistent buffers.

        Raises:
            RuntimeError: if a name is missing or left over, or a shape differs.
        """

    def requires_grad_(self, requires_grad: bool) -> Self:
        """The module itself, its parameters to be trained or not."""

    def eval(self) -> Self:
        """The module itself in evaluation mode."""
