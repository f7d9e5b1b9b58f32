"""The part of `torch.nn.Module` that the stages use, as a protocol."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Module(Protocol):
    """The part of `torch.nn.Module` that the stages use; every `torch.nn.Module` conforms."""

    training: bool

    def to(self, device: "torch.device") -> Self:
        """Move parameters and buffers to the device and return the module itself."""

    def parameters(self) -> Iterator["Tensor"]:
        """All parameters, of any shape."""

    def buffers(self) -> Iterator["Tensor"]:
        """All buffers, of any shape."""

    def state_dict(self) -> dict[str, Any]:
        """Parameters and persistent buffers by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object:
        """Copy parameters and persistent buffers from `state_dict`.

        Raises:
            RuntimeError: if a name is missing or unexpected, or a shape differs.
        """

    def requires_grad_(self, requires_grad: bool) -> Self:
        """Set whether parameters are trained, and return the module itself."""

    def eval(self) -> Self:
        """Switch to evaluation mode and return the module itself."""
