"""Models on several ranks: a copy on each (DDP), or a part of every weight on each (FSDP)."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._pytree import tree_map_only

from mgbench.interfaces.ranks import Team

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

T = TypeVar("T")


def blocks_of(model: nn.Module) -> Iterator[nn.Module]:
    """The layers of a model that come in a list, such as transformer blocks; not the layers inside of these."""
    for child in model.children():
        yield from child if isinstance(child, nn.ModuleList) else blocks_of(child)


def held_by(team: Team, module: nn.Module, parallel: str, device: torch.device) -> nn.Module:
    """A module whose gradients are averaged over the ranks of a team; with a single rank, the module itself.

    With "ddp" every rank has a copy (arXiv:2006.15704); with "fsdp" each has 1/W of every parameter, gradient, average and
    optimizer state, and gathers a block when it is needed (arXiv:2304.11277).
    """
    if team.size == 1:
        return module
    if parallel == "fsdp":
        return _sharded(module, team.size, device)
    places = [device.index or 0] if device.type == "cuda" else None
    # A batch need not use every parameter; and buckets that stay as they are sum in the same order after a resume.
    return DistributedDataParallel(module, device_ids=places, find_unused_parameters=True)


def _sharded(module: nn.Module, size: int, device: torch.device) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (size,))
    for block in blocks_of(module):
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


def adding_up(module: nn.Module, last: bool) -> AbstractContextManager[Any]:
    """Context in which gradients stay on their rank, unless this is the `last` part of a batch."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()


def whole(state: T) -> T:
    """Nested values with full tensors in place of the parts on each rank; every rank must call this."""
    found: T = tree_map_only(Tensor, lambda part: part.full_tensor() if _is_part(part) else part, state)
    return found


def as_held(value: Tensor, like: Tensor) -> Tensor:
    """A full tensor of any shape that every rank has, distributed like the tensor `like`."""
    if not _is_part(like):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def _is_part(value: Tensor) -> "TypeGuard[DTensor]":
    """True for a DTensor, whose module takes a second to import and has been imported where there is one."""
    found = sys.modules.get("torch.distributed.tensor")
    return found is not None and isinstance(value, found.DTensor)
