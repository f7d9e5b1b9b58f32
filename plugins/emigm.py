"""eMIGM: effective and efficient masked image generation models (You et al., arXiv:2503.07197).

The choices the paper ends with: the mask schedule exp(rate=5), weight 1, an encoder of the visible tokens only, times below 0.2
left out of training, guidance inside an interval with the mask token as "no label", and a DPM-Solver++ for the head.
The official code (github.com/ML-GSAI/eMIGM) differs from the paper in places; options named `clamp` and `shared` are its way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from mgbench.bibtex import by_key
from mgbench.components.maskings import Truncation, draw_levels, truncated
from mgbench.components.selection import in_random_order, lowest
from mgbench.hookspecs import hookimpl
from mgbench.kinds import MaskSchedule, TokenSpace
from mgbench.recipe import Recipe
from mgbench.spec import Share
from mgbench.steps import Looks, Step, View
from mgbench.streams import Streams


@dataclass(frozen=True)
class Shared:
    """One time and one count for the whole batch, at positions of each image's own: the official code's draw.

    The count is how many of N tokens were masked independently with probability γ((1 − ε)·t + ε), ε = 0.001, drawn again
    until it is at least 2. A time below `t_min` becomes t_min (`clamp`, the code) or is drawn again (`truncate`, the paper).
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
    """Masked diffusion's reverse process with one count for all images: each step reveals Binomial(masked, 1 − γ(s)/γ(t)) tokens.

    At least one a step, and in the last step all that are left, as the official `sample_tokens` does. The counts are drawn
    once for a whole run (the official code: once a batch), so that an image does not depend on its batch.
    """

    looks: ClassVar[Looks] = "mask"

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

    def choose(self, view: View, step: Step, draws: Streams) -> Tensor:
        return in_random_order(view, step, draws)


# The paper's choices; width, budget and guidance interval are those that measured best on the embedded digits, whose 16
# tokens are far from the 256 of ImageNet (there: scale 4 in (0.1, 0.3], 16 steps).
EMIGM = Recipe.of(
    tokenizer="patch(size=2)",
    network="mae",
    head="diffusion(repeats=2)",
    mask_schedule="exp(rate=5.0)",
    masking="shared(t_min=0.2)",
    loss_weighting="uniform",
    time_grid="uniform(end=1e-5)",
    sampler="ancestral_shared",
    guidance_schedule="interval(low=0.1, high=0.7, inner=constant(scale=2.0))",
    solver="dpmpp_multistep(steps=8)",
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
"""


@hookimpl
def mgbench_maskings() -> dict[str, type]:
    return {"shared": Shared}


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"ancestral_shared": AncestralShared}


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
