"""Judge images: one pass through the extractor, then every metric on the same features."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features

BATCH = 256


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Full float32 products (no TF32), so that features do not depend on the kind of GPU."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@torch.no_grad()
def extract(
    extractor: Any, images: Tensor, labels: Tensor | None, device: torch.device, batch: int = BATCH
) -> Features:
    """Features, logits and spatial features float64 on the CPU of images uint8 [M,C,H,W'].

    Grey images are shown in three equal channels.
    """
    shown = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    with exact_arithmetic():
        parts = [_kept(extractor(part.to(device))) for part in torch.split(shown, batch)]
    joined = {name: _joined([part[name] for part in parts]) for name in ("features", "logits", "spatial")}
    return Features(**joined, labels=labels, images=shown, extractor=extractor)


def _kept(said: Features) -> dict[str, Tensor | None]:
    found = {"features": said.features, "logits": said.logits, "spatial": said.spatial}
    return {name: None if numbers is None else numbers.cpu() for name, numbers in found.items()}


def _joined(parts: list[Tensor | None]) -> Any:
    numbers = [part for part in parts if part is not None]
    return torch.cat(numbers).double() if numbers else None


# Below this many images a feature, the bias of a Fréchet distance is of the size of the differences people look for.
IMAGES_PER_FEATURE = 10


@dataclass(frozen=True)
class Judgement:
    """Scores by name, and why the metrics that are missing were left out."""

    scores: dict[str, float]
    left_out: tuple[str, ...] = ()


def judge(metrics: Iterable[Metric], generated: Features, reference: Features, extractor: str) -> Judgement:
    """Every metric's numbers, each named with the extractor it saw through, `fid[digits_cnn]`, unless that is no name."""
    scores: dict[str, float] = {}
    left_out: list[str] = []
    for metric in metrics:
        try:
            with exact_arithmetic():
                said = metric(generated, reference)
        except Unfit as reason:
            left_out.append(str(reason))
            continue
        scores |= {f"{name}[{extractor}]" if extractor else name: float(value) for name, value in said.items()}
    return Judgement(scores, tuple(left_out))


def small_sample_warning(count: int, dim: int) -> str | None:
    """What to say next to a Fréchet distance of `count` images by `dim` features; None if there are enough of them."""
    enough = IMAGES_PER_FEATURE * dim
    if count <= dim:
        return (
            f"{count} images for {dim} features: the covariance is singular, and the Fréchet distance says more about "
            f"the number of images than about the images; use at least {enough}, or read kid instead"
        )
    if count < enough:
        return (
            f"{count} images for {dim} features: the Fréchet distance is biased upward; use at least {enough}, "
            "and compare equal numbers only"
        )
    return None
