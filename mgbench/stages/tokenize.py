"""Images to tokens and back, in batches that fit."""

import torch
from torch import Tensor

from mgbench.interfaces.images import Images, batches
from mgbench.interfaces.modules import Fitting, TokenizerModule

BATCH = 256
# One for all recipes, so that models of different seeds share a tokenizer.
FIT_SEED = 0


def fit_steps(tokenizer: TokenizerModule, images: Images) -> Fitting:
    """The steps of fitting a tokenizer to images uint8 [M,C,H,W']."""
    return tokenizer.fit(images, seed=FIT_SEED)


@torch.no_grad()
def encode(tokenizer: TokenizerModule, images: Images, device: torch.device) -> Tensor:
    """All images uint8 [M,C,H,W'] as tokens, int64 [M,N] or float [M,N,D], on the device."""
    return torch.cat([tokenizer.encode(batch.to(device)) for batch in batches(images, BATCH)])


@torch.no_grad()
def decode(tokenizer: TokenizerModule, tokens: Tensor) -> Tensor:
    """Tokens as images uint8 [B,C,H,W'] on the CPU."""
    images: Tensor = tokenizer.decode(tokens)
    return images.cpu()


def reconstruct(
    tokenizer: TokenizerModule, images: Images, device: torch.device, batch: int = BATCH
) -> tuple[Tensor, Tensor]:
    """Images uint8 [M,C,H,W'] as they come back from their tokens, on the CPU; and the tokens, on the device."""
    tokens = encode(tokenizer, images, device)
    return torch.cat([decode(tokenizer, part) for part in torch.split(tokens, batch)]), tokens
