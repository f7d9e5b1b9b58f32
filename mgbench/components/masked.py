"""How does an unfinished image become a finished one? By masking tokens in training and revealing them in sampling.

MaskGIT, MAR, masked diffusion and eMIGM are this one process (eMIGM, arXiv:2503.07197, Eq. 7); what tells them apart is
asked, once each, of the components.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from mgbench.hookspecs import hookimpl
from mgbench.kinds import UNLABELLED, Parts, Request, Solver, State, TokenSpace
from mgbench.spec import Share
from mgbench.streams import Streams


class MaskedModel(nn.Module):
    """A network, which looks at the visible tokens, and a head, which draws the values of masked ones."""

    def __init__(self, network: Any, head: Any) -> None:
        super().__init__()
        self.network, self.head = network, head


@dataclass(frozen=True)
class Masked:
    """Masked image generation; a share `label_drop` of the training images is shown without its label, for guidance."""

    label_drop: Share = 0.1
    asks: ClassVar[tuple[str, ...]] = (
        "network",
        "head",
        "mask_schedule",
        "masking",
        "loss_weighting",
        "sampling_schedule",
        "sampler",
        "guidance_schedule",
    )

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> MaskedModel:
        network = parts.network.build(space, classes)
        return MaskedModel(network, parts.head.build(space, network.width))

    def loss(self, model: Any, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        batch, length = tokens.shape[:2]
        mask, t = parts.masking.draw(parts.mask_schedule, batch, length, generator)
        dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < self.label_drop
        z = model.network(tokens, mask, labels.masked_fill(dropped, UNLABELLED))
        losses = model.head.loss(z[mask], tokens[mask], generator)
        weights = parts.loss_weighting(parts.mask_schedule, t)[:, None].expand_as(mask)[mask]
        loss: Tensor = (weights * losses).mean()
        return loss

    def sample(self, model: Any, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        state = _all_masked(space, request.labels)
        solver = getattr(parts, "solver", None)
        for step in parts.sampler.plan(parts.sampling_schedule, space.length, request.steps, request.shared):
            scale = parts.guidance_schedule(step)
            z, z_uncond = _look(model, state, request.labels, scale)
            value = _Values(model.head, z, z_uncond, scale, request.images.fold(1).fold(step.index), solver)
            if parts.sampler.needs_confidence:
                values, log_p = value.at(state.mask)
                then = parts.sampler.choose(state.mask, _spread(log_p, state.mask), step, request.images)
                values = values[(state.mask & ~then)[state.mask]]
            else:
                then = parts.sampler.choose(state.mask, None, step, request.images)
                values, _ = value.at(state.mask & ~then)
            state = _reveal(state, then, values)
            yield state


@dataclass(frozen=True)
class _Values:
    """Draws values at chosen positions of one step."""

    head: Any
    z: Tensor
    z_uncond: Tensor | None
    scale: float
    draws: Streams
    solver: Solver | None

    def at(self, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values and log-probabilities at `chosen` [B,N], each from the stream of its image and position."""
        places = torch.arange(chosen.shape[1], device=chosen.device)
        streams = self.draws[:, None].fold(places)[chosen]
        without = None if self.z_uncond is None else self.z_uncond[chosen]
        values, log_p = self.head.sample(self.z[chosen], without, self.scale, streams, self.solver)
        return values, log_p


def _spread(log_p: Tensor | None, mask: Tensor) -> Tensor | None:
    """Log-probabilities of the masked tokens back at their places [B,N]."""
    if log_p is None:
        return None
    return torch.zeros(mask.shape, dtype=log_p.dtype, device=mask.device).masked_scatter(mask, log_p)


def _all_masked(space: TokenSpace, labels: Tensor) -> State:
    batch, device = len(labels), labels.device
    mask = torch.ones(batch, space.length, dtype=torch.bool, device=device)
    if space.codes:
        return State(torch.zeros(batch, space.length, dtype=torch.int64, device=device), mask)
    return State(torch.zeros(batch, space.length, space.dim, device=device), mask)


def _look(model: Any, state: State, labels: Tensor, scale: float) -> tuple[Tensor, Tensor | None]:
    """The network's z with the labels, and without them where guidance needs it; then both halves are one batch."""
    if scale == 1:
        return model.network(state.tokens, state.mask, labels), None
    without = torch.full_like(labels, UNLABELLED)
    twice = torch.cat([state.tokens, state.tokens]), torch.cat([state.mask, state.mask]), torch.cat([labels, without])
    z, z_uncond = model.network(*twice).chunk(2)
    return z, z_uncond


def _reveal(state: State, then: Tensor, values: Tensor) -> State:
    """Set the values that become visible, and blank the tokens that are masked again."""
    tokens = state.tokens.clone()
    tokens[state.mask & ~then] = values.to(tokens.dtype)
    tokens[then] = 0
    return State(tokens, then)


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"masked": Masked}
