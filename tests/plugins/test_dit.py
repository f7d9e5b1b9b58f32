import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from diffusers import DDPMScheduler
from mgbench_plugins.dit import DIT, Denoising, Diffusion, Flow, mgbench_recipes
from mgbench_plugins.emigm import EMIGM
from torch import Tensor, nn

from mgbench.components.heads.noise_schedule import STEPS, Table, cosine_betas
from mgbench.components.heads.solvers import DPMSolver
from mgbench.components.networks.timed import TimedTransformer
from mgbench.components.schedules.guidance_schedules import Constant, Interval, Unguided
from mgbench.interfaces.components import Predict
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, Step
from mgbench.recipes.spec import hints
from mgbench.registry.prepared import token_space
from mgbench.registry.resolve import Assembly, assemble
from mgbench.stages.cost import Meter
from mgbench.testing.noisy_toys import Straight
from mgbench.testing.toys import Joint, toy_parts
from tests.laws.registered import built, registry

JOINT = Joint.example()
SPACE = TokenSpace(2, 2)
IMAGES = 4096


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def request(images: int = 6, steps: int = 10, label: int = 0) -> Request:
    streams = Streams.root(0, "images").fold(torch.arange(images))
    return Request(torch.full((images,), label), steps, streams, Streams.root(0, "shared"))


