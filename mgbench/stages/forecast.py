"""The time of trainings and samplings, computed: operations, bytes exchanged and bytes read, at the rates of some devices.

A training step takes as long as the slowest of three things that happen at once: the arithmetic of a device's share of the
batch, the exchange of gradients (a ring all-reduce sends 2 (n − 1)/n times their bytes from each of n devices; Patarasu and
Yuan, 2009), and the reading of the next batch. Plans use it with one device, docs/scaling.md with many.
"""

import math
from dataclasses import dataclass

# Gradients are exchanged in float32.
GRADIENT_BYTES = 4


@dataclass(frozen=True)
class Devices:
    """Equal devices: operations a second that one reaches, bytes a second that one sends to its neighbour in an exchange, and
    bytes a second of training data that all of them together can read.
    """

    rate: float
    count: int = 1
    link: float = math.inf
    reading: float = math.inf


@dataclass(frozen=True)
class StepTime:
    """Seconds of the parts of a training step, which overlap."""

    compute: float
    exchange: float = 0.0
    reading: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of the step."""
        return max(self.compute, self.exchange, self.reading)

    @property
    def binds(self) -> str:
        """The part that takes longest."""
        parts = {"compute": self.compute, "exchange": self.exchange, "reading": self.reading}
        return max(parts, key=lambda name: parts[name])


def training_step(
    flops_per_image: float, batch: int, devices: Devices, parameters: int = 0, image_bytes: float = 0.0
) -> StepTime:
    """The time of a step of `batch` images over all devices, of a model with so many parameters."""
    sent = 2 * (devices.count - 1) / devices.count * GRADIENT_BYTES * parameters
    return StepTime(
        batch * flops_per_image / (devices.count * devices.rate),
        sent / devices.link,
        batch * image_bytes / devices.reading,
    )


def sampling_seconds(flops: float, devices: Devices) -> float:
    """The seconds of so many operations of sampling, whose images the devices share."""
    return flops / (devices.count * devices.rate)
