"""A device that no machine has: its tensors hold their numbers on the CPU, and behave as those of a GPU do.

Kernels refuse tensors of the CPU beside them, and what the host of a GPU would wait for is counted. The device goes by the
name `meta`, for which PyTorch asks no driver. Forward-mode derivatives are beyond it.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

from mgbench.stages import speed, train

ELSEWHERE = torch.device("meta")
ATEN = torch.ops.aten
# Kernels whose result has a size, or is a number, that only the device knows.
ASKING = (ATEN._local_scalar_dense, ATEN.nonzero, ATEN.masked_select, ATEN.equal)
INDEXING = (ATEN.index, ATEN.index_put, ATEN.index_put_)
COPIED, READ = "copied there", "read here"


class There(Tensor):
    """A tensor of the device; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "There":
        made: There = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=ELSEWHERE,
        )
        made.held = held
        return made

    @classmethod
    # Any: kernels and what they take, as PyTorch hands it on.
    def __torch_dispatch__(cls, kernel: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(kernel, args, kwargs or {}, Counter())


class Elsewhere(TorchDispatchMode):
    """While it is entered, the device is there; `waits` counts what its host waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    # Any: as above.
    def __torch_dispatch__(self, kernel: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(kernel, args, kwargs or {}, self.waits)


# Any: as above.
def run(kernel: Any, args: Any, kwargs: dict[str, Any], waits: Counter[str]) -> Any:
    """What a kernel gives, on the device where an input or the asked device is there.

    Raises:
        RuntimeError: if it is given tensors of both devices; numbers, and places to index, may be of the CPU.
    """
    packet, leaves = kernel.overloadpacket, [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    there = [x for x in leaves if isinstance(x, There)]
    places = [x for x in args[1] if x is not None] if packet in INDEXING else []
    asked = None if kwargs.get("device") is None else torch.device(kwargs["device"])
    if there and packet not in (ATEN._to_copy, ATEN.copy_):
        here = [x for x in leaves if not isinstance(x, There) and x.ndim and not any(x is each for each in places)]
        if here:
            raise RuntimeError(f"{kernel} is given tensors of two devices, here {[tuple(x.shape) for x in here]}")
    _count(packet, leaves, places, asked, waits, bool(kwargs.get("non_blocking")))
    on_cpu = {**kwargs, "device": torch.device("cpu")} if asked == ELSEWHERE else kwargs
    held = tree_map_only(There, lambda x: x.held, (args, on_cpu))
    out = kernel(*held[0], **held[1])
    goes = asked == ELSEWHERE if asked else isinstance(args[0], There) if packet is ATEN.copy_ else bool(there)
    if not goes:
        return out
    wrapped = tree_map(lambda x: There(x) if isinstance(x, Tensor) else x, out)
    return return_and_correct_aliasing(kernel, args, kwargs, wrapped) if there else wrapped


# Any: an operator, which PyTorch gives no type.
def _count(
    packet: Any, leaves: list[Tensor], places: list[Tensor], asked: torch.device | None, waits: Counter[str], late: bool
) -> None:
    there = any(isinstance(x, There) for x in leaves)
    if packet is ATEN._to_copy and asked is not None and there != (asked == ELSEWHERE) and not late:
        waits[READ if there else COPIED] += 1
    by_mask = any(place.dtype == torch.bool for place in places)
    if there and (packet in ASKING or by_mask):
        waits[packet.__name__] += 1
    waits[COPIED] += there and any(not isinstance(place, There) for place in places)


class _Generator(torch.Generator):
    """A generator of the device, whose numbers are those of the CPU."""

    device = ELSEWHERE  # type: ignore[assignment]


def _generator(device: torch.device | None = None) -> torch.Generator:
    return _Generator() if device == ELSEWHERE else torch.Generator(device or "cpu")


@contextmanager
def elsewhere() -> Iterator[Counter[str]]:
    """Context in which the device is there; what its host has waited for, by name."""
    mode, listed, made = Elsewhere(), Tensor.tolist, torch.tensor

    def tolist(tensor: Tensor) -> Any:
        mode.waits["tolist"] += isinstance(tensor, There)
        return listed(tensor.held if isinstance(tensor, There) else tensor)

    # Both build a tensor on the CPU and copy it, out of sight of modes.
    def tensor(data: Any, dtype: Any = None, device: Any = None, **more: Any) -> Tensor:
        return made(data, dtype=dtype, **more).to(device or "cpu")

    def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
        known = data if isinstance(data, Tensor) else made(data, dtype=dtype)
        return known.to(device=device or known.device, dtype=dtype or known.dtype)

    with ExitStack() as stack:
        for module, name, put in (
            (Tensor, "tolist", tolist),
            (torch, "tensor", tensor),
            (torch, "as_tensor", as_tensor),
            (train, "Generator", _generator),
            (speed, "Generator", _generator),
            (import_module("torch.optim.optimizer"), "_get_fused_kernels_supported_devices", _fused),
            (torch.utils._foreach_utils, "_get_foreach_kernels_supported_devices", _fused),
        ):
            stack.enter_context(patch.object(module, name, put))
        stack.enter_context(mode)
        yield mode.waits


def _fused() -> list[str]:
    return ["cpu", ELSEWHERE.type]
