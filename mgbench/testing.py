"""The laws of each kind, and small exact models: for our own tests, and for those who write plugins.

A law takes a component and raises `AssertionError` with a sentence that says what is broken; `LAWS` holds one for each
kind. The toys at the end answer every question of the masked process in a few lines, over a joint distribution so small
that every probability is known: what is sampled with them can be held to the truth.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor

from mgbench.errors import Unfit
from mgbench.kinds import UNLABELLED, Features, Parts, Request, Step, TokenSpace
from mgbench.streams import Streams
from mgbench.toys import Euler, Joint, Line, toy_parts

SPACES = (TokenSpace(6, 3, grid=(2, 3)), TokenSpace(6, 3, codes=5, grid=(2, 3)))
CLASSES = 4


def need(holds: "bool | Tensor", sentence: str) -> None:
    """Raise `AssertionError` with the sentence unless it holds."""
    if not bool(holds):
        raise AssertionError(sentence)


def _same(first: Any, second: Any, tolerance: float = 0.0) -> bool:
    if first is None or second is None:
        return first is second
    return bool((first.shape == second.shape) and ((first.double() - second.double()).abs() <= tolerance).all())


def _seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def _images(count: int, seed: int = 0) -> Streams:
    return Streams.root(seed, "images").fold(torch.arange(count))


def _stir(module: Any) -> Any:
    """Move every parameter a little: many layers start at zero, where nothing depends on anything."""
    generator = _seeded(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def _fitting(component: Any, parts: Parts) -> list[TokenSpace]:
    """The token spaces that a component accepts."""
    kept = []
    for space in SPACES:
        try:
            getattr(component, "check", lambda *_: None)(parts, space)
            kept.append(space)
        except Unfit:
            continue
    need(bool(kept), "must accept tokens of some kind, codes or vectors")
    return kept


def _tokens(space: TokenSpace, batch: int) -> Tensor:
    if space.codes:
        return torch.randint(space.codes, (batch, space.length), generator=_seeded())
    return torch.randn(batch, space.length, space.dim, generator=_seeded())


def mask_schedule(component: Any) -> None:
    """The laws of a mask schedule."""
    for dtype in (torch.float32, torch.float64):
        t = torch.linspace(0, 1, 257, dtype=dtype)
        gamma = component(t)
        need(gamma.shape == t.shape and gamma.dtype == dtype, "γ(t) must have the shape and dtype of t")
        need(((gamma >= 0) & (gamma <= 1)).all(), "γ must lie in [0, 1]")
        need((gamma.diff() >= -1e-6).all(), "γ must never fall")
        need(gamma[0] <= 0.05, "γ(0) must be about 0")
        need(gamma[-1] >= 0.9, "γ(1) must be about 1")
        need(_same(component(t.reshape(1, -1)[:, ::2])[0], gamma[::2], 1e-6), "γ must be computed elementwise")
    inside = torch.linspace(0.01, 0.99, 99, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(component(inside).sum(), inside)
    at, width = inside.detach(), 1e-6
    measured = (component(at + width) - component(at - width)) / (2 * width)
    need(slope.isfinite().all() and _same(slope, measured, 1e-3), "γ must be differentiable between 0 and 1")


def masking(component: Any) -> None:
    """The laws of a masking."""
    schedule, rows, length, rounds = Line(), 64, 64, 64
    generator, again = _seeded(), _seeded()
    masks, shares = [], []
    for _ in range(rounds):
        mask, t = component.draw(schedule, rows, length, generator)
        need(mask.shape == (rows, length) and mask.dtype == torch.bool, "the mask must be bool [B,N]")
        need(t.shape == (rows,) and ((t >= 0) & (t <= 1)).all(), "the times must be [B] within [0, 1]")
        need(mask.any(1).all(), "every row must have a masked token")
        repeat = component.draw(schedule, rows, length, again)
        need(_same(mask, repeat[0]) and _same(t, repeat[1]), "the same generator must give the same masks and times")
        masks.append(mask.double())
        shares.append(schedule(t).double())
    drawn = torch.cat(masks)
    need(abs(drawn.mean() - torch.cat(shares).mean()) < 0.04, "the mean share masked must be about that of γ(t)")
    need((drawn.mean(0) - drawn.mean()).abs().max() < 0.05, "no position may be masked more often than another")
    need(component.draw(schedule, 3, 1, generator)[0].all(), "an only token must always be masked")


def loss_weighting(component: Any) -> None:
    """The laws of a loss weighting."""
    for dtype in (torch.float32, torch.float64):
        t = torch.linspace(0, 1, 33, dtype=dtype)
        for schedule in (Line(), lambda t: torch.sin(math.pi / 2 * t)):
            weight = component(schedule, t)
            need(weight.shape == t.shape and weight.dtype == dtype, "the weights must have the shape and dtype of t")
            need(weight.isfinite().all(), "the weights must be finite, also at t = 0 and t = 1")
            # At t = 1 the slope of a schedule may be 0, and in its last digit below.
            need((weight[:-1] > 0).all() and weight[-1] > -1e-6, "the weights must be positive")
            need(not weight.requires_grad, "the weights must be constants to the gradient")


def guidance_schedule(component: Any) -> None:
    """The laws of a guidance schedule."""
    total = 20
    for index in range(total):
        t, s = 1 - index / total, 1 - (index + 1) / total
        for reveal in (1, None):
            scale = component(Step(index, total, t, s, t, s, reveal))
            need(isinstance(scale, float | int), "the scale must be a number")
            need(math.isfinite(scale) and scale >= 0, "the scale must be finite and not negative")


def sampler(component: Any) -> None:
    """The laws of a sampler."""
    for length, steps in ((16, 1), (16, 5), (16, 16), (16, 40), (1, 3)):
        plan = _plan(component, length, steps)
        for confidence in (torch.rand(5, length, generator=_seeded()), torch.linspace(0, 1, length).expand(5, -1)):
            _drive(component, plan, (confidence.double() + 1e-6).log(), _images(5))


def _plan(component: Any, length: int, steps: int) -> list[Step]:
    plan, again = (list(component.plan(Line(), length, steps, Streams.root(0, "shared"))) for _ in range(2))
    need(plan == again, "the same streams must give the same plan")
    need(1 <= len(plan) <= steps, "a plan must have at least one step and at most as many as were asked for")
    need(plan[0].share_now == 1, "the first step must start with everything masked")
    need(plan[0].t == 1 or plan[0].index > 0, "the first step must start at t = 1 unless steps were left out")
    need(plan[-1].share_then <= 0.01, "the last step must leave nothing masked")
    for step in plan:
        need(0 <= step.s < step.t <= 1, "a step must lead from t to an earlier s")
        need(0 <= step.share_then <= 1, "shares must lie in [0, 1]")
    for before, after in pairwise(plan):
        need(
            before.index < after.index and after.t <= before.s + 1e-9,
            "a step must start where or after the last one ended",
        )
        need(abs(before.share_then - after.share_now) < 1e-9, "a step must start with the share the last one left")
    return plan


def _drive(component: Any, plan: list[Step], log_p: Tensor, images: Streams) -> None:
    mask = torch.ones(log_p.shape, dtype=torch.bool)
    for step in plan:
        confidence = log_p.masked_fill(~mask, 0) if component.needs_confidence else None
        then = component.choose(mask, confidence, step, images)
        need(then.shape == mask.shape and then.dtype == torch.bool, "the mask after a step must be bool [B,N]")
        need(
            _same(then, component.choose(mask, confidence, step, images)), "the same streams must give the same choice"
        )
        some = torch.tensor([3, 1])
        few = component.choose(mask[some], None if confidence is None else confidence[some], step, images[some])
        need(_same(then[some], few), "what an image reveals must not depend on its batch")
        if step.reveal is not None:
            need(
                ((mask & ~then).sum(1) == step.reveal).all(), "every image must reveal as many tokens as the step says"
            )
        mask = then
    need(not mask.any(), "after the last step nothing may be masked")


def tokenizer(component: Any, images: Tensor | None = None) -> None:
    """The laws of a tokenizer, on images uint8 [M,C,H,W'] (random ones if not given)."""
    if images is None:
        images = torch.randint(256, (64, 3, 8, 8), dtype=torch.uint8, generator=_seeded())
    shape = tuple(images.shape[1:])
    module = component.build(shape)
    module.fit(images, 0)
    space, tokens = module.space, module.encode(images)
    if space.codes:
        need(tokens.shape == (len(images), space.length), "codes must be [B,N] as the space says")
        need(tokens.dtype == torch.int64, "codes must be int64")
        need(((tokens >= 0) & (tokens < space.codes)).all(), "codes must lie below the number of codes")
    else:
        need(tokens.shape == (len(images), space.length, space.dim), "tokens must be [B,N,D] as the space says")
        need(tokens.is_floating_point() and tokens.isfinite().all(), "continuous tokens must be finite numbers")
    need(space.grid is None or math.prod(space.grid) == space.length, "the grid must hold all tokens")
    decoded = module.decode(tokens)
    need(
        decoded.shape == images.shape and decoded.dtype == torch.uint8,
        "decoding must give uint8 images of the same shape",
    )
    lost = (decoded.double() - images.double()).abs().mean()
    need(
        lost < (images.double() - images.double().mean(0)).abs().mean(),
        "a decoded image must be nearer than the mean image",
    )
    twice = module.decode(module.encode(decoded))
    need(
        (twice.double() - decoded.double()).abs().mean() <= lost + 0.5,
        "a second round must not lose more than the first",
    )
    need(_same(module.encode(images[3:5]), tokens[3:5], 1e-5), "the tokens of an image must not depend on its batch")
    loaded = component.build(shape)
    loaded.load_state_dict(module.state_dict())
    need(_same(loaded.encode(images), tokens, 1e-5), "the state must hold all that fitting learned")


def network(component: Any) -> None:
    """The laws of a network."""
    for space in _fitting(component, Parts(labels=True)):
        torch.manual_seed(0)
        module = _stir(component.build(space, CLASSES))
        _look_at(module, space)
        unlabelled = _stir(component.build(space, 0))
        z = unlabelled(_tokens(space, 2), torch.ones(2, space.length, dtype=torch.bool), torch.full((2,), UNLABELLED))
        need(z.isfinite().all(), "a network without classes must work")


@torch.no_grad()
def _look_at(module: Any, space: TokenSpace) -> None:
    batch, length = 5, space.length
    tokens, labels = _tokens(space, batch), torch.tensor([0, 1, 2, 3, UNLABELLED])
    # All masked, one visible, one masked, and in between: all in one batch.
    mask = (
        torch.rand(batch, length, generator=_seeded()).argsort(1) < torch.tensor([length, length - 1, 1, 2, 3])[:, None]
    )
    z = module(tokens, mask, labels)
    need(z.shape == (batch, length, module.width) and z.isfinite().all(), "z must be finite and [B,N,width]")
    other = (tokens + 1) % space.codes if space.codes else tokens + 1
    hidden = torch.where(mask if space.codes else mask[..., None], other, tokens)
    need(_same(module(hidden, mask, labels), z, 1e-5), "the value under the mask must never matter")
    need((module(other, mask, labels)[1:] - z[1:]).abs().amax((1, 2)).min() > 1e-5, "visible tokens must matter")
    moved = torch.tensor([1, 2, 3, UNLABELLED, 0])
    need((module(tokens, mask, moved) - z).abs().amax((1, 2)).min() > 1e-5, "the label, and having none, must matter")
    for row in range(batch):
        one = slice(row, row + 1)
        alone = module(tokens[one], mask[one], labels[one])
        need(_same(alone, z[one], 1e-4), "z of an image must not depend on its batch")


def head(component: Any) -> None:
    """The laws of a head."""
    for space in _fitting(component, Parts(labels=True)):
        torch.manual_seed(0)
        module = _stir(component.build(space, 8))
        z, rows = torch.randn(7, 8, generator=_seeded(), requires_grad=True), _tokens(space, 7)[:, 0]
        loss, again = (module.loss(z, rows, _seeded()) for _ in range(2))
        need(loss.shape == (7,) and loss.isfinite().all(), "the loss must be finite and [R]")
        need(_same(loss, again), "the same generator must give the same loss")
        loss.mean().backward()
        need(
            z.grad is not None and z.grad.isfinite().all() and (z.grad != 0).any(), "the loss must have a gradient in z"
        )
        _draw_from(module, space, z.detach(), torch.randn(7, 8, generator=_seeded(1)))


@torch.no_grad()
def _draw_from(module: Any, space: TokenSpace, z: Tensor, without: Tensor) -> None:
    rows, draws, solver = len(z), Streams.root(0, "rows").fold(torch.arange(len(z))), Euler()
    values, log_p = module.sample(z, None, 1.0, draws, solver)
    if space.codes:
        need(values.shape == (rows,) and values.dtype == torch.int64, "codes must be int64 [R]")
        need(((values >= 0) & (values < space.codes)).all(), "codes must lie below the number of codes")
    else:
        need(values.shape == (rows, space.dim) and values.is_floating_point(), "values must be numbers [R,D]")
        need(values.isfinite().all(), "values must be finite")
    need(
        log_p is None or (log_p.shape == (rows,) and (log_p <= 0).all()), "log-probabilities must be [R], never above 0"
    )
    near = 0 if space.codes else 1e-4
    again, _ = module.sample(z, None, 1.0, draws, solver)
    need(_same(values, again), "the same streams must give the same values")
    few, _ = module.sample(z[2:4], None, 1.0, draws[torch.arange(2, 4)], solver)
    need(_same(values[2:4], few, near), "the value of a token must not depend on its batch")
    plain, plain_p = module.sample(z, without, 1.0, draws, solver)
    need(_same(plain, values, near) and _same(plain_p, log_p, 1e-5), "at scale 1 the unconditional z must not matter")
    none, none_p = module.sample(z, without, 0.0, draws, solver)
    alone, alone_p = module.sample(without, None, 1.0, draws, solver)
    if space.codes:
        need(_same(none, alone) and _same(none_p, alone_p, 1e-5), "at scale 0 only the unconditional z must matter")


def solver(component: Any, rows: int = 4096) -> None:
    """The laws of a solver: values of N(m, s²) come out of the exact prediction of their noise, up to its step size."""
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    kept = (1 - betas).cumprod(0)
    mean, deviation = torch.tensor([0.7, -0.4]), torch.tensor([0.5, 0.9])

    def denoise(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        low = int(time)
        high, share = min(low + 1, len(kept) - 1), time - low
        at = float((kept[low].log() * (1 - share) + kept[high].log() * share).exp())
        eps = math.sqrt(1 - at) * (x - math.sqrt(at) * mean) / (at * deviation**2 + 1 - at)
        return eps, torch.zeros_like(x)

    draws = Streams.root(0, "rows").fold(torch.arange(rows))
    values = component.solve(denoise, betas, 2, draws)
    need(values.shape == (rows, 2) and values.isfinite().all(), "values must be finite and [R,D]")
    need(_same(values, component.solve(denoise, betas, 2, draws)), "the same streams must give the same values")
    few = component.solve(denoise, betas, 2, draws[torch.arange(2, 4)])
    need(_same(values[2:4], few, 1e-4), "the value of a token must not depend on its batch")
    # Four standard errors of either estimate, and a tenth for steps that are not infinitely small.
    need(
        ((values.mean(0) - mean).abs() < deviation * (4 / math.sqrt(rows) + 0.1)).all(),
        "the mean must be that of the data",
    )
    spread = (values.std(0) / deviation - 1).abs()
    need((spread < 4 / math.sqrt(2 * rows) + 0.1).all(), "the standard deviation must be that of the data")


@torch.no_grad()
def extractor(component: Any) -> None:
    """The laws of an extractor."""
    module = component.build()
    need(isinstance(module.id, str) and module.id == component.build().id, "the id must be a text, the same every time")
    need(not module.training, "the network must be in evaluation mode")
    for side in (8, 16, 20):
        images = torch.randint(256, (5, 3, side, side), dtype=torch.uint8, generator=_seeded())
        said, again, few = module(images), module(images), module(images[1:3])
        need(said.features.ndim == 2 and len(said.features) == 5, "features must be [B,F]")
        need(said.features.isfinite().all(), "features must be finite")
        need(said.logits is None or (said.logits.ndim == 2 and len(said.logits) == 5), "logits must be [B,K]")
        need(_same(said.features, again.features), "the same images must have the same features")
        scale = float(said.features.abs().max())
        need(_same(said.features[1:3], few.features, 1e-4 * scale), "features must not depend on the batch")
        need((said.features.diff(dim=0).abs().amax(1) > 0).all(), "different images must have different features")


def metric(component: Any) -> None:
    """The laws of a metric."""
    generator = _seeded()
    first, second = (torch.randn(64, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    labels = torch.arange(64) % 3
    one, two = (Features(x, x[:, :3], labels) for x in (first, second + 1))
    kept = one.features.clone()
    for pair in ((one, one), (one, two), (Features(first), Features(second))):
        said = component(*pair)
        need(
            isinstance(said, Mapping) and all(isinstance(name, str) for name in said), "a metric must name its numbers"
        )
        need(all(math.isfinite(value) for value in said.values()), "the numbers must be finite, also for equal sets")
        need(said == component(*pair), "the same features must give the same numbers")
    need(bool(component(one, two)), "features with logits and labels must give some number")
    need(_same(one.features, kept), "a metric must leave the features as they are")


def dataset(component: Any) -> None:
    """The laws of a dataset."""
    data, again = component.load(), component.load()
    need(data.fingerprint == again.fingerprint, "the same options must give the same images")
    need(
        isinstance(component.extractor, str) and bool(component.extractor),
        "a dataset must name an extractor for its images",
    )
    need(bool(data.licence), "a dataset must say what licence its images are under")
    for images, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        need(images.dtype == torch.uint8 and images.ndim == 4 and len(images) > 0, "images must be uint8 [M,C,H,W]")
        need(tuple(images.shape[1:]) == data.shape, "training and held-out images must have one shape")
        if labels is not None:
            need(labels.dtype == torch.int64 and labels.shape == (len(images),), "labels must be int64 [M]")
            need(
                ((labels >= 0) & (labels < len(data.class_names))).all(), "labels must lie below the number of classes"
            )


def process(component: Any, parts: Parts | None = None, space: TokenSpace | None = None) -> None:
    """The laws of a process, with the parts it asks for (toys if not given: they answer all that `masked` asks)."""
    joint = Joint.example()
    parts, space = parts or toy_parts(joint), space or joint.space
    torch.manual_seed(0)
    model = component.build(parts, space, joint.classes)
    need(
        "network" in dict(model.named_children()), "the model must have a child called network, by which NFE is counted"
    )
    tokens, labels = _tokens(space, 16), torch.arange(16) % joint.classes
    loss, again = (component.loss(model, parts, tokens, labels, _seeded()) for _ in range(2))
    need(loss.shape == () and loss.isfinite(), "the loss must be one finite number")
    need(_same(loss, again), "the same generator must give the same loss")
    loss.backward()
    slopes = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    need(any((slope != 0).any() for slope in slopes), "the loss must have a gradient")
    need(all(slope.isfinite().all() for slope in slopes), "the gradient must be finite")
    _finish(component, model.eval(), parts, space, labels[:7])


@torch.no_grad()
def _finish(component: Any, model: Any, parts: Parts, space: TokenSpace, labels: Tensor) -> None:
    def last(rows: Tensor) -> Tensor:
        request = Request(labels[rows], 4, _images(7)[rows], Streams.root(0, "shared"))
        states = list(component.sample(model, parts, space, request))
        need(1 <= len(states) <= 4, "sampling must take at least one step and at most as many as were asked for")
        need(not states[-1].mask.any(), "sampling must end with nothing masked")
        tokens: Tensor = states[-1].tokens
        return tokens

    all_rows, some = last(torch.arange(7)), torch.tensor([5, 0, 3])
    shape = (7, space.length) if space.codes else (7, space.length, space.dim)
    need(all_rows.shape == shape, "finished tokens must have the shape that the space says")
    need(_same(all_rows, last(torch.arange(7))), "the same streams must give the same images")
    need(_same(all_rows[some], last(some), 0 if space.codes else 1e-3), "an image must not depend on its batch")


LAWS: Mapping[str, Callable[[Any], None]] = {
    "process": process,
    "dataset": dataset,
    "tokenizer": tokenizer,
    "network": network,
    "head": head,
    "mask_schedule": mask_schedule,
    "masking": masking,
    "loss_weighting": loss_weighting,
    "sampler": sampler,
    "guidance_schedule": guidance_schedule,
    "solver": solver,
    "extractor": extractor,
    "metric": metric,
}
