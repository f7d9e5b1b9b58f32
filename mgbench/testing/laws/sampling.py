"""Laws of the kinds used in sampling: time grids, samplers, guidance schedules, reuse, code draws, heads and solvers."""

import math
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from mgbench.interfaces.components import (
    CodeDraw,
    GuidanceSchedule,
    Head,
    HeadModule,
    Parts,
    Reuse,
    Sampler,
    Solver,
    TimeGrid,
)
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.optional import (
    evaluations,
)
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step
from mgbench.testing.checks import (
    accepted,
    each,
    leaves_random_state,
    need,
    on_its_device,
    same,
    seeded,
    stirred,
    tokens_of,
    unchanged,
)
from mgbench.testing.noisy_toys import Gaussian
from mgbench.testing.toys import Evenly, Line


@leaves_random_state
def time_grid(component: TimeGrid) -> None:
    for steps in (1, 2, 7, 64, 1000):
        times = component(steps)
        need(times.shape == (steps + 1,) and times.dtype == torch.float64, "the times must be float64 [steps + 1]")
        need(times[0] == 1 and 0 <= times[-1] <= 0.01, "the times must lead from 1 to about 0")
        need((times.diff() < 0).all(), "the times must fall")
        need(same(times, component(steps)), "the same number of steps must give the same times")


@leaves_random_state
def guidance_schedule(component: GuidanceSchedule) -> None:
    for index in range(20):
        t, s = 1 - index / 20, 1 - (index + 1) / 20
        scale = component(Step(index, 20, t, s, t, s))
        sound = isinstance(scale, float | int) and math.isfinite(scale) and scale >= 0
        need(sound, "the scale must be a number, finite and not negative")


@leaves_random_state
def reuse(component: Reuse) -> None:
    for total in (1, 2, 7, 64):
        plan = [Step(index, total, 1 - index / total, 1 - (index + 1) / total, 1, 0) for index in range(total)]
        asked = [component(step) for step in plan]
        need(set(asked) <= {"all", "labelled", "nothing"}, 'what is asked must be "all", "labelled" or "nothing"')
        need(asked[0] == "all", "in the first step nothing is known, and all must be asked")
        need(asked == [component(step) for step in plan], "the same step must get the same answer")


@leaves_random_state
def sampler(component: Sampler) -> None:
    for length, steps in ((16, 1), (16, 5), (16, 16), (16, 40), (1, 3)):
        space = TokenSpace(length, 1, codes=3, grid=(1, length))
        plan = _plan(component, space, steps)
        for logits in (torch.randn(5, length, 3, generator=seeded()), torch.linspace(0, 4, length * 3).expand(5, -1)):
            _drive(component, plan, space, logits.reshape(5, length, 3).double(), each("images", 5))


def _plan(component: Sampler, space: TokenSpace, steps: int) -> list[Step]:
    times = Evenly()(steps)
    plan, again = (list(component.plan(Line(), space, times, Streams.root(0, "shared"))) for _ in range(2))
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


def _drive(component: Sampler, plan: list[Step], space: TokenSpace, logits: Tensor, images: Streams) -> None:
    mask = torch.ones(logits.shape[:2], dtype=torch.bool)
    log_p = torch.log_softmax(logits, -1)[..., 0]
    for step in plan:
        view = _seen(component, space, mask, log_p, logits)
        with unchanged(mask, log_p, logits):
            then = component.choose(view, step, images)
        need(then.shape == mask.shape and then.dtype == torch.bool, "the mask after a step must be bool [B,N]")
        need(same(then, component.choose(view, step, images)), "the same streams must choose the same")
        some = torch.tensor([3, 1])
        few = component.choose(_seen(component, space, mask[some], log_p[some], logits[some]), step, images[some])
        need(same(then[some], few), "what an image reveals must not depend on its batch")
        if step.reveal is not None:
            need(((mask & ~then).sum(1) == step.reveal).all(), "an image must reveal as many tokens as the step says")
            left = round(step.share_then * space.length)
            need(
                (then.sum(1) == left).all(), "an image must be left with the share of tokens masked that the step says"
            )
        mask = then
    need(not mask.any(), "after the last step nothing may be masked")


