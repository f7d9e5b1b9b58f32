"""What sampling leaves out changes no token: the same run with and without each saving."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from mgbench.components.heads.categorical import Categorical
from mgbench.components.heads.code_draws import Softmax
from mgbench.components.heads.diffusion import Diffusion
from mgbench.components.heads.flow import Flow
from mgbench.components.heads.mlp import NARROW
from mgbench.components.heads.solvers import DDPM, Heun
from mgbench.components.networks.transformers import MAE, Transformer
from mgbench.components.processes.masked import Masked, MaskedModel
from mgbench.components.samplers.position_first import Ancestral, RandomOrder
from mgbench.components.samplers.value_first import LowConfidence, Margin, PathPlanning
from mgbench.components.schedules.guidance_schedules import Constant
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request
from mgbench.stages.flops import FlopCounter
from mgbench.testing.checks import stirred
from mgbench.testing.toys import Evenly, Joint, toy_parts

CODES, VECTORS = TokenSpace(16, 3, codes=7, grid=(4, 4)), TokenSpace(16, 3, grid=(4, 4))
NETWORKS = (MAE(width=16, depth=2, heads=2), Transformer(width=16, depth=2, heads=2))


class Whole(nn.Module):
    """A network that looks at every position, whoever reads it."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.width = network, network.width

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        z: Tensor = self.network(tokens, mask, labels)
        return z


def model(parts: Parts, space: TokenSpace) -> MaskedModel:
    torch.manual_seed(0)
    return stirred(Masked().build(parts, space, 3))  # type: ignore[no-any-return]


@torch.no_grad()
def sampled(module: Any, parts: Parts, space: TokenSpace, steps: int = 6) -> Tensor:
    images = Streams.root(0, "images").fold(torch.arange(9))
    request = Request(torch.arange(9) % 3, steps, images, Streams.root(0, "shared"))
    *_, last = Masked().sample(module, parts, space, request)
    return last.tokens


def parts_with(**others: Any) -> Parts:
    return toy_parts(Joint.example(), time_grid=Evenly(), guidance_schedule=Constant(1.7), **others)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    "sampler",
    [RandomOrder(), Ancestral(), LowConfidence(), Margin(), PathPlanning()],
    ids=lambda one: type(one).__name__,
)
def test_positions_that_nobody_reads_change_no_code(network: Any, sampler: Any) -> None:
    parts = parts_with(network=network, head=Categorical(), sampler=sampler, code_draw=Softmax())
    module = model(parts, CODES)
    assert torch.equal(
        sampled(module, parts, CODES), sampled(MaskedModel(Whole(module.network), module.head), parts, CODES)
    )


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
def test_positions_that_nobody_reads_change_vectors_by_rounding_only(network: Any) -> None:
    parts = parts_with(network=network, head=Diffusion(16, 2), sampler=RandomOrder(), solver=DDPM(steps=4))
    module = model(parts, VECTORS)
    whole = sampled(MaskedModel(Whole(module.network), module.head), parts, VECTORS)
    torch.testing.assert_close(sampled(module, parts, VECTORS), whole, rtol=1e-4, atol=1e-4 * float(whole.abs().max()))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("equal", [True, False])
