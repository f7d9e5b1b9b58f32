"""MeanFlow: one-step generation with the average velocity between two times (Geng et al., arXiv:2505.13447).

With x_t = (1 − t) x_0 + t ε, trajectories of the velocity v of `flow` are curved, so that solvers need many small
steps. The average velocity u(x_t, s, t) = 1/(t − s)·∫ v dτ from s to t takes one step: x_s = x_t − (t − s)·u. It
satisfies v = u + (t − s)·du/dt along the flow, which is the training target; du/dt is a Jacobian-vector product by
forward-mode differentiation, without gradients.

MeanFlow uses the tangent ε − x_0 of the data; improved MeanFlow (Geng et al., arXiv:2512.02012), the default, uses that
of the network, v ≈ u(x_t, t, t), so that the target depends only on x_t. Guidance can be trained in (`guidance`), which
needs no extra evaluations in sampling; a guidance schedule can be used too, and doubles them where it is not 1.

With DistributedDataParallel, gradients of calls that bypass its forward, as in a Jacobian-vector product of the bare
network, are silently not synchronised. Here the whole loss is the wrapped forward; a test checks the gradients.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from mgbench_plugins.emigm import EMIGM
from torch import Generator, Tensor, nn

from mgbench.components.heads.mean_velocity import MeanVelocity, as_wide, balanced, draw_times, velocity_of
from mgbench.components.heads.mlp import FREQUENCIES, TokenMLP
from mgbench.components.networks.blocks import check_heads, time_features
from mgbench.components.networks.linear import Linear
from mgbench.components.networks.timed import SLOW_TICKS, TimedTransformer
from mgbench.components.schedules.guidance_schedules import advise_label_drop
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Drawn, Request, State, Step, guided
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Count, NotNegative, Positive, Share

Tangent = Literal["predicted", "data"]


class MeanFlowModel(nn.Module):
    """A model that consists of the network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


