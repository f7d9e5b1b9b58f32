"""Devices of this machine: parse --devices, and group devices by trial."""

import re
from collections.abc import Iterable

import torch

from mgbench.errors import UserError
from mgbench.machine import cores
from mgbench.trials.plan import Trial

_ASKED = re.compile(r"(?P<kind>auto|cpu|cuda)(:(?P<number>\d+))?")


def slots(devices: str) -> list[str]:
    """The devices named by a list such as `cuda:0,cuda:1`, one for each trial that may run at once.

    `auto` is every GPU, or where there is none every core; `cuda` every GPU and `cuda:1` the second; `cpu` a slot for each core
    and `cpu:2` two of them. A device that is named twice takes two trials at once.

    Raises:
        UserError: if there is no such device.
    """
    return [slot for name in devices.split(",") for slot in _slots(name.strip())]


def first_device(devices: str) -> torch.device:
    """The first of the devices that a list names, for work on one of them; raises as `slots`."""
    return torch.device(slots(devices)[0])


def _slots(name: str) -> list[str]:
    asked = _ASKED.fullmatch(name)
    found: list[str] = []
    if asked and asked["kind"] == "cpu":
        found = ["cpu"] * (int(asked["number"]) if asked["number"] else cores())
    elif asked and asked["kind"] == "cuda":
        found = [slot for slot in cuda_slots() if name in (slot, "cuda")]
    elif asked and not asked["number"]:
        found = cuda_slots() or _slots("cpu")
    if not found:
        raise UserError(f"cannot run on {name!r}: {_there()}")
    return found


def _there() -> str:
    known = cuda_slots()
    return f"there are {', '.join(known)} and cpu" if known else "this machine has no CUDA device; take cpu"


def groups(devices: str, each: int) -> list[tuple[str, ...]]:
    """The devices named by `devices`, grouped by `each` to a trial; a remainder smaller than `each` is left unused.

    Raises:
        UserError: if there is no such device, there are not enough of them for one trial, or one would be leased two that
            cannot work together.
    """
    found = slots(devices)
    if len(found) < each:
        raise UserError(
            f"--devices-per-trial {each} takes more devices than the {len(found)} of --devices {devices}; name more, such as "
            f"--devices cpu:{each}, or take fewer for each trial"
        )
    leased = [tuple(found[first : first + each]) for first in range(0, len(found) - each + 1, each)]
    for group in leased:
        if set(group) != {"cpu"} and ("cpu" in group or len(set(group)) < each):
            raise UserError(
                f"--devices-per-trial {each} would lease {' and '.join(group)} to one trial; name as many different GPUs, or "
                "CPUs only"
            )
    return leased


def check_batches(trials: Iterable[Trial], each: int) -> None:
    """Refuse, before anything runs, trials whose batch cannot be split equally among their devices.

    Raises:
        UserError: if a batch is no multiple of the devices of a trial.
    """
    for trial in trials:
        size = trial.rows[0].assembly.recipe.batch_size
        if trial.about == "images" and size % each:
            fitting = [str(count) for count in range(1, each) if size % count == 0]
            raise UserError(
                f"the batch_size of {trial.name} is {size}, which {each} devices cannot share equally; take "
                f"--devices-per-trial {' or '.join(fitting)}, or --set batch_size={-(-size // each) * each}"
            )


def cuda_slots() -> list[str]:
    """The CUDA devices, `cuda:0` and so on; empty without a GPU."""
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
