"""What the other libraries are asked about: held-out digits with some noise on them, and the digits to train on."""

from functools import cache
from typing import Any

import torch

from mgbench.components.datasets.embedded import Digits
from mgbench.components.extractors.embedded import DigitsCnn
from mgbench.interfaces.data import Features
from mgbench.stages.extract import extract

CPU = torch.device("cpu")


@cache
def digits() -> tuple[Features, Features]:
    """Noisy digits [500] and real ones [1297], and all that the extractor says of them."""
    data, network = Digits().load(), DigitsCnn().build()
    noise = torch.randn(data.test.shape, generator=torch.Generator().manual_seed(0))
    noisy = (data.test + 20 * noise).round().clamp(0, 255).to(torch.uint8)
    return seen(network, noisy), seen(network, data.train)


def seen(network: Any, images: torch.Tensor) -> Features:
    """Images and what an extractor says of them."""
    return extract(network, images, None, CPU)


class Blind:
    """An extractor that says nothing, not even how large its images are."""

    id = "blind@0000"

    def parameters(self) -> list[torch.Tensor]:
        return []

    buffers = parameters
