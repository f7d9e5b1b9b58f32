"""Judge images: one pass through the extractor, then every metric on the same features."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mgbench.kinds import Features, Metric

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
def extract(extractor: Any, images: Tensor, labels: Tensor | None, device: torch.device) -> Features:
    """Features and logits float64 on the CPU of images uint8 [M,C,H,W'] (grey ones are shown in three equal channels)."""
    parts: list[Features] = []
    with exact_arithmetic():
        for batch in torch.split(images, BATCH):
            shown = batch.expand(-1, 3, -1, -1) if batch.shape[1] == 1 else batch
            parts.append(extractor(shown.to(device)))
    features = torch.cat([part.features for part in parts]).double().cpu()
    logits = [part.logits for part in parts if part.logits is not None]
    return Features(features, torch.cat(logits).double().cpu() if logits else None, labels)


def judge(metrics: Iterable[Metric], generated: Features, reference: Features, extractor: str) -> Mapping[str, float]:
    """Every metric's numbers, each named with the extractor it saw through: `fid[digits_cnn]`."""
    return {
        f"{name}[{extractor}]": float(value)
        for metric in metrics
        for name, value in metric(generated, reference).items()
    }
