"""Laws of the kinds used in training: data sets, tokenizers, mask schedules, maskings, loss weightings and networks."""

import math

import torch
from torch import Tensor

from mgbench.interfaces.components import Dataset, LossWeighting, Masking, MaskSchedule, Network, Tokenizer
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.modules import NetworkModule, TokenizerModule
from mgbench.testing.checks import (
    accepted,
    leaves_random_state,
    need,
    on_its_device,
    same,
    seeded,
    stirred,
    tokens_of,
    unchanged,
)
from mgbench.testing.toys import Line


def dataset(component: Dataset) -> None:
    data, again = component.load(), component.load()
    classes = len(data.class_names)
    need(data.fingerprint == again.fingerprint, "the same options must give the same images")
    need(bool(component.extractor), "a dataset must name an extractor for its images")
    need(bool(data.licence), "a dataset must say what licence its images are under")
    for images, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        need(
            images.dtype == torch.uint8 and len(images.shape) == 4 and len(images) > 0, "images must be uint8 [M,C,H,W]"
        )
        need(tuple(images.shape[1:]) == data.shape, "training and held-out images must have one shape")
        if labels is not None:
            need(labels.dtype == torch.int64 and labels.shape == (len(images),), "labels must be int64 [M]")
            need(((labels >= 0) & (labels < classes)).all(), "labels must lie below the number of classes")


def tokenizer(component: Tokenizer) -> None:
    images = torch.randint(256, (64, 3, 8, 8), dtype=torch.uint8, generator=seeded())
    module, again, loaded = (component.build((3, 8, 8)) for _ in range(3))
    _fit(module, images)
    with unchanged(images):
        space, tokens = module.space, module.encode(images)
    need(tokens.shape == tokens_of(space, len(images)).shape, "tokens must be [B,N] or [B,N,D] as the space says")
    if space.codes:
        need(tokens.dtype == torch.int64, "codes must be int64")
        need(((tokens >= 0) & (tokens < space.codes)).all(), "codes must lie below the number of codes")
    else:
        need(tokens.is_floating_point() and tokens.isfinite().all(), "continuous tokens must be finite numbers")
    need(space.grid is None or math.prod(space.grid) == space.length, "the grid must hold all tokens")
    with unchanged(tokens):
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
    torch.rand(1)
    _fit(again, images)
    need(same(again.encode(images), tokens, 1e-5), "the same seed must fit the same tokenizer")


def _fit(module: TokenizerModule, images: Tensor) -> None:
    told = list(module.fit(images, 0))
    steps = [step for step, _, _ in told]
    need(steps == sorted(set(steps)) and all(step >= 1 for step in steps), "the steps of fitting must rise from 1")
    need(all(total == steps[-1] for _, total, _ in told), "fitting must tell its last step, and how many there are")
    need(all(math.isfinite(loss) for _, _, loss in told), "the loss of fitting must be a number")


@leaves_random_state
def mask_schedule(component: MaskSchedule) -> None:
    for dtype in (torch.float32, torch.float64):
        t = torch.linspace(0, 1, 257, dtype=dtype)
        with unchanged(t):
            gamma = component(t)
        need(gamma.shape == t.shape and gamma.dtype == dtype, "γ(t) must have the shape and dtype of t")
        need(((gamma >= 0) & (gamma <= 1)).all(), "γ must lie in [0, 1]")
        need((gamma.diff() >= -1e-6).all(), "γ must never fall")
        need(gamma[0] <= 0.05 and gamma[-1] >= 0.9, "γ(0) must be about 0, and γ(1) about 1")
        need(same(component(t.reshape(1, -1)[:, ::2])[0], gamma[::2], 1e-6), "γ must be computed elementwise")
    # Not at round numbers, where a table may have corners, nor at the ends, where slopes may be infinite.
    inside = (torch.linspace(0.01, 0.98, 98, dtype=torch.float64) + 0.00271828).requires_grad_()
    (slope,) = torch.autograd.grad(component(inside).sum(), inside)
    measured = (component(inside + 1e-6) - component(inside - 1e-6)).detach() / 2e-6
    need(slope.isfinite().all() and same(slope, measured, 1e-3), "γ must be differentiable between 0 and 1")
    on_its_device(lambda: component(torch.empty(9, device="meta")))


@leaves_random_state
def masking(component: Masking) -> None:
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


@leaves_random_state
def loss_weighting(component: LossWeighting) -> None:
    mask = torch.rand(33, 8, generator=seeded()).argsort(1) < torch.arange(33)[:, None] % 8 + 1
    for dtype in (torch.float32, torch.float64):
        t = torch.linspace(0, 1, 33, dtype=dtype)
        for schedule in (Line(), lambda t: torch.sin(math.pi / 2 * t)):
            with unchanged(t, mask):
                weight = component(schedule, t, mask)
            need(weight.shape == mask.shape and weight.dtype == dtype, "the weights must be [B,N], of the dtype of t")
            need(weight.isfinite().all(), "the weights must be finite, also at t = 0 and t = 1")
            # At t = 1 the slope of a schedule may be 0, or negative by rounding.
            sound = (weight[:-1] >= 0).all() and (weight[-1] > -1e-6).all()
            need(sound and (weight[:-1][mask[:-1]] > 0).all(), "the weights of masked tokens must be positive")
            need(not weight.requires_grad, "the weights must be constants to the gradient")
            turned = component(schedule, t, mask.flip(1))
            need(same(turned, weight.flip(1), 1e-6), "no position may count more than another")


def network(component: Network) -> None:
    for space, _ in accepted(component):
        torch.manual_seed(0)
        module = stirred(component.build(space, 4))
        _look_at(module, space)
        unlabelled = stirred(component.build(space, 0))
        everything = torch.ones(2, space.length, dtype=torch.bool)
        z = unlabelled(tokens_of(space, 2), everything, torch.full((2,), UNLABELLED))
        need(z.isfinite().all(), "a network without classes must work")


@torch.no_grad()
def _look_at(module: NetworkModule, space: TokenSpace) -> None:
    batch, length = 5, space.length
    tokens, labels = tokens_of(space, batch), torch.tensor([0, 1, 2, 3, UNLABELLED])
    # All masked, one visible, one masked, and in between, in one batch.
    counts = torch.tensor([length, length - 1, 1, 2, 3])
    mask = torch.rand(batch, length, generator=seeded()).argsort(1) < counts[:, None]
    with unchanged(tokens, mask, labels):
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