def _seen(component: Sampler, space: TokenSpace, mask: Tensor, log_p: Tensor, logits: Tensor) -> SamplerInput:
    """The input that the process would give to the sampler."""
    everywhere = torch.ones_like(mask)
    shown = {"mask": ~mask, "values": everywhere, "logits": everywhere, "everything": everywhere}[component.requires]
    where = {"mask": None, "values": None, "logits": mask, "everything": everywhere}[component.requires]
    seen = None if where is None else logits.masked_fill(~where[..., None], 0)
    return SamplerInput(space, mask, log_p.masked_fill(~shown, 0), seen)


@leaves_random_state
def code_draw(component: CodeDraw) -> None:
    logits = torch.randn(7, 5, dtype=torch.float64, generator=seeded())
    with unchanged(logits):
        drawn = component(logits)
    need(drawn.shape == logits.shape and drawn.dtype == torch.float64, "the logits must stay float64 [R,K]")
    best = logits.argmax(-1, keepdim=True)
    need((drawn.argmax(-1, keepdim=True) == best).all(), "the likeliest code must stay the likeliest")
    need(drawn.gather(-1, best).isfinite().all() and not drawn.isnan().any(), "some code must be left, and none be NaN")
    need(same(component(logits[2:4]).exp(), drawn[2:4].exp()), "what may be drawn must not depend on the batch")
    on_its_device(lambda: component(torch.empty(7, 5, dtype=torch.float64, device="meta")))


def head(component: Head) -> None:
    for space, parts in accepted(component):
        torch.manual_seed(0)
        module = stirred(component.build(space, 8))
        z, rows = torch.randn(7, 8, generator=seeded(), requires_grad=True), tokens_of(space, 7)[:, 0]
        with unchanged(z, rows):
            loss, again = (module.loss(z, rows, seeded()) for _ in range(2))
        need(loss.shape == (7,) and loss.isfinite().all(), "the loss must be finite and [R]")
        need(same(loss, again), "the same generator must give the same loss")
        loss.mean().backward()  # type: ignore[no-untyped-call]
        slope = torch.zeros_like(z) if z.grad is None else z.grad
        need(slope.isfinite().all() and (slope != 0).any(), "the loss must have a gradient in z")
        _draw_from(module, space, parts, z.detach(), torch.randn(7, 8, generator=seeded(1)))


@torch.no_grad()
def _draw_from(module: HeadModule, space: TokenSpace, parts: Parts, z: Tensor, without: Tensor) -> None:
    rows, rng = len(z), each("rows", len(z))
    with unchanged(z):
        drawn = module.sample(z, None, 1.0, rng, parts)
    values, log_p = drawn.values, drawn.log_p
    if space.codes:
        need(values.shape == (rows,) and values.dtype == torch.int64, "codes must be int64 [R]")
        need(((values >= 0) & (values < space.codes)).all(), "codes must lie below the number of codes")
        need(drawn.logits is not None and drawn.logits.shape == (rows, space.codes), "logits must be [R,K]")
        need(
            drawn.logits is not None and drawn.logits.dtype == torch.float64,
            "what codes are drawn from must be float64",
        )
    else:
        need(values.shape == (rows, space.dim) and values.isfinite().all(), "values must be finite numbers [R,D]")
    ranked = log_p is None or (log_p.shape == (rows,) and (log_p <= 0).all())
    need(ranked, "log-probabilities must be [R], never above 0")
    near = 0 if space.codes else 1e-4
    need(same(values, module.sample(z, None, 1.0, rng, parts).values), "the same streams must give the same values")
    few = module.sample(z[2:4], None, 1.0, rng[torch.arange(2, 4)], parts)
    need(same(values[2:4], few.values, near), "the value of a token must not depend on its batch")
    plain = module.sample(z, without, 1.0, rng, parts)
    unmoved = same(plain.values, values, near) and same(plain.log_p, log_p, 1e-5)
    need(unmoved, "at scale 1 the unconditional z must not matter")
    none, alone = module.sample(z, without, 0.0, rng, parts), module.sample(without, None, 1.0, rng, parts)
    if space.codes:
        only = same(none.values, alone.values) and same(none.log_p, alone.log_p, 1e-5)
        need(only, "at scale 0 only the unconditional z must matter")
        cold = module.sample(z, None, 1.0, rng, parts, 0.0)
        likeliest = None if cold.logits is None else cold.logits.argmax(-1)
        need(same(cold.values, likeliest), "at temperature 0 the likeliest code must be drawn")


