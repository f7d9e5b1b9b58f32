import pytest
import torch
from scipy import stats
from torch import Tensor

from mgbench.components.heads.categorical import Categorical, CategoricalModule
from mgbench.components.heads.code_draws import Softmax
from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams

SPACE = TokenSpace(4, 3, codes=6)
COUNT = 30_000
PARTS = Parts(code_draw=Softmax())
DRAWS = Streams.root(0, "rows").fold(torch.arange(COUNT))


def made(**options: float) -> CategoricalModule:
    torch.manual_seed(0)
    module = Categorical(**options).build(SPACE, 8)
    torch.nn.init.normal_(module.logits.weight, std=0.3)
    return module


def z(seed: int) -> Tensor:
    return torch.randn(1, 8, generator=torch.Generator().manual_seed(seed))


def assert_follows(codes: Tensor, logits: Tensor) -> None:
    expected = torch.softmax(logits.double().flatten(), -1) * COUNT
    seen = torch.bincount(codes, minlength=len(expected))
    assert stats.chisquare(seen.numpy(), expected.numpy()).pvalue > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_codes_are_as_frequent_as_the_softmax_says(temperature: float) -> None:
    module = made()
    drawn = module.sample(z(1).expand(COUNT, -1), None, 1.0, DRAWS, PARTS, temperature)
    assert_follows(drawn.values, module(z(1)) / temperature)
    # What is said of probabilities does not depend on how boldly was drawn.
    torch.testing.assert_close(drawn.log_p, torch.log_softmax(module(z(1)).double(), -1)[0, drawn.values])


@torch.no_grad()
def test_codes_are_drawn_from_what_the_draw_leaves() -> None:
    module = made()
    drawn = module.sample(z(1).expand(COUNT, -1), None, 1.0, DRAWS, Parts(code_draw=Softmax(0.5, top_k=2)))
    best = module(z(1))[0].topk(2)
    assert set(drawn.values.unique().tolist()) == set(best.indices.tolist())
    share = (drawn.values == best.indices[0]).double().mean()
    torch.testing.assert_close(share, torch.softmax(best.values.double() / 0.5, -1)[0], atol=0.01, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_guidance_moves_the_logits_away_from_the_unconditional(scale: float) -> None:
    module = made()
    with_label, without = module(z(1)), module(z(2))
    drawn = module.sample(z(1).expand(COUNT, -1), z(2).expand(COUNT, -1), scale, DRAWS, PARTS)
    logits = (1 - scale) * without + scale * with_label
    assert_follows(drawn.values, logits)
    expected = torch.log_softmax(logits.double(), -1)[0, drawn.values]
    torch.testing.assert_close(drawn.log_p, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_draws_and_probabilities_are_float64() -> None:
    class Noting(Streams):
        dtypes: list[torch.dtype] = []  # noqa: RUF012 - shared on purpose

        def gumbel(self, count: int) -> Tensor:
            numbers = super().gumbel(count)
            self.dtypes.append(numbers.dtype)
            return numbers

    drawn = made().bfloat16().sample(z(1).bfloat16(), None, 1.0, Noting(DRAWS.keys[:1]), PARTS)
    assert drawn.log_p is not None
    assert drawn.log_p.dtype == torch.float64
    assert Noting.dtypes == [torch.float64]


@torch.no_grad()
def test_a_smoothed_loss_is_the_mean_against_the_smoothed_code() -> None:
    module, rows = made(label_smoothing=0.1), torch.tensor([2])
    log_p = torch.log_softmax(module(z(1)), -1)[0]
    expected = -(0.9 * log_p[2] + 0.1 * log_p.mean())
    torch.testing.assert_close(module.loss(z(1), rows, torch.Generator())[0], expected)


def test_vectors_are_refused_with_what_to_take_instead() -> None:
    with pytest.raises(Unfit, match="head=diffusion"):
        Categorical().check(Parts(), TokenSpace(4, 3))
