"""Measured speeds of methods: one sealed file for each recipe on each device, the newest measurement of it."""

import contextlib
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mgbench.results.files import write_text
from mgbench.results.layout import Layout
from mgbench.results.schema import Corrupt, read_sealed, seal

# Words behind the name of a processor, such as its number of threads.
_BEHIND = " ("


@dataclass(frozen=True)
class Speed:
    """The time that a recipe takes on a device, measured on an untrained model.

    `recipe` holds every field in full; `costs` are counts, seconds and bytes by name (`mgbench.trials.speed`), `parts` the
    seconds of an image by the part of sampling that takes them, `left_out` the reasons for what could not be measured, and
    `origin` machine, versions, command and time.
    """

    key: str
    method: str
    recipe: dict[str, Any]
    costs: dict[str, float]
    parts: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The name of the device, of a processor without its number of threads."""
        return plain_device(str(self.origin.get("device", "")))


def plain_device(name: str) -> str:
    """The name of a device without the number of threads."""
    return name.partition(_BEHIND)[0]


def save_speed(layout: Layout, speed: Speed) -> None:
    """Write a measurement in the place of an older one of the same recipe and device.

    Raises:
        Unwritable: if the folder cannot be written.
    """
    write_text(layout.speed(speed.key), seal(dataclasses.asdict(speed)))


def load_speed(path: Path) -> Speed:
    """Read one measurement.

    Raises:
        Corrupt: if the file is truncated, modified, or no measurement.
        FileNotFoundError: if there is none.
        Newer: if a newer version of mgbench wrote it.
    """
    try:
        return Speed(**read_sealed(path))
    except TypeError:
        raise Corrupt("it does not hold a measurement") from None


def stored_speeds(layout: Layout) -> list[Speed]:
    """Every readable measurement, by method and batch; `mgbench doctor` reports the others."""
    found = []
    for path in layout.speed("x").parent.glob("*.json"):
        with contextlib.suppress(Corrupt, FileNotFoundError):
            found.append(load_speed(path))
    return sorted(found, key=lambda speed: (speed.method, speed.recipe.get("batch_size") or 0, speed.key))