class Oracle(nn.Module):
    """The exact prediction for images of one Gaussian law, in which all numbers of all tokens depend on each other."""

    def __init__(self, process: Denoising) -> None:
        super().__init__()
        mix = torch.randn(4, 4, generator=seeded(), dtype=torch.float64)
        self.mean, self.covariance = torch.tensor([0.7, -0.4, 0.1, 0.3]).double(), 0.2 * mix @ mix.T
        self.process, self.network = process, self

    def shares(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """How much of x_0 and of the noise there is in x_t."""
        if self.process.path == "velocity":
            return 1 - t, t
        # Between the times of the table, as solvers interpolate it.
        log_kept, at = Table(cosine_betas()).alpha_bar.log(), (t * STEPS).clamp(0, STEPS - 1)
        low = at.long()
        high = (low + 1).clamp_max(STEPS - 1)
        alpha_bar = torch.lerp(log_kept[low], log_kept[high], at - low).exp()
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        coef_x0, coef_noise = (share[:, None] for share in self.shares(t.double()))
        eye = torch.eye(4, dtype=torch.float64)
        spread = coef_x0[..., None] ** 2 * self.covariance + coef_noise[..., None] ** 2 * eye
        rest = torch.linalg.solve(spread, (x.flatten(1).double() - coef_x0 * self.mean)[..., None])[..., 0]
        noise, start = coef_noise * rest, self.mean + coef_x0 * (rest @ self.covariance)
        return (noise - start if self.process.path == "velocity" else noise).float().reshape(x.shape)


@dataclass(frozen=True)
class TwoLooks:
    """Looks at every time but the first twice, as a solver of second order does."""

    path: ClassVar[str] = "velocity"
    steps: int = 10

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        x = rng.fold(0).normal(dim).float()
        for step in range(self.steps):
            t, s = 1 - step / self.steps, 1 - (step + 1) / self.steps
            slope = predict(x, t)[0]
            if s > 0:
                slope = (slope + predict(x + (s - t) * slope, s)[0]) / 2
            x = x + (s - t) * slope
        return x


PATHS = [(Diffusion(), DPMSolver(), 40), (Flow(), TwoLooks(), 40), (Flow(), Straight(), 80)]


@pytest.mark.parametrize(("process", "solver", "steps"), PATHS)
def test_with_the_exact_prediction_images_follow_their_law(process: Denoising, solver: Any, steps: int) -> None:
    oracle = Oracle(process)
    *_, last = process.sample(oracle, toy_parts(JOINT, solver=solver), SPACE, request(IMAGES, steps))
    values = last.tokens.flatten(1).double()
    error = 4 / math.sqrt(IMAGES)
    deviation = oracle.covariance.diagonal().sqrt()
    assert ((values.mean(0) - oracle.mean).abs() / deviation < error + 0.03).all()
    correlation = (values.T.cov() - oracle.covariance) / deviation[:, None] / deviation
    assert correlation.abs().max() < 2 * error + 0.05


@pytest.mark.parametrize("process", [Diffusion(), Flow()])
def test_the_loss_of_the_exact_prediction_is_what_cannot_be_known(process: Denoising) -> None:
    """The mean over t of the variance of ε, or of ε − x_0, given x_t: no prediction has a lower loss."""
    oracle, parts = Oracle(process), toy_parts(JOINT)
    root = torch.linalg.cholesky(oracle.covariance)
    x_0 = oracle.mean + torch.randn(60_000, 4, generator=seeded(), dtype=torch.float64) @ root.T
    loss = process.loss(oracle, parts, x_0.float().reshape(-1, 2, 2), torch.zeros(60_000).long(), seeded())
    times = torch.arange(STEPS) / STEPS + (0 if process.path == "noise" else 0.5 / STEPS)
    coef_x0, coef_noise = (share[:, None] for share in oracle.shares(times.double()))
    spectrum = torch.linalg.eigvalsh(oracle.covariance)
    total = coef_x0**2 * spectrum + coef_noise**2
    # Of ε the part that x_t hides; a velocity is (ε − x_0)'s share of the same hidden direction, once over by both shares.
    hidden = coef_x0**2 * spectrum / total
    if process.path == "velocity":
        hidden = spectrum / total
    assert float(loss) == pytest.approx(float(hidden.mean()), rel=0.02)
    off = nn.Module()
    off.network = lambda *inputs: oracle(*inputs) + 0.3
    worse = process.loss(off, parts, x_0.float().reshape(-1, 2, 2), torch.zeros(60_000).long(), seeded())
    assert float(worse - loss) == pytest.approx(0.09, rel=0.1)


def test_noise_is_added_as_diffusers_adds_it() -> None:
    x_0, noise = torch.randn(2, 64, 2, 2, generator=seeded())
    x_t, t, target = Diffusion().disturb(x_0, noise, seeded())
    scheduler = DDPMScheduler(STEPS, beta_schedule="squaredcos_cap_v2")
    theirs = scheduler.add_noise(x_0, noise, (t * STEPS).round().long())
    torch.testing.assert_close(x_t, theirs, rtol=1e-3, atol=1e-3)
    assert target is noise


def test_the_flow_is_a_straight_line_whose_slope_is_to_be_predicted() -> None:
    x_0, noise = torch.randn(2, 64, 2, 2, generator=seeded())
    x_t, t, target = Flow().disturb(x_0, noise, seeded())
    torch.testing.assert_close(x_t - t[:, None, None] * target, x_0)
    assert (t.min() < 0.1, t.max() > 0.9) == (True, True)


class Labelled(nn.Module):
    """Predicts a number for a label, another for none; notes the times and labels it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.network: Callable[..., Tensor] = self
        self.asked: list[tuple[float, int]] = []

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        self.asked.append((float(t), len(labels)))
        return torch.where(labels < 0, 1.0, 3.0)[:, None, None].expand(x.shape)


@dataclass(frozen=True)
class Noting:
    """Scale 2, and what it was asked."""

    steps: list[Step] = field(default_factory=list)

    def __call__(self, step: Step) -> float:
        self.steps.append(step)
        return 2.0


def test_guidance_moves_away_from_the_prediction_without_a_label() -> None:
    parts = toy_parts(JOINT, solver=Straight(), guidance_schedule=Constant(2.0))
    asked = request()
    *_, last = Flow().sample(Labelled(), parts, SPACE, asked)
    # The velocity is 1 + 2·(3 − 1) all the way from t = 1 to 0.
    start = asked.images.fold(1).fold(0).normal(4).float().reshape(-1, 2, 2)
    torch.testing.assert_close(last.tokens, start - 5, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("solver", [Straight(), TwoLooks()])
def test_guidance_is_asked_by_step_and_at_the_time_of_the_noise(solver: Any) -> None:
    noting, model = Noting(), Labelled()
    list(Flow().sample(model, toy_parts(JOINT, solver=solver, guidance_schedule=noting), SPACE, request()))
    assert [step.t for step in noting.steps] == pytest.approx([t for t, _ in model.asked])
    assert all(step.total == 10 and step.share_now == step.t for step in noting.steps)
    by_step = {step.index: step.t for step in noting.steps}
    assert list(by_step) == list(range(10)), "a second look at a time belongs to the step that begins there"
    assert list(by_step.values()) == pytest.approx([1 - index / 10 for index in range(10)])


def test_the_pass_without_a_label_is_made_inside_the_interval_only() -> None:
    inside = Interval(0.25, 0.65, Constant(2.0))
    model = Labelled()
    list(Flow().sample(model, toy_parts(JOINT, solver=Straight(), guidance_schedule=inside), SPACE, request()))
    assert [(round(t, 3), rows) for t, rows in model.asked] == [
        (step / 10, 12 if 0.25 < step / 10 <= 0.65 else 6) for step in range(10, 0, -1)
    ]


# What T steps take, where it is not T.
EVALUATIONS = {"heun": lambda steps: 2 * steps - 1}


# A solver around another one has no number of steps to set.
WITH_STEPS = sorted(name for name, offer in registry().names("solver").items() if "steps" in hints(offer.maker))


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("name", WITH_STEPS)
def test_nfe_is_what_the_solver_takes_and_twice_that_with_guidance(name: str, steps: int) -> None:
    solver = built("solver", name)
    process = Diffusion(16, 1, 2) if solver.path == "noise" else Flow(16, 1, 2)
    model = process.build(toy_parts(JOINT), SPACE, 2)
    for guidance, times in ((Unguided(), 1), (Constant(1.0), 1), (Constant(1.5), 2)):
        meter = Meter()
        with meter.watch(model), torch.no_grad():
            parts = toy_parts(JOINT, solver=solver, guidance_schedule=guidance)
            states = list(process.sample(model, parts, SPACE, request(3, steps)))
        assert meter.rows["network"] == 3 * times * EVALUATIONS.get(name, int)(steps)
        assert len(states) == steps
        assert all(state.tokens.shape == (3, 2, 2) and not state.mask.any() for state in states)


def test_time_and_label_reach_every_block() -> None:
    torch.manual_seed(0)
    module = TimedTransformer(SPACE, 3, 16, 2, 2)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    x, t, labels = torch.randn(2, 2, 2), torch.tensor([0.3, 0.3]), torch.tensor([0, 0])
    same, moved, other, none = (
        module(x, t, labels),
        module(x, t + 0.2, labels),
        module(x, t, labels + 1),
        module(x, t, labels - 1),
    )
    for different in (moved, other, none):
        assert (same - different).abs().min() > 1e-4
    torch.testing.assert_close(module(x, t[:1], labels), same)


def test_it_starts_by_predicting_nothing() -> None:
    module = TimedTransformer(SPACE, 3, 64, 4, 4)
    assert not module(torch.randn(2, 2, 2), torch.rand(2), torch.tensor([0, -1])).any()


def parameters(assembly: Assembly) -> int:
    model = assembly.parts.process.build(assembly.parts, token_space(assembly.parts, assembly.data), assembly.classes)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together_at_the_size_and_budget_of_emigm(name: str) -> None:
    recipe = mgbench_recipes()[name]
    ours, theirs = (assemble(registry(), one) for one in (recipe, EMIGM))
    assert ours.unfit == ""
    assert parameters(ours) == pytest.approx(parameters(theirs), rel=0.1)
    for budget in ("train_steps", "batch_size", "ema", "dataset", "tokenizer", "precision"):
        assert getattr(recipe, budget) == getattr(EMIGM, budget)


def test_guidance_is_no_reason_to_train_again() -> None:
    keys = {name: assemble(registry(), recipe).keys for name, recipe in mgbench_recipes().items()}
    assert keys["dit"].training == keys["dit-unguided"].training != keys["dit-unlabelled"].training
    assert keys["dit"].run != keys["dit-unguided"].run


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tokenizer": "kmeans"}, "noise is added to vectors, and this tokenizer makes codes"),
        ({"process": "flow", "solver": "ddim"}, "the model predicts a velocity, and this solver needs noise"),
        ({"labels": False}, "labels=False"),
        ({"solver": "dpmpp_multistep(steps=4)"}, "the solver has 4 steps"),
        ({"process": "flow", "solver": "heun(steps=9)"}, "leave `steps` out of the solver"),
    ],
)
def test_what_it_cannot_work_with_is_skipped_with_a_reason(fields: dict[str, Any], reason: str) -> None:
    assert reason in assemble(registry(), DIT.change(**fields)).unfit


def test_a_width_that_the_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width \(10\) must be a multiple of heads \(4\)"):
        Flow(width=10)
