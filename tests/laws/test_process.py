from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from mgbench import testing
from mgbench.components.heads.categorical import Categorical
from mgbench.components.heads.diffusion import Diffusion
from mgbench.components.heads.solvers import DPMSolver
from mgbench.components.networks.transformers import MAE, Transformer
from mgbench.components.processes.masked import Masked
from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, State
from mgbench.testing.checks import each, world_of
from mgbench.testing.toys import Joint, toy_parts
from tests.laws.registered import built, every, registry


class Broken(Masked):
    """The masked process with one mistake."""

    law = ""

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> Any:
        model = super().build(parts, space, classes)
        return nn.ModuleDict({"all": model}) if self.law == "child `network`" else model

    def loss(self, model: Any, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        loss = super().loss(model, parts, tokens, labels, generator)
        match self.law:
            case "one finite number":
                return loss[None]
            case "same loss":
                return loss + torch.rand(())
            case "have a gradient":
                return loss * 0
            case "a finite one":
                return loss + model.head.shift.abs().sum().sqrt()
        return loss

    def bound(self, *given: Any) -> Any:
        nats = super().bound(*given)
        match self.law:
            case "a bound must be finite":
                return -nats
            case "same bound":
                return nats + torch.rand(())
        return nats

    def sample(self, model: Any, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        if self.law == "depend on its batch":
            rows = torch.arange(len(request.labels))
            request = Request(request.labels, request.steps, Streams.root(0, "all").fold(rows), request.shared)
        if self.law == "same streams":
            request = Request(request.labels, request.steps, request.images.fold(torch.randint(99, ())), request.shared)
        states = list(super().sample(model, parts, space, request))
        match self.law:
            case "nothing masked":
                states.pop()
            case "as many as were asked":
                states *= 5
            case "the shape":
                states[-1] = State(states[-1].tokens[:, :1], states[-1].mask)
        yield from states


LAWS = [
    "child `network`",
    "one finite number",
    "same loss",
    "have a gradient",
    "a finite one",
    "a bound must be finite",
    "same bound",
    "nothing masked",
    "as many as were asked",
    "the shape",
    "same streams",
    "depend on its batch",
]


@every("process")
def test_every_process_keeps_the_laws(name: str) -> None:
    testing.process(built("process", name))


@pytest.mark.parametrize("law", LAWS)
def test_a_broken_process_breaks_its_law(law: str) -> None:
    class Mistaken(Broken):
        pass

    Mistaken.law = law
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=law):
        testing.process(Mistaken())


JOINT = Joint.example()
SPACE = TokenSpace(6, 3, grid=(2, 3))


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("network", [MAE(width=16, depth=1), Transformer(width=16, depth=1)])
def test_the_masked_process_keeps_the_laws_with_real_parts(network: Any, guided: bool) -> None:
    guidance = built("guidance_schedule", "constant" if guided else "none")
    parts = toy_parts(JOINT, network=network, head=Categorical(), guidance_schedule=guidance)
    testing.process(Masked(), parts)
    parts = toy_parts(
        JOINT, network=network, head=Diffusion(width=16, depth=1), guidance_schedule=guidance, solver=DPMSolver(steps=4)
    )
    testing.process(Masked(), parts, SPACE)


class OnlyTheFirst:
    """A rule by which only the code 0 may be drawn."""

    def __call__(self, logits: Tensor) -> Tensor:
        return logits.index_fill(-1, torch.arange(1, logits.shape[-1]), -torch.inf)


def takes_codes(name: str) -> bool:
    return world_of(built("process", name))[0].codes is not None


@pytest.mark.parametrize("name", [name for name in registry().names("process") if takes_codes(name)])
@torch.no_grad()
def test_every_process_of_codes_draws_by_the_rule_for_codes(name: str) -> None:
    process = built("process", name)
    space, parts = world_of(process)
    learnt = {"network": Transformer(width=16, depth=1), "head": Categorical(), "code_draw": OnlyTheFirst()}
    parts = parts.change(**learnt)
    model = process.build(parts, space, 2).eval()
    request = Request(torch.arange(4) % 2, 3, each("images", 4), Streams.root(0, "shared"))
    *_, state = process.sample(model, parts, space, request)
    assert not state.tokens.any()


@every("sampler")
def test_the_masked_process_keeps_the_laws_with_every_sampler(name: str) -> None:
    testing.process(Masked(), toy_parts(JOINT, sampler=built("sampler", name)))


def takes_vectors(name: str) -> bool:
    try:
        getattr(built("sampler", name), "check", lambda *_: None)(toy_parts(JOINT), SPACE)
    except Unfit:
        return False
    return True


@pytest.mark.parametrize("name", [name for name in registry().names("sampler") if takes_vectors(name)])
def test_the_masked_process_keeps_the_laws_with_every_sampler_that_takes_vectors(name: str) -> None:
    parts = {"network": MAE(width=16, depth=1), "head": Diffusion(width=16, depth=1), "solver": DPMSolver(steps=2)}
    testing.process(Masked(), toy_parts(JOINT, sampler=built("sampler", name), **parts), SPACE)


def test_the_loss_is_the_true_cross_entropy() -> None:
    """With the oracle, the loss at a mask of one token is the entropy of that token given the others."""
    model = Masked().build(toy_parts(JOINT), JOINT.space, JOINT.classes)
    outcomes, chance = JOINT.outcomes, JOINT.of(0)
    mask = torch.zeros(len(outcomes), 3, dtype=torch.bool)
    mask[:, 1] = True
    z = model.network(outcomes, mask, torch.zeros(len(outcomes), dtype=torch.int64))
    losses = model.head.loss(z[mask], outcomes[mask], torch.Generator())
    table = chance.reshape(3, 3, 3)
    given = table.sum(1, keepdim=True)
    entropy = -(table * (table / given).log()).sum()
    torch.testing.assert_close((chance * losses).sum(), entropy)
