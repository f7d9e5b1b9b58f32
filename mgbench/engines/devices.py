"""Which devices there are to lease."""

import os

import torch

from mgbench.errors import UserError


def cpu_slots(jobs: int = 0) -> list[str]:
    """One slot for each core this process may use, or as many as asked for."""
    may_use = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return ["cpu"] * (jobs or len(may_use))


def cuda_slots() -> list[str]:
    """One slot for each GPU; none where there is none."""
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def named_slots(device: str) -> list[str]:
    """The slots of a device that was named: all GPUs for `cuda`, one for `cuda:1`.

    Raises:
        UserError: if there is no such device.
    """
    slots = cuda_slots()
    if device == "cuda" and slots:
        return slots
    if device in slots:
        return [device]
    there = f"there are {', '.join(slots)} and cpu" if slots else "this machine has no CUDA device; take --device cpu"
    raise UserError(f"cannot run on {device!r}: {there}")
