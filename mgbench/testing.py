"""The laws of each kind: for our own tests, and for those who write plugins.

A law takes a component and raises `AssertionError` with a sentence that says what is broken. See also `mgbench.toys`.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from mgbench.kinds import UNLABELLED, Features, Parts, Request, Step, TokenSpace
from mgbench.streams import Streams
from mgbench.toys import Euler, Gaussian, Joint, Line, accepted, each, need, same, seeded, stirred, tokens_of, toy_parts


def mask_schedule(component: Any) -> None:
    for dtype in (torch.float32, torch.float64):
        t = torch.linspace(0, 1, 257, dtype=dtype)
        gamma = component(t)
        need(gamma.shape == t.shape and gamma.dtype == dtype, "γ(t) must have the shape and dtype of t")
        need(((gamma >= 0) & (gamma <= 1)).all(), "γ must lie in [0, 1]")
        need((gamma.diff() >= -1e-6).all(), "γ must never fall")
        need(gamma[0] <= 0.05 and gamma[-1] >= 0.9, "γ(0) must be about 0, and γ(1) about 1")
        need(same(component(t.reshape(1, -1)[:, ::2])[0], gamma[::2], 1e-6), "γ must be computed elementwise")
    inside = torch.linspace(0.01, 0.99, 99, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(component(inside).sum(), inside)
    measured = (component(inside + 1e-6) - component(inside - 1e-6)).detach() / 2e-6
    need(slope.isfinite().all() and same(slope, measured, 1e-3), "γ must be differentiable between 0 and 1")


def masking(component: Any) -> None:
    schedule, rows, length, rounds = Line(), 64, 64, 64
    generator, again = seeded(), seeded()
    masks, shares = [], []
    for _ in range(rounds):
        mask, t = component.draw(schedule, rows, length, generator)
        need(mask.shape == (rows, length) and mask.dtype == torch.bool, "the mask must be bool [B,N]")
        need(t.shape == (rows,) and ((t >= 0) & (t <= 1)).all(), "the times must be [B] within [0, 1]")
        need(mask.any(1).all(), "every row must have a masked token")
        repeat = component.draw(schedule, rows, length, again)
        need(same(mask, repeat[0]) and same(t, repeat[1]), "the same generator must give the same masks and times")
        masks.append(mask.double())
        shares.append(schedule(t).mean())
    drawn = torch.cat(masks)
    need(abs(drawn.mean() - torch.stack(shares).mean()) < 0.04, "the mean share masked must be about that of γ(t)")
    need((drawn.mean(0) - drawn.mean()).abs().max() < 0.05, "no position may be masked more often than another")
    need(component.draw(schedule, 3, 1, generator)[0].all(), "an only token must always be masked")


def loss_weighting(component: Any) -> None:
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
    for index in range(20):
        t, s = 1 - index / 20, 1 - (index + 1) / 20
        scale = component(Step(index, 20, t, s, t, s))
        sound = isinstance(scale, float | int) and math.isfinite(scale) and scale >= 0
        need(sound, "the scale must be a number, finite and not negative")


def sampler(component: Any) -> None:
    for length, steps in ((16, 1), (16, 5), (16, 16), (16, 40), (1, 3)):
        plan = _plan(component, length, steps)
        for confidence in (torch.rand(5, length, generator=seeded()), torch.linspace(0, 1, length).expand(5, -1)):
            _drive(component, plan, (confidence.double() + 1e-6).log(), each("images", 5))


def _plan(component: Any, length: int, steps: int) -> list[Step]:
    plan, again = (list(component.plan(Line(), length, steps, Streams.root(0, "shared"))) for _ in range(2))
    need(plan == again, "the same streams must give the same plan")
    need(1 <= len(plan) <= steps, "a plan must have at least one step and at most as many as were asked for")
    starts = plan[0].share_now == 1 and (plan[0].t == 1 or plan[0].index > 0)
    need(starts, "the first step must start with everything masked, at t = 1 unless steps were left out")
    need(plan[-1].share_then <= 0.01, "the last step must leave nothing masked")
    for step in plan:
        sound = 0 <= step.s < step.t <= 1 and 0 <= step.share_then <= 1
        need(sound, "a step must lead from t to an earlier s, both in [0, 1], and shares must lie there too")
    for before, after in pairwise(plan):
        in_order = before.index < after.index and after.t <= before.s + 1e-9
        need(in_order, "a step must start where or after the last one ended")
        need(abs(before.share_then - after.share_now) < 1e-9, "a step must start with the share the last one left")
    return plan


def _drive(component: Any, plan: list[Step], log_p: Tensor, images: Streams) -> None:
    mask = torch.ones(log_p.shape, dtype=torch.bool)
    for step in plan:
        confidence = log_p.masked_fill(~mask, 0) if component.needs_confidence else None
        then = component.choose(mask, confidence, step, images)
        need(then.shape == mask.shape and then.dtype == torch.bool, "the mask after a step must be bool [B,N]")
        need(same(then, component.choose(mask, confidence, step, images)), "the same streams must choose the same")
        some = torch.tensor([3, 1])
        few = component.choose(mask[some], None if confidence is None else confidence[some], step, images[some])
        need(same(then[some], few), "what an image reveals must not depend on its batch")
        if step.reveal is not None:
            need(((mask & ~then).sum(1) == step.reveal).all(), "an image must reveal as many tokens as the step says")
        mask = then
    need(not mask.any(), "after the last step nothing may be masked")


def tokenizer(component: Any) -> None:
    images = torch.randint(256, (64, 3, 8, 8), dtype=torch.uint8, generator=seeded())
    module, loaded = (component.build(tuple(images.shape[1:])) for _ in range(2))
    module.fit(images, 0)
    space, tokens = module.space, module.encode(images)
    need(tokens.shape == tokens_of(space, len(images)).shape, "tokens must be [B,N] or [B,N,D] as the space says")
    if space.codes:
        need(tokens.dtype == torch.int64, "codes must be int64")
        need(((tokens >= 0) & (tokens < space.codes)).all(), "codes must lie below the number of codes")
    else:
        need(tokens.is_floating_point() and tokens.isfinite().all(), "continuous tokens must be finite numbers")
    need(space.grid is None or math.prod(space.grid) == space.length, "the grid must hold all tokens")
    decoded = module.decode(tokens)
    need(decoded.shape == images.shape and decoded.dtype == torch.uint8, "decoding must give such uint8 images again")
    lost = (decoded.double() - images.double()).abs().mean()
    spread = (images.double() - images.double().mean(0)).abs().mean()
    need(lost < spread, "a decoded image must be nearer than the mean image")
    lost_then = (module.decode(module.encode(decoded)).double() - decoded.double()).abs().mean()
    need(lost_then <= lost + 0.5, "a second round must not lose more than the first")
    need(same(module.encode(images[3:5]), tokens[3:5], 1e-5), "the tokens of an image must not depend on its batch")
    loaded.load_state_dict(module.state_dict())
    need(same(loaded.encode(images), tokens, 1e-5), "the state must hold all that fitting learned")


def network(component: Any) -> None:
    for space in accepted(component):
        torch.manual_seed(0)
        module = stirred(component.build(space, 4))
        _look_at(module, space)
        unlabelled = stirred(component.build(space, 0))
        everything = torch.ones(2, space.length, dtype=torch.bool)
        z = unlabelled(tokens_of(space, 2), everything, torch.full((2,), UNLABELLED))
        need(z.isfinite().all(), "a network without classes must work")


@torch.no_grad()
def _look_at(module: Any, space: TokenSpace) -> None:
    batch, length = 5, space.length
    tokens, labels = tokens_of(space, batch), torch.tensor([0, 1, 2, 3, UNLABELLED])
    # All masked, one visible, one masked, and in between: all in one batch.
    counts = torch.tensor([length, length - 1, 1, 2, 3])
    mask = torch.rand(batch, length, generator=seeded()).argsort(1) < counts[:, None]
    z = module(tokens, mask, labels)
    need(z.shape == (batch, length, module.width) and z.isfinite().all(), "z must be finite and [B,N,width]")
    other = (tokens + 1) % space.codes if space.codes else tokens + 1
    hidden = torch.where(mask if space.codes else mask[..., None], other, tokens)
    need(same(module(hidden, mask, labels), z, 1e-5), "the value under the mask must never matter")
    need((module(other, mask, labels)[1:] - z[1:]).abs().amax((1, 2)).min() > 1e-5, "visible tokens must matter")
    moved = torch.tensor([1, 2, 3, UNLABELLED, 0])
    need((module(tokens, mask, moved) - z).abs().amax((1, 2)).min() > 1e-5, "the label, and having none, must matter")
    for one in (slice(row, row + 1) for row in range(batch)):
        need(same(module(tokens[one], mask[one], labels[one]), z[one], 1e-4), "z must not depend on its batch")


def head(component: Any) -> None:
    for space in accepted(component):
        torch.manual_seed(0)
        module = stirred(component.build(space, 8))
        z, rows = torch.randn(7, 8, generator=seeded(), requires_grad=True), tokens_of(space, 7)[:, 0]
        loss, again = (module.loss(z, rows, seeded()) for _ in range(2))
        need(loss.shape == (7,) and loss.isfinite().all(), "the loss must be finite and [R]")
        need(same(loss, again), "the same generator must give the same loss")
        loss.mean().backward()
        slope = torch.zeros_like(z) if z.grad is None else z.grad
        need(slope.isfinite().all() and (slope != 0).any(), "the loss must have a gradient in z")
        _draw_from(module, space, z.detach(), torch.randn(7, 8, generator=seeded(1)))


@torch.no_grad()
def _draw_from(module: Any, space: TokenSpace, z: Tensor, without: Tensor) -> None:
    rows, draws, solver = len(z), each("rows", len(z)), Euler()
    values, log_p = module.sample(z, None, 1.0, draws, solver)
    if space.codes:
        need(values.shape == (rows,) and values.dtype == torch.int64, "codes must be int64 [R]")
        need(((values >= 0) & (values < space.codes)).all(), "codes must lie below the number of codes")
    else:
        need(values.shape == (rows, space.dim) and values.isfinite().all(), "values must be finite numbers [R,D]")
    ranked = log_p is None or (log_p.shape == (rows,) and (log_p <= 0).all())
    need(ranked, "log-probabilities must be [R], never above 0")
    near = 0 if space.codes else 1e-4
    need(same(values, module.sample(z, None, 1.0, draws, solver)[0]), "the same streams must give the same values")
    few, _ = module.sample(z[2:4], None, 1.0, draws[torch.arange(2, 4)], solver)
    need(same(values[2:4], few, near), "the value of a token must not depend on its batch")
    plain, plain_p = module.sample(z, without, 1.0, draws, solver)
    need(same(plain, values, near) and same(plain_p, log_p, 1e-5), "at scale 1 the unconditional z must not matter")
    none, none_p = module.sample(z, without, 0.0, draws, solver)
    alone, alone_p = module.sample(without, None, 1.0, draws, solver)
    if space.codes:
        need(same(none, alone) and same(none_p, alone_p, 1e-5), "at scale 0 only the unconditional z must matter")


def solver(component: Any, rows: int = 4096) -> None:
    """The laws of a solver: values of N(m, s²) come out of the exact prediction of their noise, up to its step size."""
    toy, draws = Gaussian(), each("rows", rows)
    values = component.solve(toy.denoise, toy.betas, 2, draws)
    need(values.shape == (rows, 2) and values.isfinite().all(), "values must be finite and [R,D]")
    need(same(values, component.solve(toy.denoise, toy.betas, 2, draws)), "the same streams must give the same values")
    few = component.solve(toy.denoise, toy.betas, 2, draws[torch.arange(2, 4)])
    need(same(values[2:4], few, 1e-4), "the value of a token must not depend on its batch")
    # Four standard errors of either estimate, and a tenth for steps that are not infinitely small.
    off = (values.mean(0) - toy.mean).abs() / toy.deviation
    need((off < 4 / math.sqrt(rows) + 0.1).all(), "the mean must be that of the data")
    spread = (values.std(0) / toy.deviation - 1).abs()
    need((spread < 4 / math.sqrt(2 * rows) + 0.1).all(), "the standard deviation must be that of the data")


@torch.no_grad()
def extractor(component: Any) -> None:
    module = component.build()
    need(isinstance(module.id, str) and module.id == component.build().id, "the id must be a text, the same every time")
    need(not module.training, "the network must be in evaluation mode")
    for side in (8, 16, 20):
        images = torch.randint(256, (5, 3, side, side), dtype=torch.uint8, generator=seeded())
        said, again, few = module(images), module(images), module(images[1:3])
        need(said.features.ndim == 2 and said.features.isfinite().all(), "features must be finite and [B,F]")
        need(said.logits is None or (said.logits.ndim == 2 and len(said.logits) == 5), "logits must be [B,K]")
        need(same(said.features, again.features), "the same images must have the same features")
        near = 1e-4 * float(said.features.abs().max())
        need(same(said.features[1:3], few.features, near), "features must not depend on the batch")
        need((said.features.diff(dim=0).abs().amax(1) > 0).all(), "different images must have different features")


def metric(component: Any) -> None:
    first, second = torch.randn(2, 64, 4, dtype=torch.float64, generator=seeded())
    labels = torch.arange(64) % 3
    one, two = (Features(x, x[:, :3], labels) for x in (first, second + 1))
    kept = one.features.clone()
    for pair in ((one, one), (one, two), (Features(first), Features(second))):
        said = component(*pair)
        need(isinstance(said, Mapping), "a metric must name its numbers")
        need(all(math.isfinite(value) for value in said.values()), "the numbers must be finite, also for equal sets")
        need(said == component(*pair), "the same features must give the same numbers")
    need(bool(component(one, two)), "features with logits and labels must give some number")
    need(same(one.features, kept), "a metric must leave the features as they are")


def dataset(component: Any) -> None:
    data, again = component.load(), component.load()
    classes = len(data.class_names)
    need(data.fingerprint == again.fingerprint, "the same options must give the same images")
    need(bool(component.extractor), "a dataset must name an extractor for its images")
    need(bool(data.licence), "a dataset must say what licence its images are under")
    for images, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        need(images.dtype == torch.uint8 and images.ndim == 4 and len(images) > 0, "images must be uint8 [M,C,H,W]")
        need(tuple(images.shape[1:]) == data.shape, "training and held-out images must have one shape")
        if labels is not None:
            need(labels.dtype == torch.int64 and labels.shape == (len(images),), "labels must be int64 [M]")
            need(((labels >= 0) & (labels < classes)).all(), "labels must lie below the number of classes")


def process(component: Any, parts: Parts | None = None, space: TokenSpace | None = None) -> None:
    """The laws of a process, with the parts it asks for (toys if not given: they answer all that `masked` asks)."""
    joint = Joint.example()
    parts, space = parts or toy_parts(joint), space or joint.space
    torch.manual_seed(0)
    model = component.build(parts, space, joint.classes)
    need("network" in dict(model.named_children()), "the model must have a child `network`, by which NFE is counted")
    tokens, labels = tokens_of(space, 16), torch.arange(16) % joint.classes
    loss, again = (component.loss(model, parts, tokens, labels, seeded()) for _ in range(2))
    need(loss.shape == () and loss.isfinite(), "the loss must be one finite number")
    need(same(loss, again), "the same generator must give the same loss")
    loss.backward()
    slope = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])
    need(slope.isfinite().all() and (slope != 0).any(), "the loss must have a gradient, and a finite one")
    _finish(component, model.eval(), parts, space, labels[:7])


@torch.no_grad()
def _finish(component: Any, model: Any, parts: Parts, space: TokenSpace, labels: Tensor) -> None:
    def last(rows: Tensor) -> Tensor:
        request = Request(labels[rows], 4, each("images", 7)[rows], Streams.root(0, "shared"))
        states = list(component.sample(model, parts, space, request))
        need(1 <= len(states) <= 4, "sampling must take at least one step and at most as many as were asked for")
        need(not states[-1].mask.any(), "sampling must end with nothing masked")
        return states[-1].tokens  # type: ignore[no-any-return]

    all_rows, some = last(torch.arange(7)), torch.tensor([5, 0, 3])
    shape = tokens_of(space, 7).shape
    need(all_rows.shape == shape, "finished tokens must have the shape that the space says")
    need(same(all_rows, last(torch.arange(7))), "the same streams must give the same images")
    need(same(all_rows[some], last(some), 0 if space.codes else 1e-3), "an image must not depend on its batch")


_ALL: tuple[Callable[[Any], None], ...] = (
    *(process, dataset, tokenizer, network, head, mask_schedule, masking, loss_weighting),
    *(sampler, guidance_schedule, solver, extractor, metric),
)
LAWS: Mapping[str, Callable[[Any], None]] = {law.__name__: law for law in _ALL}
