import itertools
from collections.abc import Iterator

import pytest
import torch
from mgbench_plugins.di4c import Mixture, MixtureModel
from torch import Generator, Tensor
from torch.optim import AdamW

from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request
from mgbench.testing.toys import Joint, toy_parts, toy_teacher

JOINT = Joint.example()
HIDDEN = torch.zeros(1, 3, dtype=torch.int64)


def world(process: Mixture) -> tuple[MixtureModel, Parts]:
    """A student that begins as an exact teacher, and its components."""
    parts = toy_parts(JOINT, process=process)
    parts = parts.change(teacher=toy_teacher(parts, JOINT.space, JOINT.classes))
    torch.manual_seed(0)
    model = process.build(parts, JOINT.space, JOINT.classes)
    process.begin(model, parts)
    return model, parts


def apart(process: Mixture) -> tuple[MixtureModel, Parts]:
    """As `world`, with components that differ much."""
    model, parts = world(process)
    torch.nn.init.normal_(model.out.weight, std=0.15, generator=Generator().manual_seed(1))
    torch.nn.init.zeros_(model.of_z.weight)
    return model, parts


@torch.no_grad()
def one_step(model: MixtureModel, label: int) -> tuple[Tensor, Tensor]:
    """The probabilities [27] of images of one step by enumeration, and of the product of their marginals."""
    z = model.network(HIDDEN, torch.ones(1, 3, dtype=torch.bool), torch.tensor([label]))[0]
    p = model.log_p(z).exp().double()
    joint, product = torch.zeros(27, dtype=torch.float64), torch.ones(27, dtype=torch.float64)
    for index, codes in enumerate(itertools.product(range(3), repeat=3)):
        joint[index] = sum(of[0, codes[0]] * of[1, codes[1]] * of[2, codes[2]] for of in p) / len(p)
        for token, code in enumerate(codes):
            product[index] *= p[:, token, code].mean()
    return joint, product


def drawn(process: Mixture, model: MixtureModel, parts: Parts, steps: int, count: int = 10_000) -> Tensor:
    """Images int64 [M,3] of class 0."""
    images = Streams.root(0, "images").fold(torch.arange(count))
    request = Request(torch.zeros(count, dtype=torch.int64), steps, images, Streams.root(0, "shared"))
    with torch.no_grad():
        *_, state = process.sample(model, parts, JOINT.space, request)
    return state.tokens


def test_the_tokens_of_one_step_share_a_component() -> None:
    process = Mixture(components=4)
    model, parts = apart(process)
    joint, product = one_step(model, 0)
    tokens = drawn(process, model, parts, 1)
    assert JOINT.excess(tokens, joint) < 6
    assert JOINT.excess(tokens, product) > 50


def test_components_that_are_equal_are_the_teacher() -> None:
    model, _ = world(Mixture())
    torch.nn.init.zeros_(model.out.weight)
    torch.nn.init.zeros_(model.out.bias)
    joint, product = one_step(model, 1)
    torch.testing.assert_close(joint, JOINT.product(1), rtol=0, atol=1e-6)
    torch.testing.assert_close(product, JOINT.product(1), rtol=0, atol=1e-6)


def test_the_log_of_the_mixture_and_of_its_marginals_are_those_by_enumeration() -> None:
    model, _ = apart(Mixture(components=4))
    joint, product = one_step(model, 0)
    images = torch.tensor([3, 17, 25])
    z = model.network(HIDDEN, torch.ones(1, 3, dtype=torch.bool), torch.tensor([0]))[0].repeat(3, 1)
    found = Mixture.log_mixture(model.log_p(z), JOINT.outcomes[images].flatten(), torch.arange(9) // 3, 3)
    expected = torch.stack([joint, product])[:, images].log().sum(1)
    torch.testing.assert_close(torch.stack(found).double(), expected, rtol=1e-4, atol=1e-4)


def test_one_masked_token_depends_on_no_other() -> None:
    log_p = torch.randn(4, 2, 3, generator=Generator().manual_seed(0)).log_softmax(-1)
    whole, independent = Mixture.log_mixture(log_p, torch.tensor([0, 2]), torch.tensor([0, 1]), 2)
    torch.testing.assert_close(whole, independent)


@torch.no_grad()
def test_the_bound_is_that_of_the_mean_over_components() -> None:
    process = Mixture(components=4)
    model, parts = apart(process)
    last = torch.tensor([[1, 2, 0]])
    mask = torch.tensor([[False, False, True]])
    nats = []
    for code in range(3):
        tokens = torch.where(mask, code, last)
        p = model.log_p(model.network(tokens, mask, torch.tensor([0]))[mask]).exp()
        nats.append(p[:, 0, code].mean())
    assert abs(float(sum(nats)) - 1) < 1e-6
    generator = Generator().manual_seed(0)
    found = process.bound(model, parts, JOINT.space, last.expand(4000, -1), torch.zeros(4000, dtype=int), generator)
    orders = [
        sum(_nats(model, last, torch.tensor(order[step:]), order[step]) for step in range(3))
        for order in itertools.permutations(range(3))
    ]
    assert found is not None
    assert abs(float(found.mean()) - sum(orders) / 6) < 0.02


def _nats(model: MixtureModel, tokens: Tensor, masked: Tensor, at: int) -> float:
    """−log of the mean over components of the probability of the token `at`, with some tokens masked."""
    mask = torch.zeros(1, 3, dtype=torch.bool).index_fill(1, masked, True)
    p = model.log_p(model.network(tokens, mask, torch.tensor([0]))[0]).exp()
    return -float(p[:, at, tokens[0, at]].mean().log())


def test_vectors_are_refused() -> None:
    with pytest.raises(Unfit, match="mixture draws codes"):
        Mixture().check(toy_parts(JOINT), TokenSpace(6, 3, grid=(2, 3)))


def batches(count: int) -> Iterator[tuple[Tensor, Tensor, Generator]]:
    """Images int64 [128,3] of the joint law, their labels int64 [128], and a generator."""
    generator, labels = Generator().manual_seed(0), torch.arange(128) % 2
    laws = torch.stack([JOINT.of(0), JOINT.of(1)])
    for _ in range(count):
        yield JOINT.outcomes[laws[labels].multinomial(1, generator=generator)[:, 0]], labels, generator


def away(law: Tensor) -> float:
    """Total variation from the true law of class 0."""
    return 0.5 * float((law - JOINT.of(0)).abs().sum())


ALONE = pytest.param(Mixture(data=0.0), 400, marks=pytest.mark.slow, id="teacher alone")


@pytest.mark.parametrize(("process", "steps"), [pytest.param(Mixture(), 300, id="data"), ALONE])
def test_distillation_brings_one_step_nearer_to_the_joint_law_than_independent_tokens_are(
    process: Mixture, steps: int
) -> None:
    model, parts = world(process)
    optimizer = AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0)
    for tokens, labels, generator in batches(steps):
        loss = process.loss(model, parts, tokens, labels, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    joint, product = one_step(model, 0)
    assert away(joint) < 0.9 * away(JOINT.product(0))
    assert away(product) > 0.95 * away(JOINT.product(0))