@dataclass(frozen=True)
class MeanFlow:
    """Generate all tokens of an image in `sampling_steps` evaluations, usually 1 to 4 (arXiv:2505.13447).

    A share `apart` of the training images has two different times; for the others training is that of `flow`.
    `guidance` is the trained-in scale. Errors are divided by their magnitude to the `power`.
    """

    width: Count = 64
    depth: Count = 4
    heads: Count = 4
    label_drop: Share = 0.1
    apart: Share = 0.5
    tangent: Tangent = "predicted"
    guidance: Positive = 1.0
    power: NotNegative = 1.0
    asks: ClassVar[tuple[str, ...]] = ("guidance_schedule",)

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)

    def check(self, parts: Parts, space: TokenSpace) -> None:
        _need_vectors("mean_flow takes noise", space)
        if self.guidance != 1 and not parts.labels:
            raise Unfit("guidance needs labels, and this model has none; leave out guidance or labels=False")

    def advise(self, parts: Parts, space: TokenSpace) -> tuple[str, ...]:
        return advise_label_drop(parts, self.label_drop)

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> MeanFlowModel:
        return MeanFlowModel(TimedTransformer(space, classes, self.width, self.depth, self.heads, spans=True))

    def loss(self, model: MeanFlowModel, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < self.label_drop
        noise = torch.randn(tokens.shape, generator=generator, device=tokens.device)
        t, span = draw_times(len(tokens), self.apart, generator)
        x_t, labels = torch.lerp(tokens, noise, as_wide(t, tokens)), labels.masked_fill(dropped, UNLABELLED)

        def mean(x: Tensor, t: Tensor, span: Tensor) -> Tensor:
            return model.network(x, t, labels, span)  # type: ignore[no-any-return]

        target = self._target(model, x_t, t, labels, noise - tokens)
        velocity = velocity_of(mean, x_t, t, span, self._tangent(mean, x_t, t, target))
        errors = (velocity.float() - target).square().flatten(1).mean(1)
        return balanced(errors, self.power).mean()

    @torch.no_grad()
    def _target(self, model: MeanFlowModel, x_t: Tensor, t: Tensor, labels: Tensor, velocity: Tensor) -> Tensor:
        """The target velocity [B,N,D], with guidance relative to the prediction without a label (arXiv:2505.13447)."""
        if self.guidance == 1:
            return velocity
        without = model.network(x_t, t, torch.full_like(labels, UNLABELLED), torch.zeros_like(t))
        return torch.where(as_wide(labels == UNLABELLED, velocity), velocity, guided(velocity, without, self.guidance))

    @torch.no_grad()
    def _tangent(self, mean: MeanVelocity, x_t: Tensor, t: Tensor, target: Tensor) -> Tensor:
        return target if self.tangent == "data" else mean(x_t, t, torch.zeros_like(t)).to(x_t.dtype)

    def sample(self, model: MeanFlowModel, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        """Yield x_s float [B,N,D] after each of equal steps from t = 1 to 0; no token is masked."""
        labels, total = request.labels, request.steps
        x = request.images.fold(1).fold(0).normal(space.length * space.dim).float()
        x = x.reshape(len(labels), space.length, space.dim)
        nothing = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        for index in range(total):
            t, s = 1 - index / total, 1 - (index + 1) / total
            scale = parts.guidance_schedule(Step(index, total, t, s, t, s))
            x = x - (t - s) * _guided(model.network, x, t, t - s, labels, scale)
            yield State(x, nothing)


def _guided(network: nn.Module, x: Tensor, t: float, span: float, labels: Tensor, scale: float) -> Tensor:
    at, over = (torch.full((1,), number, device=x.device) for number in (t, span))
    if scale == 1:
        return network(x, at, labels, over)  # type: ignore[no-any-return]
    both = torch.cat([labels, torch.full_like(labels, UNLABELLED)])
    with_label, without = network(torch.cat([x, x]), at, both, over).chunk(2)
    return guided(with_label, without, scale)


def _need_vectors(what: str, space: TokenSpace) -> None:
    if space.codes:
        raise Unfit(
            f"{what} from vectors, and this tokenizer makes codes; take tokenizer=patch or another continuous one"
        )


class MeanFlowMLP(TokenMLP):
    """Predicts the average velocity [R,D] at noisy tokens x [R,D] and times t [R], over spans [R], given z [R,W]."""

    def __init__(self, options: "MeanFlowHead", dim: int, condition: int) -> None:
        super().__init__(dim, dim, condition, options.width, options.depth, options.noise_samples)
        self.options = options
        width = options.width
        self.span = nn.Sequential(Linear(2 * FREQUENCIES, width), nn.SiLU(), Linear(width, width))

    def forward(  # type: ignore[override]
        self, x: Tensor, t: Tensor, z: Tensor, span: Tensor | None = None
    ) -> tuple[Tensor, None]:
        embedded = self.embedded(SLOW_TICKS * t, x.dtype)
        if span is not None:
            embedded = embedded + self.span(time_features(SLOW_TICKS * span, FREQUENCIES).to(x.dtype))
        return self.numbers(x, embedded, z), None

    def draw_times(self, rows: int, generator: Generator) -> Tensor:
        return torch.stack(draw_times(rows, self.options.apart, generator), 1)

    def loss_terms(self, z: Tensor, values: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor]:
        """Squared velocity error [R] of values [R,D] at times and spans [R,2] with noise [R,D]."""
        time, span = t.unbind(1)

        def mean(x: Tensor, t: Tensor, span: Tensor) -> Tensor:
            return self(x, t, z, span)[0]  # type: ignore[no-any-return]

        x_t, velocity = torch.lerp(values, noise, time[:, None]), noise - values
        with torch.no_grad():
            tangent = mean(x_t, time, torch.zeros_like(time)).to(x_t.dtype)
        errors = (velocity_of(mean, x_t, time, span, tangent).float() - velocity).square().mean(-1)
        return (balanced(errors, self.options.power),)

    def sample(
        self, z: Tensor, z_uncond: Tensor | None, scale: float, rng: Streams, parts: Parts, temperature: float = 1.0
    ) -> Drawn:
        """Sample values [R,D] given z [R,W] with one evaluation, x_0 = ε − u(ε, 0, 1), or two with guidance, in one
        batch.
        """
        noise, one = rng.fold(0).normal(self.dim).float(), torch.ones(1, device=z.device)
        if z_uncond is None:
            return Drawn(noise - self(noise, one, z, one)[0])
        both, _ = self(torch.cat([noise, noise]), one, torch.cat([z, z_uncond]), one)
        with_label, without = both.chunk(2)
        return Drawn(noise - guided(with_label, without, scale))


@dataclass(frozen=True)
class MeanFlowHead:
    """A head with one evaluation per token: MeanFlow of one token given z, with the tangent of improved MeanFlow
    (arXiv:2512.02012).

    Each token is used with `noise_samples` noise levels per training step.
    """

    width: Count = 64
    depth: Count = 3
    noise_samples: Count = 4
    apart: Share = 0.5
    power: NotNegative = 1.0
    asks: ClassVar[tuple[str, ...]] = ()

    def check(self, parts: Parts, space: TokenSpace) -> None:
        _need_vectors("the mean_flow head takes noise", space)

    def build(self, space: TokenSpace, width: int) -> MeanFlowMLP:
        return MeanFlowMLP(self, space.dim, width)


# As many parameters and training images as eMIGM's recipe, with trained-in guidance: one evaluation per image.
MEAN_FLOW = Recipe.of(
    process="mean_flow(guidance=1.5)",
    tokenizer="patch(size=2)",
    guidance_schedule="none",
    train_steps=3200,
    ema=0.998,
)

# eMIGM with a head of one evaluation per token.
MEAN_HEAD = EMIGM.change(head="mean_flow(noise_samples=2)", solver=None)

BIBTEX = r"""
@misc{geng2025mean,
  title = {Mean Flows for One-step Generative Modeling},
  author = {Geng, Zhengyang and Deng, Mingyang and Bai, Xingjian and Kolter, J. Zico and He, Kaiming},
  year = {2025},
  eprint = {2505.13447},
  archivePrefix = {arXiv},
}

@misc{geng2025improved,
  title = {Improved Mean Flows: On the Challenges of Fastforward Generative Models},
  author = {Geng, Zhengyang and Lu, Yiyang and Wu, Zongze and Shechtman, Eli and Kolter, J. Zico and He, Kaiming},
  year = {2025},
  eprint = {2512.02012},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"mean_flow": MeanFlow}


@hookimpl
def mgbench_heads() -> dict[str, type]:
    return {"mean_flow": MeanFlowHead}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {
        "mean_flow": MEAN_FLOW,
        "mean_flow-unguided": MEAN_FLOW.change(process="mean_flow"),
        "mean_flow-head": MEAN_HEAD,
    }


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