def test_a_network_gives_the_rows_that_are_asked_for(network: Any, equal: bool) -> None:
    module = stirred(network.build(VECTORS, 3))
    tokens, labels = torch.randn(5, 16, 3), torch.arange(5) % 3
    mask = torch.rand(5, 16).argsort(1) < torch.tensor([16, 3, 9, 1, 12])[:, None]
    scores = torch.rand(5, 16).argsort(1)
    at = scores < (torch.tensor(4) if equal else torch.tensor([0, 5, 1, 16, 2])[:, None])
    with torch.no_grad():
        torch.testing.assert_close(
            module(tokens, mask, labels, at=at), module(tokens, mask, labels)[at], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
def test_the_last_block_is_paid_for_only_where_z_is_read(network: Any) -> None:
    module = network.build(VECTORS, 3).eval()
    given = torch.randn(5, 16, 3), torch.ones(5, 16, dtype=torch.bool), torch.arange(5) % 3
    at = (torch.arange(16) == 3).expand(5, -1)
    spent = []
    for options in ({}, {"at": at}):
        with torch.no_grad(), FlopCounter() as counter:
            module(*given, **options)
        spent.append(counter.get_total_flops())
    length, width = 16 + (network.class_tokens if isinstance(network, MAE) else 1), 16
    # All layers at the other positions, 24 W² each. At this one, both products of attention are of every head with x.
    left_out = 5 * ((length - 1) * 24 * width**2 + 4 * length * width * (length - network.heads))
    assert spent[0] - spent[1] == left_out


@pytest.mark.parametrize(("head", "solver"), [(Diffusion(16, 2), DDPM(steps=9)), (Flow(16, 2), Heun(steps=4))])
@pytest.mark.parametrize("guided", [False, True])
def test_z_is_projected_once_a_solve(head: Any, solver: Any, guided: bool) -> None:
    module, calls = stirred(head.build(VECTORS, 16)), []
    z, without = torch.randn(2, 8, 16)
    module.condition.register_forward_hook(lambda *_: calls.append(1))
    rng = Streams.root(0, "rows").fold(torch.arange(8))
    with torch.no_grad():
        drawn = module.sample(z, without if guided else None, 1.7, rng, Parts(solver=solver))
        assert len(calls) == 1
        again = _every_time(module).sample(z, without if guided else None, 1.7, rng, Parts(solver=solver))
    assert torch.equal(drawn.values, again.values)


def _every_time(module: Any) -> Any:
    """The head, made to project z in every evaluation."""
    numbers = module.numbers
    module.numbers = lambda x, embedded, z, known: numbers(x, embedded, z, module.known(z))
    return module


@pytest.mark.parametrize(("width", "close"), [(16, {"rtol": 1e-5, "atol": 1e-6}), (NARROW + 1, {"rtol": 0, "atol": 0})])
def test_modulations_asked_at_once_are_those_of_each_block(width: int, close: dict[str, float]) -> None:
    """In a wide head, which does not, nothing changes."""
    module = stirred(Diffusion(width, 2).build(VECTORS, 16))
    x, z = torch.randn(8, 3), torch.randn(4, 16)
    with torch.no_grad():
        embedded = module.embedded(torch.tensor([431.7]), x.dtype)
        expected = module.numbers(x, embedded, z)
        torch.testing.assert_close(module.numbers(x, embedded, z, module.known(z)), expected, **close)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logits_that_are_not_cut_are_not_sorted(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(5, 7, dtype=torch.float64)
    by_sorting = replace(Softmax(temperature), top_k=6)(logits.index_fill(1, torch.tensor(2), -torch.inf))
    monkeypatch.setattr(Tensor, "sort", None)
    kept = Softmax(temperature)(logits)
    assert torch.equal(kept, logits / temperature)
    assert torch.equal(Softmax(temperature, top_k=7)(logits), kept)
    others = torch.tensor([0, 1, 3, 4, 5, 6])
    assert torch.equal(by_sorting[:, others], kept[:, others])


@dataclass(frozen=True)
class Watched(LowConfidence):
    """Notes whether it is shown logits."""

    shown: ClassVar[list[bool]] = []

    def choose(self, view: Any, step: Any, rng: Streams) -> Tensor:
        self.shown.append(view.logits is not None)
        return super().choose(view, step, rng)


def test_logits_are_laid_out_only_for_samplers_that_read_them() -> None:
    parts = parts_with(network=NETWORKS[1], head=Categorical(), sampler=Watched(), code_draw=Softmax())
    sampled(model(parts, CODES), parts, CODES)
    assert Watched.shown
    assert not any(Watched.shown)
