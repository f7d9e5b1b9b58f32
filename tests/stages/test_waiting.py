"""Training and sampling wait for the device a fixed number of times a step, whatever the batch and the model.

Each wait idles a GPU.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mgbench.components.heads.categorical import Categorical
from mgbench.components.heads.code_draws import Softmax
from mgbench.components.networks.transformers import MAE, Transformer
from mgbench.components.processes.masked import Masked
from mgbench.components.schedules.guidance_schedules import Constant
from mgbench.interfaces.components import Sampler
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, SamplerInput, Step
from mgbench.testing.toys import Evenly, Joint, Line, toy_parts
from tests.laws.registered import built, registry
from tests.stages.test_train import LABELS, RECIPE, TOKENS, training

ATEN = torch.ops.aten
# Kernels whose result has a size, or is a number, that only the device knows.
ASKING = (ATEN._local_scalar_dense, ATEN.nonzero, ATEN.masked_select, ATEN.equal, ATEN.is_nonzero)
INDEXING = (ATEN.index, ATEN.index_put, ATEN.index_put_, ATEN._index_put_impl_)


class Waits(TorchDispatchMode):
    """Counts the kernels, forward and backward, that make the host wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, kernel, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        packet = kernel.overloadpacket
        by_mask = packet in INDEXING and any(one is not None and one.dtype == torch.bool for one in args[1])
        if packet in ASKING or by_mask:
            self.found[str(packet)] += 1
        return kernel(*args, **(kwargs or {}))


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """The waits inside the `with`, by what waits; moving numbers to the host is no kernel on a CPU, and is counted by name."""
    with monkeypatch.context() as patched, Waits() as waits:
        for name in ("item", "tolist", "cpu", "numpy"):

            def asking(tensor: Tensor, name: str = name, plain: object = getattr(Tensor, name)) -> object:
                waits.found[name] += 1
                return plain(tensor)  # type: ignore[operator]

            patched.setattr(Tensor, name, asking)
        yield waits.found


def waits_of_a_step(monkeypatch: pytest.MonkeyPatch, network: MAE | Transformer, batch: int) -> Counter[str]:
    started = training(RECIPE.change(batch_size=batch), network=network)
    started.advance(TOKENS, LABELS, torch.Generator())
    with counted(monkeypatch) as found:
        started.advance(TOKENS, LABELS, torch.Generator())
    return found


@pytest.mark.parametrize("network", [MAE, Transformer])
def test_a_training_step_waits_once_for_the_tokens_that_count_and_once_for_the_visible_ones(
    monkeypatch: pytest.MonkeyPatch, network: type[MAE] | type[Transformer]
) -> None:
    small, large = (
        waits_of_a_step(monkeypatch, network(width=16, depth=depth, dropout=0.1), batch)
        for depth, batch in ((1, 16), (3, 32))
    )
    assert small == large
    assert small == Counter({"aten.nonzero": 1}) + Counter({"tolist": 1} if network is MAE else {})


def test_what_waits_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = torch.arange(4.0)
    with counted(monkeypatch) as found:
        numbers[numbers > 1].sum().item()
        numbers.tolist()
    assert found == {"aten.index": 1, "item": 1, "aten._local_scalar_dense": 1, "tolist": 1}


SPACE = TokenSpace(16, 3, codes=7, grid=(4, 4))
STEPS = 6


class Watched:
    """A sampler whose waits are counted: `choosing` of the host for `choose`, out of all that are `found`."""

    def __init__(self, sampler: Sampler, found: Counter[str]) -> None:
        self.sampler, self.found, self.choosing, self.steps = sampler, found, Counter[str](), 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.sampler, name)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        before = self.found.copy()
        then = self.sampler.choose(view, step, rng)
        self.choosing += self.found - before
        self.steps += 1
        return then


def watched(monkeypatch: pytest.MonkeyPatch, sampler: Sampler, depth: int = 1, batch: int = 8) -> Watched:
    """A guided sampling of codes with a sampler, without the waits for its plan, which is made once."""
    network, head = MAE(width=16, depth=depth, heads=2), Categorical()
    parts = toy_parts(
        Joint.example(),
        network=network,
        head=head,
        code_draw=Softmax(),
        time_grid=Evenly(),
        guidance_schedule=Constant(1.7),
    )
    torch.manual_seed(0)
    model, shared = Masked().build(parts, SPACE, 3), Streams.root(0, "shared")
    request = Request(torch.arange(batch) % 3, STEPS, Streams.root(0, "images").fold(torch.arange(batch)), shared)
    with torch.no_grad():
        with counted(monkeypatch) as planning:
            list(sampler.plan(Line(), SPACE, Evenly()(STEPS), shared))
        with counted(monkeypatch) as found:
            parts.sampler = watch = Watched(sampler, found)
            list(Masked().sample(model, parts, SPACE, request))
    found.subtract(planning)
    return watch


@pytest.mark.parametrize("name", sorted(registry().names("sampler")))
def test_a_sampling_step_waits_as_often_for_a_larger_batch_and_model(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sampler = built("sampler", name)
    small, large = watched(monkeypatch, sampler), watched(monkeypatch, sampler, depth=3, batch=16)
    plan = list(sampler.plan(Line(), SPACE, Evenly()(STEPS), Streams.root(0, "shared")))
    assert small.steps == large.steps == len(plan)
    # To choose, a sampler asks at most whether anything is left to choose from.
    assert large.choosing.total() <= (0 if sampler.requires == "mask" else len(plan))
    if all(step.reveal is not None for step in plan):
        assert small.found == large.found
        # Once for each of the tokens that are visible and revealed, and once for each tensor that is read or set there.
        assert large.found.total() <= 9 * len(plan) + 1
    # Where images differ in their counts, some of them are left out of a step.
    assert large.found.total() <= 16 * len(plan)
