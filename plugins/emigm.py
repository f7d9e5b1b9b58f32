"""eMIGM: effective and efficient masked image generation models (You et al., arXiv:2503.07197).

The final choices of the paper: the mask schedule exp(rate=5), weight 1, an encoder of visible tokens only, training
times of at least 0.2, guidance in an interval with the mask token as "no label", and DPM-Solver++ for the head. The
official code (github.com/ML-GSAI/eMIGM) differs from the paper in places; the options `clamp` and `shared` follow the
code.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from mgbench.components.heads.noise_schedule import interpolated, once
from mgbench.components.heads.solvers import LEAST_LOG_RATIO
from mgbench.components.samplers.plans import in_random_order, lowest
from mgbench.components.schedules.maskings import Truncation, draw_levels, truncated
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import MaskSchedule, Predict
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Count, Share


@dataclass(frozen=True)
class Shared:
    """One time and one number of masked tokens per batch, at random positions in each image: the official code
    (arXiv:2503.07197).

    The number is binomial, of N tokens with probability γ((1 − ε)·t + ε), ε = 0.001, and redrawn until it is at least
    2. A time below `t_min` is raised to it (`clamp`, the code) or drawn again (`truncate`, the paper).
    """

    t_min: Share = 0.2
    truncation: Truncation = "clamp"
    EPSILON: ClassVar[float] = 1e-3

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        count = torch.zeros((), dtype=torch.int64)
        while count < min(2, tokens):
            level = draw_levels(1, "independent", generator)
            t = self.EPSILON + (1 - self.EPSILON) * truncated(level, self.t_min, self.truncation)
            count = (torch.rand(tokens, generator=generator, device=generator.device) < schedule(t)).sum()
        scores = torch.rand(batch, tokens, generator=generator, device=generator.device)
        return lowest(scores, torch.ones_like(scores, dtype=torch.bool), count.expand(batch)), t.expand(batch)


@dataclass(frozen=True)
class AncestralShared:
    """The reverse process of masked diffusion with equal counts in all images: Binomial(masked, 1 − γ(s)/γ(t)) tokens
    per step.

    As in the official `sample_tokens` (arXiv:2503.07197), it reveals at least one token per step, and all in the last.
    The counts are drawn once per run (in the official code, once per batch), so that an image does not depend on its
    batch.
    """

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        gamma, tokens, steps = schedule(times), space.length, len(times) - 1
        masked = tokens
        for index in range(steps):
            last = index == steps - 1
            odds = 1.0 if last else 1 - float(gamma[index + 1] / gamma[index])
            drawn = int((shared.fold(index).uniform(tokens)[:masked] < odds).sum())
            reveal = masked if last else max(1, drawn)
            then = masked - reveal
            yield Step(
                index, steps, times[index].item(), times[index + 1].item(), masked / tokens, then / tokens, reveal
            )
            if not then:
                return
            masked = then

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return in_random_order(view, step, rng)


@dataclass(frozen=True)
class NoiseCurve:
    """log α [N] at the times 1/N, 2/N, …, 1, linear in between; σ² = 1 − α², and λ = log(α/σ); `table` is the length T
    of the table that it was made from.
    """

    log_alpha: Tensor
    table: int

    @classmethod
    def of(cls, betas: Tensor, dtype: torch.dtype) -> "NoiseCurve":
        """The curve of a table float64 [T] without times where λ < −5.1."""
        log_alpha = 0.5 * torch.log1p(-betas.cpu()).cumsum(0)
        in_range = log_alpha - 0.5 * torch.log(-torch.expm1(2 * log_alpha)) >= LEAST_LOG_RATIO
        return cls(log_alpha[in_range].to(dtype), len(betas))

    @property
    def first(self) -> float:
        """The smallest time, 1/N."""
        return 1 / len(self.log_alpha)

    @property
    def times(self) -> Tensor:
        """The times float [N] of the values of log α."""
        return torch.linspace(0, 1, len(self.log_alpha) + 1, dtype=self.log_alpha.dtype)[1:]

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """α, σ and λ at times [M]."""
        log_alpha = interpolated(t, self.times, self.log_alpha)
        # Without expm1, because the rounding in float32 is part of the official solver's path.
        noise = 1 - torch.exp(2 * log_alpha)
        return log_alpha.exp(), noise.sqrt(), log_alpha - 0.5 * noise.log()

    def grid(self, start: float, end: float, parts: int) -> Tensor:
        """Times [M], M = `parts` + 1, from start to end, uniform in λ."""
        ends = self.at(self.log_alpha.new_tensor([start, end]))[2]
        ratios = torch.linspace(ends[0].item(), ends[1].item(), parts + 1, dtype=ends.dtype)
        log_alpha = -0.5 * torch.logaddexp(torch.zeros_like(ratios), -2 * ratios)
        return interpolated(log_alpha, self.log_alpha.flip(0), self.times.flip(0))


@dataclass(frozen=True)
class DPMSolver3S:
    """Singlestep DPM-Solver++ of order 3 with `steps` evaluations, uniform in λ = log(α/σ): the solver of eMIGM's code.

    It has the form without Taylor expansions (arXiv:2211.01095, and Algorithm 2 of arXiv:2206.00927 for predictions of
    x_0). Times of the table with λ < −5.1 are dropped, and the N others rescaled to i/N; the head is evaluated at (t −
    1/N)·T, which is fractional. It ends at 1/N, without a step to x_0. In float32, as in the official code, results
    differ from float64 by up to 3e-4.
    """

    path: ClassVar[Literal["noise"]] = "noise"
    steps: Count = 8
    precision: Literal["float32", "float64"] = "float32"

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        dtype = torch.float64 if self.precision == "float64" else torch.float32
        updates = once(betas, (self.steps, self.precision), lambda: updates_along(betas, self.steps, dtype))

        def noise(x: Tensor, time: float) -> Tensor:
            eps, _ = predict(x.float(), time)
            return eps.to(dtype)

        x = rng.fold(0).normal(dim).float().to(dtype)
        for update in updates:
            x = update(noise, x)
        return x.float()


def updates_along(betas: Tensor, evaluations: int, dtype: torch.dtype) -> list["Update"]:
    """The updates from pure noise to the first time of a table float64 [T]."""
    curve, each = NoiseCurve.of(betas, dtype), orders(evaluations)
    outer = curve.grid(1.0, curve.first, len(each)).tolist()
    return [Update.along(curve, curve.grid(*ends, order)) for order, ends in zip(each, pairwise(outer), strict=True)]


def orders(evaluations: int) -> list[int]:
    """The orders of the updates, whose sum is the number of evaluations: 3, with one or two lower orders at the end."""
    threes, rest = divmod(evaluations, 3)
    return [3] * threes + [rest] if rest else [3] * (threes - 1) + [2, 1]


@dataclass(frozen=True)
class Update:
    """An update of DPM-Solver++ between two noise levels: an evaluation at the first, and at levels in between.

    With D_0, D_1, … the values x_0 that follow from the evaluations, x at level i is stay·x − move·D_0 + turn·(D_{i−1} −
    D_0), with the weights of that level (`targets`), which are the same for every token. `evaluations` has the time on
    the scale of the table, α and σ of each evaluation.
    """

    evaluations: tuple[tuple[float, float, float], ...]
    targets: tuple[tuple[float, float, float], ...]

    @classmethod
    def along(cls, curve: NoiseCurve, times: Tensor) -> "Update":
        """The update from the first to the last of the times [M], with an evaluation at each but the last."""
        alpha, sigma, ratio = curve.at(times)
        steps = (ratio - ratio[0])[1:]
        shares, decay = steps / steps[-1], torch.expm1(-steps)
        stay, move = sigma[1:] / sigma[0], alpha[1:] * decay
        bend = alpha[1:] * (decay / steps + 1)
        turn = torch.zeros_like(steps)
        if len(steps) == 2:
            turn[1] = -0.5 / shares[0] * move[1]
        elif len(steps) == 3:
            turn[1], turn[2] = shares[1] / shares[0] * bend[1], bend[2] / shares[1]
        evaluated = torch.stack([(times - curve.first) * curve.table, alpha, sigma], 1)[:-1]
        return cls(tuple(evaluated.tolist()), tuple(torch.stack([stay, move, turn], 1).tolist()))

    def __call__(self, noise: Callable[[Tensor, float], Tensor], x: Tensor) -> Tensor:
        """Integrate x [R,D], given the noise [R,D] in values [R,D] at a time on the scale of the table."""
        here, known = x, list[Tensor]()
        for (time, alpha, sigma), (stay, move, turn) in zip(self.evaluations, self.targets, strict=True):
            known.append((here - sigma * noise(here, time)) / alpha)
            here = stay * x - move * known[0]
            if turn:
                here = here + turn * (known[-1] - known[0])
        return here


# The choices of the paper; width, budget and guidance interval measured best on the bundled digits, with 16 tokens
# instead of the 256 of ImageNet (there: scale 4 in (0.1, 0.3], 16 steps). The official solver measured better there
# than dpmpp_multistep at 8 evaluations (FID 2.28 and 2.52 against 2.50 and 3.15 on two seeds, 1,200 training steps, 16
# sampling steps), and a little worse at 14 (2.02 and 2.25 against 1.93 and 2.23).
EMIGM = Recipe.of(
    tokenizer="patch(size=2)",
    network="mae",
    head="diffusion(noise_samples=2)",
    mask_schedule="exp(rate=5.0)",
    masking="shared(t_min=0.2)",
    loss_weighting="uniform",
    time_grid="uniform(end=1e-5)",
    sampler="ancestral_shared",
    guidance_schedule="interval(low=0.1, high=0.7, inner=constant(scale=2.0))",
    solver="dpmpp_3s(steps=8)",
    train_steps=3200,
    ema=0.998,
)

BIBTEX = r"""
@misc{you2025effective,
  title = {Effective and Efficient Masked Image Generation Models},
  author = {You, Zebin and Ou, Jingyang and Zhang, Xiaolu and Hu, Jun and Zhou, Jun and Li, Chongxuan},
  year = {2025},
  eprint = {2503.07197},
  archivePrefix = {arXiv},
}

@misc{lu2022dpmsolver,
  title = {{DPM-Solver}: A Fast {ODE} Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps},
  author = {Lu, Cheng and Zhou, Yuhao and Bao, Fan and Chen, Jianfei and Li, Chongxuan and Zhu, Jun},
  year = {2022},
  eprint = {2206.00927},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_maskings() -> dict[str, type]:
    return {"shared": Shared}


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"ancestral_shared": AncestralShared}


@hookimpl
def mgbench_solvers() -> dict[str, type]:
    return {"dpmpp_3s": DPMSolver3S}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {
        "emigm": EMIGM,
        "emigm-unguided": EMIGM.change(guidance_schedule="none"),
        "emigm-unlabelled": EMIGM.change(guidance_schedule="none", labels=False),
    }


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