@leaves_random_state
def solver(component: Solver, rows: int = 4096) -> None:
    """The laws of a solver: with exact predictions for N(m, s²), its values have this distribution up to its step size."""
    toy, rng = Gaussian(), each("rows", rows)
    exact, betas = toy.prediction(component.path)
    times: list[float] = []

    def predict(x: Tensor, time: float) -> tuple[Tensor, Tensor | None]:
        times.append(time)
        return exact(x, time)

    values = component.solve(predict, betas, 2, rng)
    need(values.shape == (rows, 2) and values.isfinite().all(), "values must be finite and [R,D]")
    promised = evaluations(component)
    need(len(times) == promised, "a solver must evaluate the head as often as it promises")
    known = min(times) >= 0 and max(times) <= (len(betas) or 1)
    need(known, "a solver must ask at times that the table has, or in [0, 1] on the straight line")
    need(same(values, component.solve(exact, betas, 2, rng)), "the same streams must give the same values")
    few = component.solve(exact, betas, 2, rng[torch.arange(2, 4)])
    need(same(values[2:4], few, 1e-4), "the value of a token must not depend on its batch")

    def short(x: Tensor, time: float) -> tuple[Tensor, Tensor | None]:
        need(x.dtype == torch.float32, "between evaluations values must stay float32 where predictions have 16 bits")
        guess, value = exact(x, time)
        return guess.bfloat16(), None if value is None else value.bfloat16()

    kept = component.solve(short, betas, 2, rng[:4]).dtype == torch.float32
    need(kept, "between evaluations values must stay float32 where predictions have 16 bits")
    # Four standard errors of each estimate, plus 0.1 for the discretisation.
    off = (values.mean(0) - toy.mean).abs() / toy.deviation
    need((off < 4 / math.sqrt(rows) + 0.1).all(), "the mean must be that of the data")
    spread = (values.std(0) / toy.deviation - 1).abs()
    need((spread < 4 / math.sqrt(2 * rows) + 0.1).all(), "the standard deviation must be that of the data")

    _ends(component)


def _ends(component: Solver, rows: int = 512) -> None:
    """With one step, two, and more steps than a noise table has times: correct mean, and no larger standard deviation."""
    if "steps" not in getattr(component, "__dataclass_fields__", {}):
        return
    toy, path = Gaussian(), component.path
    exact, betas = toy.prediction(path)
    for steps in (1, 2, len(betas) + 100):
        times: list[float] = []

        def predict(x: Tensor, time: float, times: list[float] = times) -> tuple[Tensor, Tensor | None]:
            times.append(time)
            return exact(x, time)

        solver = replace(component, steps=steps)  # type: ignore[type-var]
        try:
            values = solver.solve(predict, betas, 2, each("rows", rows))
        except ValueError as reason:
            need(steps > len(betas) and bool(str(reason)), "only more steps than the table has times may be refused")
            continue
        need(len(times) == evaluations(solver), "a solver must evaluate the head as often as it promises, or refuse")
        off = (values.mean(0) - toy.mean).abs() / toy.deviation
        need((off < 4 / math.sqrt(rows) + 0.1).all(), f"after {steps} steps the mean must be that of the data")
        wide = values.std(0) / toy.deviation - 1
        need(
            (wide < 4 / math.sqrt(2 * rows) + 0.1).all(),
            f"after {steps} steps the spread must be no larger than the data's",
        )
