"""DiT and SiT: diffusion and flow over all tokens of an image, with a time-conditional transformer.

DiT (Peebles and Xie, arXiv:2212.09748) is trained to predict the noise ε of x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε; SiT (Ma et
al., arXiv:2401.08740), by flow matching (Lipman et al., arXiv:2210.02747), the velocity ε − x_0 of x_t = (1 − t) x_0 +
t ε.

Unlike masked generation, they have no mask, mask schedule, sampler or head; every evaluation of the solver is one of
the whole network. Differences from the papers' code: the variance is not learned; the noise table is the cosine table
(arXiv:2102.09672, as in the head of MAR and eMIGM) instead of the linear one; position embeddings are learned; tokens
are those of the tokenizer.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from mgbench.components.heads.noise_schedule import STEPS, Table, cosine_betas
from mgbench.components.heads.solvers import Path, check_path
from mgbench.components.networks.blocks import check_heads
from mgbench.components.networks.timed import TimedTransformer
from mgbench.components.schedules.guidance_schedules import advise_label_drop
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.sampling import Request, State, Step, guided
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Count, Share


class DenoisingModel(nn.Module):
    """A model that consists of the network."""

    def __init__(self, network: TimedTransformer) -> None:
        super().__init__()
        self.network = network


@dataclass(frozen=True)
class Denoising(ABC):
    """The common part of `diffusion` and `flow`.

    `sampling_steps` replaces the `steps` of the solver; solvers of higher order may have several evaluations per step.
    The guidance schedule is evaluated at each of these, with the time of the noise as t and s. A share `label_drop` of
    the training images has no label.
    """

    width: Count = 64
    depth: Count = 4
    heads: Count = 4
    label_drop: Share = 0.1
    asks: ClassVar[tuple[str, ...]] = ("guidance_schedule", "solver")
    path: ClassVar[Path]
    # The initial time of the solver, where t = 1.
    span: ClassVar[float]

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)

    @abstractmethod
    def betas(self) -> Tensor:
        """The noise table float64 [T] of the solver; empty for the straight path."""

    @abstractmethod
    def disturb(self, x_0: Tensor, noise: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """x_t [B,N,D] at random times, those times [B] in [0, 1], and the target [B,N,D], from x_0 and noise [B,N,D]."""

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if space.codes:
            raise Unfit(
                "noise is added to vectors, and this tokenizer makes codes; take tokenizer=patch or another continuous one"
            )
        check_path(parts, self.path)
        own = {item.name: item.default for item in fields(parts.solver)}  # type: ignore[arg-type]
        if own.get("steps", MISSING) not in (MISSING, parts.solver.steps):
            raise Unfit(
                f"the solver has {parts.solver.steps} steps, but this process uses sampling_steps: set that, and leave "
                f"`steps` out of the solver"
            )

    def advise(self, parts: Parts, space: TokenSpace) -> tuple[str, ...]:
        return advise_label_drop(parts, self.label_drop)

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> DenoisingModel:
        return DenoisingModel(TimedTransformer(space, classes, self.width, self.depth, self.heads))

    def loss(self, model: DenoisingModel, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < self.label_drop
        noise = torch.randn(tokens.shape, generator=generator, device=tokens.device)
        x_t, t, target = self.disturb(tokens, noise, generator)
        predicted = model.network(x_t, t, labels.masked_fill(dropped, UNLABELLED))
        loss: Tensor = (predicted.float() - target).square().mean()
        return loss

    def sample(self, model: DenoisingModel, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        """Yield x_t float [B,N,D] after every step and x_0 at the end; no token is masked."""
        solver: Any = replace(parts.solver, steps=request.steps)  # type: ignore[type-var]
        shape = (len(request.labels), space.length, space.dim)
        looks = _Looks(model.network, parts, request, shape, self.span)
        betas = self.betas().to(request.labels.device)
        x = solver.solve(looks, betas, space.length * space.dim, request.images.fold(1))
        nothing = torch.zeros(shape[:2], dtype=torch.bool, device=x.device)
        for unfinished in [*looks.passed[1 : request.steps], x]:
            yield State(unfinished.reshape(shape), nothing)


class _Looks:
    """The guided prediction for solvers, with images as rows; `passed` collects x_t at each time."""

    def __init__(
        self, network: TimedTransformer, parts: Parts, request: Request, shape: tuple[int, int, int], span: float
    ) -> None:
        self.network, self.parts, self.request, self.shape, self.span = network, parts, request, shape, span
        self.passed: list[Tensor] = []
        self._last: float | None = None

    def __call__(self, x: Tensor, time: float) -> tuple[Tensor, None]:
        # The first evaluation of a step is often at the time of the last one before.
        if time != self._last:
            self.passed.append(x)
            self._last = time
        t, total = time / self.span, self.request.steps
        scale = self.parts.guidance_schedule(Step(min(len(self.passed), total) - 1, total, t, t, t, t))
        return self._guided(x.reshape(self.shape), torch.full((1,), t, device=x.device), scale).flatten(1), None

    def _guided(self, x: Tensor, t: Tensor, scale: float) -> Tensor:
        labels = self.request.labels
        if scale == 1:
            plain: Tensor = self.network(x, t, labels)
            return plain
        both = torch.cat([labels, torch.full_like(labels, UNLABELLED)])
        with_label, without = self.network(torch.cat([x, x]), t, both).chunk(2)
        return guided(with_label, without, scale)


@dataclass(frozen=True)
class Diffusion(Denoising):
    """Predict ε of x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, t one of 1,000 times of the cosine table (DiT, arXiv:2212.09748)."""

    path: ClassVar[Path] = "noise"
    span: ClassVar[float] = STEPS
    solver: ClassVar[str] = "dpmpp_multistep"

    def betas(self) -> Tensor:
        return cosine_betas()

    def disturb(self, x_0: Tensor, noise: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        time = torch.randint(STEPS, (len(x_0),), generator=generator, device=x_0.device)
        alpha_bar = Table(self.betas()).alpha_bar.to(x_0.device)[time, None, None]
        return alpha_bar.sqrt().float() * x_0 + (1 - alpha_bar).sqrt().float() * noise, time / self.span, noise


@dataclass(frozen=True)
class Flow(Denoising):
    """Predict ε − x_0 of x_t = (1 − t) x_0 + t ε, t uniform in [0, 1] (SiT, arXiv:2401.08740; arXiv:2210.02747, Eq. 22)."""

    path: ClassVar[Path] = "velocity"
    span: ClassVar[float] = 1.0
    solver: ClassVar[str] = "heun"

    def betas(self) -> Tensor:
        return torch.empty(0, dtype=torch.float64)

    def disturb(self, x_0: Tensor, noise: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        t = torch.rand(len(x_0), generator=generator, device=x_0.device)
        return torch.lerp(x_0, noise, t[:, None, None]), t, noise - x_0


# As many parameters and training images as eMIGM's recipe; the guidance measured best on the bundled digits.
DIT = Recipe.of(
    process="diffusion",
    tokenizer="patch(size=2)",
    solver="dpmpp_multistep",
    guidance_schedule="interval(low=0.3, high=0.8, inner=constant(scale=1.5))",
    train_steps=3200,
    ema=0.998,
)

BIBTEX = r"""
@misc{ma2024sit,
  title = {{SiT}: Exploring Flow and Diffusion-based Generative Models with Scalable Interpolant Transformers},
  author = {Ma, Nanye and Goldstein, Mark and Albergo, Michael S. and Boffi, Nicholas M. and Vanden-Eijnden, Eric and
            Xie, Saining},
  year = {2024},
  eprint = {2401.08740},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"diffusion": Diffusion, "flow": Flow}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {
        "dit": DIT,
        "dit-unguided": DIT.change(guidance_schedule="none"),
        "dit-unlabelled": DIT.change(guidance_schedule="none", labels=False),
        "sit": DIT.change(process="flow", solver="heun"),
    }


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
