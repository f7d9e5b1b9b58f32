import math
import multiprocessing
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from mgbench_plugins.emigm import EMIGM
from mgbench_plugins.mean_flow import MeanFlow, MeanFlowHead, mgbench_recipes
from torch import Tensor, nn

from mgbench.components.heads.mean_velocity import balanced, draw_times, velocity_of
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request
from mgbench.registry.prepared import token_space
from mgbench.registry.resolve import assemble
from mgbench.stages.cost import Meter
from mgbench.stages.flops import FlopCounter
from mgbench.stages.train import LossModule
from mgbench.testing.toys import Joint, Unpushed, toy_parts
from tests.laws.registered import built, registry

SPACE = TokenSpace(2, 2)
MEAN = torch.tensor([[0.7, -0.4], [0.1, 0.3]], dtype=torch.float64)
DEVIATION = torch.tensor([[0.5, 0.9], [0.2, 1.3]], dtype=torch.float64)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def law_at(t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of x_t of Gaussian images."""
    t = t.double().reshape(-1, 1, 1)
    return (1 - t) * MEAN, ((1 - t) ** 2 * DEVIATION**2 + t**2).sqrt()


class Oracle(nn.Module):
    """The exact mean velocity of Gaussian images, whose flow stretches every number about a moving mean."""

    def __init__(self) -> None:
        super().__init__()
        self.network = self

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None, span: Tensor) -> Tensor:
        (mean_t, deviation_t), (mean_s, deviation_s) = law_at(t), law_at(t - span)
        apart = span.double().reshape(-1, 1, 1)
        there = mean_s + deviation_s / deviation_t * (x.double() - mean_t)
        start = t.double().reshape(-1, 1, 1)
        slope = (start - (1 - start) * DEVIATION**2) / deviation_t**2
        velocity = slope * (x.double() - mean_t) - MEAN
        safe = torch.where(apart == 0, 1.0, apart)
        return torch.where(apart == 0, velocity, (x.double() - there) / safe)


def request(images: int, steps: int) -> Request:
    streams = Streams.root(0, "images").fold(torch.arange(images))
    return Request(torch.zeros(images).long(), steps, streams, Streams.root(0, "shared"))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_with_the_exact_mean_velocity_one_step_draws_the_law(steps: int) -> None:
    *_, last = MeanFlow().sample(Oracle(), toy_parts(Joint.example()), SPACE, request(4000, steps))
    noise = request(4000, 1).images.fold(1).fold(0).normal(4).float().reshape(-1, 2, 2)
    torch.testing.assert_close(last.tokens.double(), MEAN + DEVIATION * noise.double(), rtol=1e-5, atol=1e-5)


def test_the_mean_velocity_obeys_its_identity() -> None:
    """u + (t − s)·du/dt is the velocity at t, wherever the way began."""
    oracle, x = Oracle(), torch.randn(50, 2, 2, generator=seeded(), dtype=torch.float64)
    t, span = torch.linspace(0.3, 0.99, 50).double(), torch.linspace(0.01, 0.29, 50).double()
    velocity = oracle(x, t, None, torch.zeros_like(t))
    found = velocity_of(lambda x, t, span: oracle(x, t, None, span), x, t, span, velocity)
    torch.testing.assert_close(found, velocity, rtol=1e-8, atol=1e-8)
    other = velocity_of(lambda x, t, span: oracle(x, t, None, span), x, t, span, velocity + 1)
    assert (other - velocity).abs().max() > 0.01


def test_no_gradient_goes_through_the_derivative() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    x, t = torch.ones(3, 2), torch.tensor([0.5, 0.6, 0.7])
    velocity_of(lambda x, t, span: weight * x * t[:, None], x, t, t / 2, torch.zeros_like(x)).sum().backward()
    # d/dw of w·x·t, and nothing of span·w·x.
    assert weight.grad == pytest.approx(2 * 1.8)


def test_pytorchs_own_old_function_warns_nobody() -> None:
    def mean(x: torch.Tensor, t: torch.Tensor, span: torch.Tensor) -> torch.Tensor:
        warnings.warn("`torch.jit.script` is deprecated.", FutureWarning, stacklevel=1)
        return x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        velocity_of(mean, torch.zeros(2, 3), torch.ones(2), torch.zeros(2), torch.ones(2, 3))


def test_times_are_one_but_in_a_share_of_rows_and_in_order() -> None:
    t, span = draw_times(20_000, 0.3, seeded())
    assert ((span >= 0) & (span <= t) & (t < 1)).all()
    assert float((span > 0).double().mean()) == pytest.approx(0.3, abs=0.015)


def test_the_weight_of_an_error_changes_its_gradient_only() -> None:
    errors = torch.tensor([0.1, 4.0], requires_grad=True)
    told = balanced(errors, 1.0)
    assert told.tolist() == pytest.approx([0.1, 4.0])
    told.sum().backward()
    assert errors.grad is not None
    assert errors.grad.tolist() == pytest.approx([1 / 0.101, 1 / 4.001])


class Trained:
    """A process trained on Gaussian images of its own."""

    def __init__(self, process: MeanFlow, steps: int = 300) -> None:
        self.process, self.parts = process, toy_parts(Joint.example())
        torch.manual_seed(0)
        self.model = process.build(self.parts, SPACE, 0)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=3e-3)
        rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
        generator = seeded()
        for _ in range(steps):
            x_0 = (MEAN + DEVIATION * torch.randn(256, 2, 2, generator=generator, dtype=torch.float64)).float()
            loss = process.loss(self.model, self.parts, x_0, torch.full((256,), -1), generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()

    @torch.no_grad()
    def spread(self, steps: int) -> Tensor:
        """How far the deviations of what is drawn are from those of the images, as shares."""
        *_, last = self.process.sample(self.model, self.parts, SPACE, request(4000, steps))
        return (last.tokens.std(0) / DEVIATION - 1).abs().max()


@pytest.mark.slow
def test_one_evaluation_of_a_trained_network_draws_most_of_the_spread_of_the_images() -> None:
    trained = Trained(MeanFlow(width=32, depth=2, heads=2))
    assert trained.spread(1) < 0.35
    # Along the velocity alone, one step goes to the mean of all images.
    assert Trained(MeanFlow(width=32, depth=2, heads=2, apart=0.0)).spread(1) > 0.5


def test_guidance_trained_in_moves_the_target_away_from_no_label() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, t: Tensor, labels: Tensor, span: Tensor) -> Tensor:
            return torch.where(labels < 0, 1.0, 3.0)[:, None, None].expand_as(x)

    model = nn.Module()
    model.network = Two()
    x, t, velocity = torch.zeros(2, 2, 2), torch.rand(2), torch.full((2, 2, 2), 5.0)
    target = MeanFlow(guidance=2.0)._target(model, x, t, torch.tensor([0, -1]), velocity)
    assert target[:, 0, 0].tolist() == [9.0, 5.0]
    unlabelled = toy_parts(Joint.example(), labels=False)
    with pytest.raises(Exception, match="guidance needs labels"):
        MeanFlow(guidance=2.0).check(unlabelled, SPACE)


@pytest.mark.parametrize(("scale", "times"), [(Unpushed(), 1), (built("guidance_schedule", "constant"), 2)])
def test_nfe_is_the_number_of_steps(scale: Any, times: int) -> None:
    parts = toy_parts(Joint.example(), guidance_schedule=scale)
    process = MeanFlow(16, 1, 2)
    model, meter = process.build(parts, SPACE, 2), Meter()
    with meter.watch(model), torch.no_grad():
        assert len(list(process.sample(model, parts, SPACE, request(3, 2)))) == 2
    assert meter.rows["network"] == 3 * 2 * times


@pytest.mark.slow
def test_the_head_asks_once_a_token_and_learns_its_law() -> None:
    torch.manual_seed(0)
    module = MeanFlowHead(width=32, depth=2).build(TokenSpace(1, 2), 4)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 300)
    generator = seeded()
    for _ in range(300):
        # The token is known from z up to a spread of 0.3.
        z = torch.randn(128, 4, generator=generator)
        values = z[:, :2] + 0.3 * torch.randn(128, 2, generator=generator)
        loss = module.loss(z, values, generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    z, meter = torch.randn(2000, 4, generator=generator), Meter()
    holder = nn.ModuleDict({"head": module})
    with meter.watch(holder), torch.no_grad():
        drawn = module.sample(z, None, 1.0, Streams.root(0, "rows").fold(torch.arange(2000)), Parts()).values
    assert meter.rows["head"] == 2000
    rest = drawn - z[:, :2]
    assert rest.mean(0).abs().max() < 0.1
    # Of their spread of 0.3 a short training has about half.
    assert ((rest.std(0) > 0.1) & (rest.std(0) < 0.45)).all()


def test_its_arithmetic_is_counted() -> None:
    """A Jacobian-vector product is counted too: more than a plain forward and backward."""
    counted = []
    for apart in (MeanFlow(16, 1, 2), built("process", "flow")):
        parts = toy_parts(Joint.example())
        model = apart.build(parts, SPACE, 2)
        with FlopCounter() as counter:
            apart.loss(model, parts, torch.randn(8, 2, 2), torch.zeros(8).long(), seeded()).backward()
        counted.append(counter.get_total_flops() / sum(one.numel() for one in model.parameters()))
    assert counted[0] > 1.2 * counted[1] > 0


def _gradients(rank: int, folder: str) -> None:
    """What one of two processes finds: the gradient of the wrapped loss, that of its own images, and that of the plain way."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    process = MeanFlow(16, 1, 2)
    parts = toy_parts(Joint.example(), process=process)
    model = process.build(parts, SPACE, 2)
    nn.init.normal_(model.network.exit.proj.weight)
    tokens, labels = torch.randn(8, 2, 2, generator=torch.Generator().manual_seed(rank)), torch.zeros(8).long()

    def gradient() -> Tensor:
        found = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])
        model.zero_grad()
        return found

    LossModule(parts, model)(tokens, labels, seeded()).backward()
    own = gradient()
    wrapped = DistributedDataParallel(LossModule(parts, model), find_unused_parameters=True)
    wrapped(tokens, labels, seeded()).backward()
    together = gradient()
    # The plain way: only the network is wrapped, and its product is of what lies inside.
    network = DistributedDataParallel(model.network, find_unused_parameters=True)
    beside = nn.Module()
    beside.network = network.module
    process.loss(beside, parts, tokens, labels, seeded()).backward()
    torch.save({"own": own, "together": together, "plain": gradient()}, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_on_two_devices_its_gradients_are_synchronised_where_the_plain_way_leaves_them_apart(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=_gradients, args=(rank, str(tmp_path))) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    one, two = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert (one["own"] - two["own"]).abs().max() > 1e-3
    torch.testing.assert_close(one["together"], two["together"])
    torch.testing.assert_close(one["together"], (one["own"] + two["own"]) / 2)
    torch.testing.assert_close(one["plain"], one["own"])
    torch.testing.assert_close(two["plain"], two["own"])


def test_its_recipes_can_be_put_together_at_the_budget_of_emigm() -> None:
    for recipe in mgbench_recipes().values():
        made = assemble(registry(), recipe)
        assert made.unfit == ""
        for budget in ("train_steps", "batch_size", "ema", "tokenizer"):
            assert getattr(recipe, budget) == getattr(EMIGM, budget)
        model = made.parts.process.build(made.parts, token_space(made.parts, made.data), made.classes)
        assert math.log(sum(one.numel() for one in model.parameters()) / 460_000) < 0.3
    codes = mgbench_recipes()["mean_flow"].change(tokenizer="kmeans")
    assert "this tokenizer makes codes" in assemble(registry(), codes).unfit
