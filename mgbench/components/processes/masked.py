"""The masked process: training masks tokens, and sampling reveals them.

MaskGIT, MAR, masked diffusion and eMIGM are this process with different components (eMIGM, arXiv:2503.07197, Eq. 7).
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
from mgbench.interfaces.optional import log_likelihood, selects, solver_of_step, value_temperature, with_latent
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Drawn, Request, SamplerInput, State, Step
from mgbench.recipes.spec import Share

# Values of `Sampler.requires` for which logits are needed.
READS_LOGITS = ("logits", "everything")
# Rows from a head, or None.
Rows = TypeVar("Rows", Tensor, "Tensor | None")


class MaskedModel(nn.Module):
    """A network, which encodes the visible tokens, and a head, which predicts the values of masked ones."""

    def __init__(self, network: NetworkModule, head: HeadModule) -> None:
        super().__init__()
        self.network, self.head = network, head


@dataclass(frozen=True)
class Masked:
    """Masked image generation (eMIGM, arXiv:2503.07197, Eq. 7).

    A share `label_drop` of the training images has no label, for classifier-free guidance.
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
        """The weighted sum over tokens of the head's loss, a scalar; tokens int64 [B,N] or float [B,N,D], labels int64
        [B].
        """
        batch, length = tokens.shape[:2]
        mask, t = parts.masking.draw(parts.mask_schedule, batch, length, generator)
        dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < self.label_drop
        z = model.network(tokens, mask, labels.masked_fill(dropped, UNLABELLED))
        weights = parts.loss_weighting(parts.mask_schedule, t, mask)
        # One look at the mask for all three, as every look waits for the device.
        rows = weights.flatten().nonzero().squeeze(1)
        z, values = (each.flatten(0, 1).index_select(0, rows) for each in (z, tokens))
        loss: Tensor = (weights.flatten().index_select(0, rows) * model.head.loss(z, values, generator)).sum()
        return loss

    def bound(
        self, model: MaskedModel, parts: Parts, space: TokenSpace, tokens: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor | None:
        """An unbiased estimate [B] of an upper bound on −log p(x): N/k Σ −log p of k masked tokens, with k from 1 … N.

        It is that of any-order models (ARDM, arXiv:2110.02037), the mean code length over all orders, independent of
        any schedule. The k of a batch are spread evenly. None if tokens are not codes, or the head has no
        probabilities. Tokens are int64 [B,N], labels int64 [B].
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
    """The constants of one sampling step, and cached predictions of earlier steps, if any."""

    model: MaskedModel
    parts: Parts
    space: TokenSpace
    request: Request
    step: Step
    cache: PredictionCache | None


def _advance(context: _StepContext, state: State) -> State:
    """The images after the step; positions are chosen before values if the sampler needs only the mask, and after
    otherwise.
    """
    sampler, step, images = context.parts.sampler, context.step, context.request.images
    if sampler.requires == "mask":
        then = sampler.choose(SamplerInput(context.space, state.mask, state.log_p), step, images)
        return _reveal(state, then, _draw(context, state, state.mask & ~then))
    drawn = _draw(context, state, torch.ones_like(state.mask) if sampler.requires == "everything" else state.mask)
    return _reveal(state, sampler.choose(_view(context, state, drawn), step, images), drawn)


def _draw(context: _StepContext, state: State, at: Tensor) -> Drawn:
    """Sample values at the positions `at` bool [B,N], scattered to [B,N,…] with zeros elsewhere.

    Images without such positions are skipped. Every value uses the random stream of its image, step and position.
    """
    # If every image reveals the same number of tokens, none is skipped, and no synchronisation with the device is
    # needed.
    rows = slice(None) if context.step.reveal else at.any(1)
    if isinstance(rows, Tensor) and not rows.any():
        return Drawn(torch.zeros_like(state.tokens))
    scale = context.parts.guidance_schedule(context.step)
    z, z_uncond = _with_latent(context, at, *_asked(context, state, at, rows, scale))
    streams = _streams(context, at, torch.arange(at.shape[1], device=at.device))
    temperature = value_temperature(context.parts.sampler, context.step)
    drawn = context.model.head.sample(z, z_uncond, scale, streams, _parts_at(context), temperature)
    # Logits are large (K float64 numbers per token), and most samplers do not need them.
    logits = drawn.logits if context.parts.sampler.requires in READS_LOGITS else None
    return Drawn(_spread(drawn.values.to(state.tokens.dtype), at), _spread(drawn.log_p, at), _spread(logits, at))


def _streams(context: _StepContext, at: Tensor, places: Tensor) -> Streams:
    """Streams [R] of this step at the positions `at` bool [B,N], derived from those of images and from numbers int64
    [N].
    """
    rows, positions = at.nonzero(as_tuple=True)
    return context.request.images.fold(1).fold(context.step.index)[rows].fold(places[positions])


def _with_latent(context: _StepContext, at: Tensor, z: Tensor, z_uncond: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Predictions float [R,W] at the positions `at` bool [B,N] under the latent of their image in this step, if any."""
    vary = with_latent(context.model)
    if vary is None:
        return z, z_uncond
    # One number, which is no position, for all tokens of an image.
    streams = _streams(context, at, torch.full_like(at[0], at.shape[1], dtype=torch.int64))
    return vary(z, streams), None if z_uncond is None else vary(z_uncond, streams)


def _parts_at(context: _StepContext) -> Parts:
    """The components, with the solver of this step if it depends on the step."""
    if not hasattr(context.parts, "solver"):
        return context.parts
    return context.parts.change(solver=solver_of_step(context.parts.solver, context.step))


def _asked(
    context: _StepContext, state: State, at: Tensor, rows: Tensor | slice, scale: float
) -> tuple[Tensor, Tensor | None]:
    """New or cached predictions at the positions `at` bool [B,N], which are in the images `rows`; as `_predict`."""
    network, labels = context.model.network, context.request.labels
    if context.cache is not None:
        return context.cache.predict(network, state, labels, at, scale, context.parts.reuse(context.step))
    return _predict(network, state.tokens[rows], state.mask[rows], labels[rows], at[rows], scale)


def _predict(
    network: NetworkModule, tokens: Tensor, mask: Tensor, labels: Tensor, at: Tensor, scale: float
) -> tuple[Tensor, Tensor | None]:
    """Z float [R,W] at the positions `at` bool [B,N] with labels, and without them where guidance needs it.

    Both are then computed in one batch.
    """
    if scale == 1:
        return _rows(network, tokens, mask, labels, at), None
    without = torch.full_like(labels, UNLABELLED)
    tokens, mask, at = (torch.cat([halves, halves]) for halves in (tokens, mask, at))
    z, z_uncond = _rows(network, tokens, mask, torch.cat([labels, without]), at).chunk(2)
    return z, z_uncond


def _rows(network: NetworkModule, tokens: Tensor, mask: Tensor, labels: Tensor, at: Tensor) -> Tensor:
    """Z float [R,W] at the positions `at`; other positions are not computed if the network supports that."""
    if selects(network):
        return network(tokens, mask, labels, at=at)
    return network(tokens, mask, labels)[at]


def _spread(rows: Rows, at: Tensor) -> Rows:
    """Scatter rows [R,…] to their positions in [B,N,…]; None stays None."""
    if rows is None:
        return None
    full = torch.zeros(*at.shape, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
    full[at] = rows
    return full


def _view(context: _StepContext, state: State, drawn: Drawn) -> SamplerInput:
    """The input of a sampler that chooses positions after values."""
    log_p = drawn.log_p
    if context.parts.sampler.requires == "everything" and drawn.logits is not None and log_p is not None:
        now = torch.log_softmax(drawn.logits, -1).gather(-1, state.tokens[..., None]).squeeze(-1)
        log_p = torch.where(state.mask, log_p, now)
    elif log_p is not None and state.log_p is not None:
        log_p = torch.where(state.mask, log_p, state.log_p)
    return SamplerInput(context.space, state.mask, log_p, drawn.logits)


def _all_masked(space: TokenSpace, labels: Tensor) -> State:
    batch, device = len(labels), labels.device
    mask = torch.ones(batch, space.length, dtype=torch.bool, device=device)
    if space.codes:
        return State(torch.zeros(batch, space.length, dtype=torch.int64, device=device), mask)
    return State(torch.zeros(batch, space.length, space.dim, device=device), mask)


def _reveal(state: State, then: Tensor, drawn: Drawn) -> State:
    """Set the values of revealed tokens, and reset those that are masked again."""
    fresh, log_p = state.mask & ~then, state.log_p
    set_now, unset = (places if state.tokens.ndim == 2 else places[..., None] for places in (fresh, then))
    tokens = torch.where(set_now, drawn.values, state.tokens).masked_fill_(unset, 0)
    if drawn.log_p is not None:
        log_p = drawn.log_p if log_p is None else torch.where(fresh, drawn.log_p, log_p)
    return replace(state, tokens=tokens, mask=then, log_p=None if log_p is None else log_p.masked_fill(then, 0))


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"masked": Masked}
