"""The masked process: tokens are masked in training and revealed in sampling.

MaskGIT, MAR, masked diffusion and eMIGM are this one process (eMIGM, arXiv:2503.07197, Eq. 7); what tells them apart is
asked, once each, of the components.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import torch
from torch import Generator, Tensor, nn

from mgbench.components.processes.prediction_cache import PredictionCache
from mgbench.components.schedules.guidance_schedules import advise_label_drop
from mgbench.components.schedules.maskings import draw_levels, draw_positions
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import HeadModule, Parts
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.modules import NetworkModule
from mgbench.interfaces.optional import log_likelihood, selects, solver_of_step, value_temperature
from mgbench.interfaces.sampling import Drawn, Request, SamplerInput, State, Step
from mgbench.recipes.spec import Share

# What a sampler requires, where it looks at logits.
READS_LOGITS = ("logits", "everything")
# Rows of a head, or none where it says nothing of the kind.
Rows = TypeVar("Rows", Tensor, "Tensor | None")


class MaskedModel(nn.Module):
    """A network, which looks at the visible tokens, and a head, which draws the values of masked ones."""

    def __init__(self, network: NetworkModule, head: HeadModule) -> None:
        super().__init__()
        self.network, self.head = network, head


@dataclass(frozen=True)
class Masked:
    """Masked image generation (eMIGM, arXiv:2503.07197, Eq. 7).

    A share `label_drop` of the training images is shown without its label, for guidance.
    """

    label_drop: Share = 0.1
    asks: ClassVar[tuple[str, ...]] = (
        "network",
        "head",
        "mask_schedule",
        "masking",
        "loss_weighting",
        "sampling_schedule",
        "time_grid",
        "sampler",
        "reuse",
        "guidance_schedule",
    )

    def advise(self, parts: Parts, space: TokenSpace) -> tuple[str, ...]:
        return advise_label_drop(parts, self.label_drop)

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> MaskedModel:
        network = parts.network.build(space, classes)
        return MaskedModel(network, parts.head.build(space, network.width))

    def loss(self, model: MaskedModel, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """The weighted sum over tokens of the head's loss, a scalar; tokens int64 [B,N] or float [B,N,D], labels int64 [B]."""
        batch, length = tokens.shape[:2]
        mask, t = parts.masking.draw(parts.mask_schedule, batch, length, generator)
        dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < self.label_drop
        z = model.network(tokens, mask, labels.masked_fill(dropped, UNLABELLED))
        weights = parts.loss_weighting(parts.mask_schedule, t, mask)
        counted = weights != 0
        loss: Tensor = (weights[counted] * model.head.loss(z[counted], tokens[counted], generator)).sum()
        return loss

    def bound(
        self, model: MaskedModel, parts: Parts, space: TokenSpace, tokens: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor | None:
        """An estimate [B] of −log p(x) that is never too small on average: N/k Σ −log p of k masked tokens, k from 1 …
        N.

        As of any-order models (ARDM, arXiv:2110.02037): the mean over all orders and steps of the model's code length,
        which no schedule changes. The k of a batch are spread evenly. None where tokens are no codes, or the head knows
        no probabilities.
        """
        known = log_likelihood(model.head)
        if not space.codes or known is None:
            return None
        counts = 1 + (draw_levels(len(tokens), "antithetic", generator) * space.length).long()
        mask = draw_positions(counts, space.length, generator)
        nats = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
        nats[mask] = -known(model.network(tokens, mask, labels)[mask], tokens[mask]).double()
        return space.length / counts * nats.sum(1)

    def sample(self, model: MaskedModel, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        """Yield the state after every step of the sampler's plan: tokens int64 [B,N] or float [B,N,D] and mask bool [B,N]."""
        state = _all_masked(space, request.labels)
        times = parts.time_grid(request.steps)
        plan = list(parts.sampler.plan(parts.sampling_schedule, space, times, request.shared))
        cache = None if all(parts.reuse(step) == "all" for step in plan) else PredictionCache(state.mask)
        for step in plan:
            state = _advance(_StepContext(model, parts, space, request, step, cache), state)
            yield state


@dataclass(frozen=True)
class _StepContext:
    """All that stays the same during one step, and what is cache of earlier ones, if anything is."""

    model: MaskedModel
    parts: Parts
    space: TokenSpace
    request: Request
    step: Step
    cache: PredictionCache | None


def _advance(turn: _StepContext, state: State) -> State:
    """The images after the step: positions first where the mask is enough to choose them, else values first."""
    sampler, step, images = turn.parts.sampler, turn.step, turn.request.images
    if sampler.requires == "mask":
        then = sampler.choose(SamplerInput(turn.space, state.mask, state.log_p), step, images)
        return _reveal(state, then, _draw(turn, state, state.mask & ~then))
    drawn = _draw(turn, state, torch.ones_like(state.mask) if sampler.requires == "everything" else state.mask)
    return _reveal(state, sampler.choose(_view(turn, state, drawn), step, images), drawn)


def _draw(turn: _StepContext, state: State, at: Tensor) -> Drawn:
    """Values drawn at the positions `at` [B,N], back at their places [B,N,…] with zeros elsewhere.

    An image with no such position costs nothing. Every value comes from the stream of its image, step and position.
    """
    # Where every image reveals as many tokens, none is left out, and nobody has to ask the device which are.
    rows = slice(None) if turn.step.reveal else at.any(1)
    if isinstance(rows, Tensor) and not rows.any():
        return Drawn(torch.zeros_like(state.tokens))
    scale = turn.parts.guidance_schedule(turn.step)
    z, z_uncond = _asked(turn, state, at, rows, scale)
    places = torch.arange(at.shape[1], device=at.device)
    streams = turn.request.images.fold(1).fold(turn.step.index)[:, None].fold(places)[at]
    temperature = value_temperature(turn.parts.sampler, turn.step)
    drawn = turn.model.head.sample(z, z_uncond, scale, streams, _parts_at(turn), temperature)
    # Logits of all codes are many: K numbers in float64 a token, which most samplers never look at.
    logits = drawn.logits if turn.parts.sampler.requires in READS_LOGITS else None
    return Drawn(_spread(drawn.values.to(state.tokens.dtype), at), _spread(drawn.log_p, at), _spread(logits, at))


def _parts_at(turn: _StepContext) -> Parts:
    """The parts, with the solver of this step where the solver changes from step to step."""
    if not hasattr(turn.parts, "solver"):
        return turn.parts
    return Parts(**{**vars(turn.parts), "solver": solver_of_step(turn.parts.solver, turn.step)})


def _asked(
    turn: _StepContext, state: State, at: Tensor, rows: Tensor | slice, scale: float
) -> tuple[Tensor, Tensor | None]:
    """The network's answers, new or cache, at the positions `at` [B,N] of the images `rows` that have any: as `_look`."""
    network, labels = turn.model.network, turn.request.labels
    if turn.cache is not None:
        return turn.cache.predict(network, state, labels, at, scale, turn.parts.reuse(turn.step))
    return _look(network, state.tokens[rows], state.mask[rows], labels[rows], at[rows], scale)


def _look(
    network: NetworkModule, tokens: Tensor, mask: Tensor, labels: Tensor, at: Tensor, scale: float
) -> tuple[Tensor, Tensor | None]:
    """The network's z float [R,W] at the positions `at` bool [B,N], with the labels; and without them where guidance
    needs it.

    Then both halves are one batch.
    """
    if scale == 1:
        return _rows(network, tokens, mask, labels, at), None
    without = torch.full_like(labels, UNLABELLED)
    tokens, mask, at = (torch.cat([halves, halves]) for halves in (tokens, mask, at))
    z, z_uncond = _rows(network, tokens, mask, torch.cat([labels, without]), at).chunk(2)
    return z, z_uncond


def _rows(network: NetworkModule, tokens: Tensor, mask: Tensor, labels: Tensor, at: Tensor) -> Tensor:
    """The network's z float [R,W] at the positions `at`, and no further where the network can leave others out."""
    if selects(network):
        return network(tokens, mask, labels, at=at)
    return network(tokens, mask, labels)[at]


def _spread(rows: Rows, at: Tensor) -> Rows:
    """Rows [R,…] back at their places [B,N,…]; None stays None."""
    if rows is None:
        return None
    full = torch.zeros(*at.shape, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
    full[at] = rows
    return full


def _view(turn: _StepContext, state: State, drawn: Drawn) -> SamplerInput:
    """What a sampler sees that wants values first."""
    log_p = drawn.log_p
    if turn.parts.sampler.requires == "everything" and drawn.logits is not None and log_p is not None:
        now = torch.log_softmax(drawn.logits, -1).gather(-1, state.tokens[..., None]).squeeze(-1)
        log_p = torch.where(state.mask, log_p, now)
    elif log_p is not None and state.log_p is not None:
        log_p = torch.where(state.mask, log_p, state.log_p)
    return SamplerInput(turn.space, state.mask, log_p, drawn.logits)


def _all_masked(space: TokenSpace, labels: Tensor) -> State:
    batch, device = len(labels), labels.device
    mask = torch.ones(batch, space.length, dtype=torch.bool, device=device)
    if space.codes:
        return State(torch.zeros(batch, space.length, dtype=torch.int64, device=device), mask)
    return State(torch.zeros(batch, space.length, space.dim, device=device), mask)


def _reveal(state: State, then: Tensor, drawn: Drawn) -> State:
    """Set the values that become visible, and blank the tokens that are masked again."""
    fresh = state.mask & ~then
    tokens, log_p = state.tokens.clone(), state.log_p
    tokens[fresh] = drawn.values[fresh]
    tokens[then] = 0
    if drawn.log_p is not None:
        log_p = drawn.log_p if log_p is None else torch.where(fresh, drawn.log_p, log_p)
    return replace(state, tokens=tokens, mask=then, log_p=None if log_p is None else log_p.masked_fill(then, 0))


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"masked": Masked}
