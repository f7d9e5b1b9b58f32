"""Images to tokens and back, in batches that fit."""

from typing import Any

import torch
from torch import Tensor

BATCH = 1024


@torch.no_grad()
def encode(tokenizer: Any, images: Tensor, device: torch.device) -> Tensor:
    """All images uint8 [M,C,H,W'] as tokens, int64 [M,N] or float [M,N,D], on the device."""
    return torch.cat([tokenizer.encode(batch.to(device)) for batch in torch.split(images, BATCH)])


@torch.no_grad()
def decode(tokenizer: Any, tokens: Tensor) -> Tensor:
    """Tokens as images uint8 [B,C,H,W'] on the CPU."""
    images: Tensor = tokenizer.decode(tokens)
    return images.cpu()
