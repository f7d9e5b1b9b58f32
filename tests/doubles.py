"""Components for tests, as a plugin file of its own: a process of another kind, and parts that fail in known ways.

Loaded the way a stranger's file is: `find(doubles.FILE)`.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from mgbench.errors import Diverged, Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import LossWeighting, MaskSchedule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.modules import Fitting
from mgbench.interfaces.sampling import Request, Requires, SamplerInput, State, Step
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Part

FILE = str(Path(__file__).resolve())

# The least that trains and samples: a second on one core.
TINY = Recipe(
    tokenizer="patch(size=4)",
    network="mae(width=16, depth=1, heads=2)",
    head="diffusion(width=16, depth=1, noise_samples=1)",
    mask_schedule="cosine",
    sampler="random_order",
    guidance_schedule="none",
    solver="dpmpp_multistep(steps=2)",
    train_steps=6,
    batch_size=16,
    warmup_steps=2,
    sampling_steps=2,
    samples=20,
)


class GaussianModel(nn.Module):
    """A mean for every class (the last row: no label), and one standard deviation, of all tokens of an image."""

    def __init__(self, space: TokenSpace, classes: int) -> None:
        super().__init__()
        self.network = nn.Embedding(classes + 1, space.length * space.dim)
        self.log_std = nn.Parameter(torch.zeros(space.length * space.dim))
        # Nothing asks a model to use all of its parameters.
        self.idle = nn.Parameter(torch.zeros(3))


@dataclass(frozen=True)
class Gaussian:
    """Tokens of a class are one Gaussian: shares tokenizer, guidance, metrics and costs with `masked`, and nothing else."""

    asks: ClassVar[tuple[str, ...]] = ("guidance_schedule",)

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if space.codes:
            raise Unfit("a Gaussian needs tokens that are vectors")

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> GaussianModel:
        return GaussianModel(space, classes)

    def loss(self, model: Any, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        dropped = torch.rand(labels.shape, generator=generator) < 0.1
        mean = model.network(_rows(model, labels.masked_fill(dropped, -1)))
        error = (tokens.flatten(1) - mean) / model.log_std.exp()
        return (0.5 * error.square() + model.log_std).mean()

    def sample(self, model: Any, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        batch = len(request.labels)
        noise = request.images.normal(space.length * space.dim).float()
        for index in range(request.steps):
            t, s = 1 - index / request.steps, 1 - (index + 1) / request.steps
            scale = parts.guidance_schedule(Step(index, request.steps, t, s, t, s))
            mean = _mean(model, request.labels, scale)
            tokens = (mean + (1 - s) * noise * model.log_std.exp()).reshape(batch, space.length, space.dim)
            yield State(tokens, torch.full((batch, space.length), index + 1 < request.steps))


@dataclass(frozen=True)
class Pupil(Gaussian):
    """Starts as its teacher, another Gaussian, and moves its means to those of it times `factor`."""

    factor: float = 2.0
    needs_teacher: ClassVar[bool] = True

    def check_teacher(self, parts: Parts, taught_by: Parts) -> None:
        if not isinstance(taught_by.process, Gaussian):
            raise Unfit("a pupil learns from a Gaussian")

    def begin(self, model: Any, parts: Parts) -> None:
        model.load_state_dict(parts.teacher.model.state_dict())

    def loss(self, model: Any, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        rows = _rows(model, labels)
        return (model.network(rows) - self.factor * parts.teacher.model.network(rows)).square().mean()


def _rows(model: Any, labels: Tensor) -> Tensor:
    return labels % model.network.num_embeddings


def _mean(model: Any, labels: Tensor, scale: float) -> Tensor:
    if scale == 1:
        mean: Tensor = model.network(_rows(model, labels))
        return mean
    with_label, without = model.network(_rows(model, torch.cat([labels, torch.full_like(labels, -1)]))).chunk(2)
    return without + scale * (with_label - without)


@dataclass(frozen=True)
class NotANumber:
    """A weighting that makes every loss NaN."""

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        return torch.full(mask.shape, torch.nan)


@dataclass(frozen=True)
class Raises:
    """A weighting that fails as code under development does."""

    message: str = "two tensors disagree"

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        raise RuntimeError(self.message)


@dataclass(frozen=True)
class Kills:
    """A weighting whose process is ended by the system in the middle of training."""

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return mask / mask.sum()


def _hoard() -> None:
    held = []
    while True:
        held.append(bytearray(2**24))


def _loop() -> None:
    while True:
        time.sleep(0.05)


_MISDEEDS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(0),
    "leave": lambda: sys.exit(3),
    "segfault": lambda: ctypes.string_at(0),
    "hoard": _hoard,
    "loop": _loop,
}


@dataclass(frozen=True)
class Misbehaves:
    """A weighting that ends its process, never comes back, or takes all the memory there is."""

    how: Literal["exit", "leave", "segfault", "hoard", "loop"]

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        _MISDEEDS[self.how]()
        return mask / mask.sum()


@dataclass(frozen=True)
class Slow:
    """Weight 1, after a while."""

    seconds: float = 0.05

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return mask / mask.sum()


@dataclass(frozen=True)
class AtRank:
    """Uniform weights, but for one of the ranks that train together, which has another weighting."""

    rank: int
    weighting: Annotated[LossWeighting, Part("loss_weighting")]

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        if torch.distributed.get_rank() == self.rank:
            return self.weighting(schedule, t, mask)
        return mask / mask.sum()


@dataclass(frozen=True)
class LateFailure:
    """A sampler that fails at its first step of several images: what was trained is kept, its rows are not."""

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Any) -> Iterable[Step]:
        return [Step(0, 1, 1.0, 0.0, 1.0, 0.0)]

    def choose(self, view: SamplerInput, step: Step, rng: Any) -> Tensor:
        if len(view.mask) > 1:
            raise ValueError("no plan")
        return torch.zeros_like(view.mask)


class CountedModule(nn.Module):
    """Pixels as they are, once fitting has told its steps."""

    def __init__(self, shape: tuple[int, int, int], steps: int, failure: str) -> None:
        super().__init__()
        channels, height, width = shape
        self.shape, self.steps, self.failure = shape, steps, failure
        self.space = TokenSpace(4, channels * height * width // 4)
        self.fitted = nn.Parameter(torch.zeros(()), requires_grad=False)

    def fit(self, images: Tensor, seed: int) -> Fitting:
        for step in range(1, self.steps + 1):
            yield step, self.steps, 1 / step
            if self.failure == "raises":
                raise RuntimeError("no codebook")
            if self.failure == "diverges":
                raise Diverged("the loss became nan")
            while self.failure == "takes for ever":
                time.sleep(0.01)
        self.fitted.fill_(1)

    def encode(self, images: Tensor) -> Tensor:
        return self.fitted * (images.float() / 127.5 - 1).reshape(len(images), 4, -1)

    def decode(self, tokens: Tensor) -> Tensor:
        pixels = (tokens.reshape(-1, *self.shape) + 1) * 127.5
        return pixels.round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Counted:
    """A tokenizer that has to be fitted, in so many steps, and may fail at it."""

    steps: int = 3
    failure: str = ""

    def build(self, shape: tuple[int, int, int]) -> CountedModule:
        return CountedModule(shape, self.steps, self.failure)


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {"counted": Counted}


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"gaussian": Gaussian, "pupil": Pupil}


@hookimpl
def mgbench_loss_weightings() -> dict[str, type]:
    return {
        "not_a_number": NotANumber,
        "raises": Raises,
        "kills": Kills,
        "slow": Slow,
        "misbehaves": Misbehaves,
        "at_rank": AtRank,
    }


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"late_failure": LateFailure}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {
        "tiny": TINY,
        "gaussian": Recipe(
            process="gaussian", tokenizer="patch(size=4)", train_steps=6, batch_size=16, samples=20, sampling_steps=2
        ),
    }
