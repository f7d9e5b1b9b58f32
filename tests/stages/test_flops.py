"""Arithmetic against written-out formulas, for PyTorch's own layers in training and in evaluation mode."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mgbench.interfaces.data import TokenSpace
from mgbench.registry.loading import load
from mgbench.registry.resolve import assemble
from mgbench.stages.flops import _FORMULAS, FlopCounter
from mgbench.stages.parallel import blocks_of
from mgbench.stages.sample import sample_tokens
from mgbench.stages.speed import Subject, sampling_work, training_work
from tests.doubles import TINY

B, M, E, H, F = 5, 16, 32, 4, 64
X = torch.randn(B, M, E)


def counted(module: nn.Module, *inputs: Tensor, grad: bool = False, **options: Any) -> FlopCounter:
    """The counter of one call, in evaluation mode without gradients or in training with them."""
    module.train(grad)
    with torch.set_grad_enabled(grad), FlopCounter() as counter:
        out = module(*inputs, **options)
        if grad:
            (out[0] if isinstance(out, tuple) else out).sum().backward()
    return counter


def of_layer(length: int) -> int:
    """One sequence through one encoder layer."""
    return 2 * length * (4 * E**2 + 2 * E * F) + 4 * length**2 * E


def encoder() -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(E, H, F, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


def test_a_fused_encoder_costs_what_the_same_layers_cost_unfused() -> None:
    fused = counted(encoder(), X)
    assert fused.get_total_flops() == 2 * B * of_layer(M)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        assert counted(encoder(), X).get_total_flops() == fused.get_total_flops()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_padding_that_is_left_out_costs_nothing() -> None:
    padding = torch.arange(M) >= torch.tensor([16, 9, 4, 1, 12])[:, None]
    expected = 2 * sum(of_layer(length) for length in (16, 9, 4, 1, 12))
    assert counted(encoder(), X, src_key_padding_mask=padding).get_total_flops() == expected


def test_multi_head_attention() -> None:
    expected = B * (2 * M * 4 * E**2 + 4 * M**2 * E)
    assert counted(nn.MultiheadAttention(E, H, batch_first=True), X, X, X).get_total_flops() == expected


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("maker", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers(maker: Any, gates: int, directions: int) -> None:
    module = maker(E, 48, num_layers=2, batch_first=True, bidirectional=directions == 2)
    inputs = (E, 48 * directions)
    expected = sum(2 * B * M * gates * 48 * (size + 48) * directions for size in inputs)
    assert counted(module, X).get_total_flops() == expected
    # Twice as much on the way back, but for the gradient of what goes in, which nobody asks of some kernels.
    assert 2.4 * expected < counted(module, X, grad=True).get_total_flops() <= 3 * expected


def test_a_bilinear_layer() -> None:
    module, pair = nn.Bilinear(E, 12, 7), (X[:, 0], X[:, 1, :12])
    expected = 2 * B * 7 * E * 12 + 2 * B * 7 * 12
    assert counted(module, *pair).get_total_flops() == expected
    assert counted(module, *pair, grad=True).get_total_flops() > 1.5 * expected


def test_products_with_vectors() -> None:
    matrix, vector = X[0], X[0, 0]
    with FlopCounter() as counter:
        matrix @ vector
        torch.dot(vector, vector)
        torch.addmv(matrix[:, 0], matrix, vector)
        torch.addbmm(matrix[:, :M], X, X.transpose(1, 2))
    assert counter.get_total_flops() == 2 * M * E + 2 * E + 2 * M * E + 2 * B * M * E * M
    assert not counter.uncounted


def test_what_cannot_be_counted_is_named() -> None:
    square = torch.eye(4)
    with FlopCounter() as counter:
        torch.cdist(square, square)
        torch.linalg.inv(square)
        torch.fft.fft(square)
        square @ square
    assert counter.uncounted == {"aten._cdist_forward", "aten.linalg_inv_ex", "aten._fft_r2c"}
    assert counter.get_total_flops() == 2 * 4**3


@torch.library.custom_op("mgbench_tests::twice", mutates_args=())
def twice(x: Tensor) -> Tensor:
    """A kernel of another library."""
    return x * 2


def test_kernels_of_other_libraries_are_named() -> None:
    with FlopCounter() as counter:
        twice(X)
    assert counter.uncounted == {"mgbench_tests.twice"}


def test_the_plain_things_that_networks_do_are_no_arithmetic_left_out() -> None:
    module = nn.Sequential(nn.Linear(E, E), nn.LayerNorm(E), nn.GELU(), nn.Dropout(0.1), nn.Softmax(-1))
    counter = counted(module, X, grad=True)
    assert not counter.uncounted
    with FlopCounter() as counter:
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        torch.optim.AdamW(module.parameters(), fused=True).step()
        nn.functional.interpolate(X[None], scale_factor=2.0, mode="bilinear")
        torch.cummax(X, -1)
    assert not counter.uncounted


def test_the_counter_of_pytorch_counts_as_much() -> None:
    """With our formulas, over everything that our own networks, heads and samplers do, in training and in sampling."""
    subject = Subject(TINY, assemble(load(), TINY).parts, TokenSpace(16, 4), 3, torch.device("cpu"))
    for made in (training_work, sampling_work):
        found = []
        for counter in (FlopCounter(), FlopCounterMode(display=False, custom_mapping=_FORMULAS)):
            work = made(subject)
            with counter:
                work()
            found.append(counter.get_total_flops())
        assert found[0] == found[1] > 0


class Twice(nn.Module):
    """A product with a matrix, done as often as a flag says, of another module inside."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(E, E)

    def forward(self, x: Tensor, again: bool = False) -> Tensor:
        return self.inner(self.inner(x)) if again else self.inner(x)


def test_calls_alike_are_counted_once_and_added_as_often() -> None:
    """Of a module, of one like it and of what is inside; not where shapes or flags differ, and what comes out is the same."""
    first, second = Twice(), Twice()
    modules = (first, second, first.inner, second.inner)
    calls = [(first, X, False), (second, X, False), (first, X, True), (first, X[:2], False), (second, X, True)]
    with torch.no_grad(), FlopCounter() as counter, counter.remembering(modules):
        out = [module(x, again=again) for module, x, again in calls]
        first.inner(X)
    one = 2 * B * M * E * E
    assert counter.get_total_flops() == one + one + 2 * one + one * 2 // B + 2 * one + one
    for (module, x, again), found in zip(calls, out, strict=True):
        assert torch.equal(module(x, again=again), found)
    assert "forward" not in vars(first)


def test_what_samples_alike_is_remembered_with_the_same_number() -> None:
    subject = Subject(TINY, assemble(load(), TINY).parts, TokenSpace(16, 4), 3, torch.device("cpu"))
    model, found = subject.fresh(), []
    for remembers in (False, True):
        modules = (*blocks_of(model.module), model.module.head) if remembers else ()
        with FlopCounter() as counter, counter.remembering(modules):
            for _ in sample_tokens(model, TINY.change(sampling_steps=5), torch.arange(7)):
                pass
        found.append(counter.get_total_flops())
    assert found[0] == found[1] > 0
