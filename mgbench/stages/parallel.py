"""Models that the ranks of a team hold in training: a copy each (DDP), or each a part of every weight (FSDP)."""

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
    """A module whose gradients are means over the ranks of a team; alone, the module as it is.

    "ddp" leaves every rank the whole of it (arXiv:2006.15704); "fsdp" leaves each 1/W of every parameter, gradient, average and
    state of the optimizer, and puts a block together where it is needed (arXiv:2304.11277).
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
    """Inside the `with`, gradients stay with their rank, unless this is the `last` part of a batch."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()


def whole(state: T) -> T:
    """Nested values with every tensor whole, of which each rank holds a part; every rank must ask."""
    found: T = tree_map_only(Tensor, lambda part: part.full_tensor() if _is_part(part) else part, state)
    return found


def as_held(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor that every rank has, as this rank holds the tensor `like`; both are of any shape."""
    if not _is_part(like):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def _is_part(value: Tensor) -> "TypeGuard[DTensor]":
    """True for a DTensor, whose module takes a second to import and has been imported where there is one."""
    found = sys.modules.get("torch.distributed.tensor")
    return found is not None and isinstance(value, found.DTensor)
