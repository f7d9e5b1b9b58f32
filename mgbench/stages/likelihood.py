"""Bits per dimension: an upper bound on the code length of the tokens of held-out images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn

from mgbench.interfaces import optional
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED, ImageData, TokenSpace
from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.interfaces.randomness import derive
from mgbench.interfaces.scores import ScoreInfo
from mgbench.stages.tokenize import encode

ROUNDS, BATCH = 16, 256
DECLARED = {"bits_per_dim": ScoreInfo("Bits per dimension", "lower", of="tokens")}


@dataclass(frozen=True)
class Bound:
    """`bits_per_dim` in `scores` and its Monte-Carlo standard error in `costs`; both empty if there is no bound."""

    scores: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)


@torch.no_grad()
def held_out_bound(
    parts: Parts,
    module: nn.Module,
    tokenizer: TokenizerModule,
    data: ImageData,
    seed: int,
    device: torch.device,
    advance: Advance = UNREPORTED,
) -> Bound:
    """The bound of a trained model on the held-out images, in bits per number of an image (C·H·W').

    It is a bound for tokens and ignores the loss of the tokenizer, so it compares models with the same tokenizer. It is
    the mean of `ROUNDS` passes with different masks; the standard error is that of this mean. `advance` is called after
    every pass.
    """
    bound = optional.likelihood_bound(parts.process)
    if bound is None:
        return Bound()
    tokens, labels = encode(tokenizer, data.test, device), _labels(parts, data).to(device)
    nats = []
    for number in range(ROUNDS):
        generator = Generator(device).manual_seed(derive(seed, f"bound/{number}"))
        drawn = _one_round(bound, parts, module, tokenizer.space, tokens, labels, generator)
        if drawn is None:
            return Bound()
        nats.append(drawn.double().mean().item())
        advance(number + 1, ROUNDS)
    bits = torch.tensor(nats, dtype=torch.float64) / (math.prod(data.shape) * math.log(2))
    error = bits.std().item() / math.sqrt(ROUNDS)
    return Bound({"bits_per_dim": bits.mean().item()}, {"bits_per_dim_error": error})


def _one_round(
    bound: optional.Bound,
    parts: Parts,
    module: nn.Module,
    space: TokenSpace,
    tokens: Tensor,
    labels: Tensor,
    generator: Generator,
) -> Tensor | None:
    """The bound [M] of every image in nats; None if the model has none."""
    drawn = []
    for rows in torch.split(torch.arange(len(tokens), device=tokens.device), BATCH):
        nats = bound(module, parts, space, tokens[rows], labels[rows], generator)
        if nats is None:
            return None
        drawn.append(nats)
    return torch.cat(drawn)


def _labels(parts: Parts, data: ImageData) -> Tensor:
    if parts.labels and data.test_labels is not None:
        return data.test_labels
    return torch.full((len(data.test),), UNLABELLED)
