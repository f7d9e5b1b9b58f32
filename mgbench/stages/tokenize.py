"""Fit tokenizers, and encode and decode images in batches."""

import torch
from torch import Tensor

from mgbench.interfaces.images import Images, batches
from mgbench.interfaces.modules import Fitting, TokenizerModule
from mgbench.interfaces.progress import UNREPORTED, Advance

BATCH = 256
# The same for all recipes, so that models with different seeds share a tokenizer.
FIT_SEED = 0


def fit_steps(tokenizer: TokenizerModule, images: Images) -> Fitting:
    """The steps of fitting a tokenizer to images uint8 [M,C,H,W']."""
    return tokenizer.fit(images, seed=FIT_SEED)


@torch.no_grad()
def encode(
    tokenizer: TokenizerModule,
    images: Images,
    device: torch.device,
    advance: Advance = UNREPORTED,
    mirrored: bool = False,
) -> Tensor:
    """All images uint8 [M,C,H,W'], or their mirror images, as tokens, int64 [M,N] or float [M,N,D], on the device.

    `advance` is called at the start and after every batch.
    """
    parts, total = list[Tensor](), -(-len(images) // BATCH)
    advance(0, total)
    for done, batch in enumerate(batches(images, BATCH), 1):
        parts.append(tokenizer.encode((batch.flip(3) if mirrored else batch).to(device)))
        advance(done, total)
    return torch.cat(parts)


@torch.no_grad()
def decode(tokenizer: TokenizerModule, tokens: Tensor) -> Tensor:
    """Decode tokens, int64 [B,N] or float [B,N,D], to images uint8 [B,C,H,W'] on the CPU."""
    images: Tensor = tokenizer.decode(tokens)
    return images.cpu()


def reconstruct(
    tokenizer: TokenizerModule,
    images: Images,
    device: torch.device,
    batch: int = BATCH,
    advance: Advance = UNREPORTED,
) -> tuple[Tensor, Tensor]:
    """Encode and decode images uint8 [M,C,H,W']: reconstructions on the CPU, and tokens on the device.

    `advance` is called at the start and after every batch.
    """
    tokens = encode(tokenizer, images, device)
    found, parts = list[Tensor](), torch.split(tokens, batch)
    advance(0, len(parts))
    for done, part in enumerate(parts, 1):
        found.append(decode(tokenizer, part))
        advance(done, len(parts))
    return torch.cat(found), tokens
