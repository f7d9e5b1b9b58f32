import math

import pytest
import torch
from torch import Tensor, nn

from mgbench.components.networks.blocks import (
    AdaptiveBlock,
    AdaptiveExit,
    Attention,
    Cache,
    attended,
    check_heads,
    close,
    initialise,
    time_features,
)

X = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
CONDITION = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))


def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(8, 2, 0.0).requires_grad_(False)


def test_positions_that_exist_are_what_every_position_sees() -> None:
    exists = torch.tensor([[True] * 4 + [False] * 2, [True] * 6, [True] + [False] * 5])
    pairs = exists[:, None].expand(3, 6, 6)
    torch.testing.assert_close(attention()(X, exists), attention()(X, pairs))
    torch.testing.assert_close(attention()(X[:1], exists[:1])[:, :4], attention()(X[:1, :4], None))


@pytest.mark.parametrize("dropped", [0.0, 1e-12])
@pytest.mark.parametrize(("masked", "queries"), [(True, 6), (False, 6), (True, 11)])
def test_short_attention_and_one_with_dropout_are_those_of_pytorch(masked: bool, queries: int, dropped: float) -> None:
    """With a probability at which nothing is dropped, as PyTorch draws other numbers; rows of 11 queries are filled up."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, 2, length, 4, generator=generator, requires_grad=True) for length in (queries, 7, 7))
    seen = torch.rand(3, 1, queries, 7, generator=generator) < 0.6 if masked else None
    here = attended(q, k, v, seen, dropped)
    there = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    torch.testing.assert_close(here, there)
    slope = torch.ones_like(here)
    torch.testing.assert_close(
        torch.autograd.grad(here, (q, k, v), slope), torch.autograd.grad(there, (q, k, v), slope), atol=1e-5, rtol=1e-4
    )


def test_attention_drops_shares_of_positions() -> None:
    torch.manual_seed(0)
    q, k, v = torch.zeros(64, 4, 8, 2), torch.randn(64, 4, 8, 2), torch.ones(64, 4, 8, 2)
    shares = attended(q, k, v, None, 0.25)[..., 0] * 8 * 0.75
    assert torch.equal(shares.round(), shares.round(decimals=3))
    assert shares.mean().item() == pytest.approx(6, abs=0.15)


@pytest.mark.parametrize("asked", [1, 6])
def test_what_some_positions_read_is_what_all_positions_read_there(asked: int) -> None:
    """One query of two heads takes no keys and values of the six positions, and six do."""
    exists = torch.tensor([[True] * 4 + [False] * 2, [True] * 6, [True] + [False] * 5])
    for seen in (None, exists):
        expected = attention()(X, seen)[:, :asked]
        torch.testing.assert_close(attention()(X, seen, asking=X[:, :asked]), expected)


@pytest.mark.parametrize("cuts", [(6,), (1, 6), (2, 3, 6)])
def test_what_went_through_before_is_attended_to_from_the_cache(cuts: tuple[int, ...]) -> None:
    module, cache, first = attention(), Cache(), 0
    causal = torch.ones(6, 6, dtype=torch.bool).tril()[None]
    together = module(X, causal)
    for end in cuts:
        assert cache.length == first
        part = module(X[:, first:end], causal[:, first:end, :end], cache)
        torch.testing.assert_close(part, together[:, first:end])
        first = end


def started(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return module.apply(initialise).apply(close)


def test_adaptive_layers_start_as_nothing() -> None:
    assert torch.equal(started(AdaptiveBlock(8, 2))(X, CONDITION), X)
    assert not started(AdaptiveExit(8, 5))(X, CONDITION).any()


def test_the_condition_sets_scale_shift_and_strength() -> None:
    """Against the formula of adaLN-zero, written out."""
    torch.manual_seed(0)
    block = AdaptiveBlock(8, 2).requires_grad_(False)
    six = block.modulation(CONDITION).reshape(3, 6, 1, 8).unbind(1)

    def normal(h: Tensor) -> Tensor:
        return (h - h.mean(-1, keepdim=True)) / (h.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()

    h = X + six[2] * block.attn(normal(X) * (1 + six[1]) + six[0], None)
    hidden = nn.functional.gelu(block.fc1(normal(h) * (1 + six[4]) + six[3]), approximate="tanh")
    torch.testing.assert_close(block(X, CONDITION), h + six[5] * block.fc2(hidden), rtol=1e-4, atol=1e-5)


def test_an_adaptive_block_drops_out_in_attention_and_in_its_mlp_while_it_trains() -> None:
    torch.manual_seed(0)
    block = AdaptiveBlock(8, 2, dropout=1.0).requires_grad_(False)
    assert torch.equal(block(X, CONDITION), X)
    assert not torch.equal(block.eval()(X, CONDITION), X)


def test_times_are_told_by_waves_from_one_radian_a_tick_down() -> None:
    features = time_features(torch.tensor([0.0, 500.0]), 4)
    rates = [10000 ** (-index / 4) for index in range(4)]
    assert features[0].tolist() == [1] * 4 + [0] * 4
    expected = [math.cos(500 * rate) for rate in rates] + [math.sin(500 * rate) for rate in rates]
    assert features[1].tolist() == pytest.approx(expected, abs=1e-4)


def test_heads_that_do_not_share_the_width_evenly_are_refused() -> None:
    check_heads(12, 4)
    with pytest.raises(ValueError, match=r"width \(10\) must be a multiple of heads \(4\)"):
        check_heads(10, 4)
