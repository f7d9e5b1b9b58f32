"""Linear layers by oneDNN are those of PyTorch: values, derivatives of any order, shapes and types."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional

from mgbench.components.networks import linear as module
from mgbench.components.networks.linear import Linear, linear
from mgbench.stages.flops import FlopCounter

pytestmark = pytest.mark.skipif(not module._has_kernel(), reason="this CPU has no AVX-512, or PyTorch no oneDNN")
ROWS, K, N = 33, 20, 12


@pytest.fixture(autouse=True)
def for_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SIZE", 1)
    monkeypatch.setattr(module, "LEAST_ONCE", 1)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()


def kernels(work: object) -> set[str]:
    from torch.profiler import profile

    with profile() as seen:
        work()  # type: ignore[operator]
    return {one.key for one in seen.key_averages()}


@pytest.mark.parametrize("shape", [(ROWS, K), (3, 11, K), (1, K), (2, 0, K)])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_those_of_pytorch(shape: tuple[int, ...], biased: bool) -> None:
    x, weight, bias = drawn(*shape), drawn(N, K), drawn(N) if biased else None
    inputs = [x, weight] if bias is None else [x, weight, bias]
    here, there = linear(x, weight, bias), functional.linear(x, weight, bias)
    torch.testing.assert_close(here, there)
    slope = torch.randn_like(here)
    torch.testing.assert_close(torch.autograd.grad(here, inputs, slope), torch.autograd.grad(there, inputs, slope))


@pytest.mark.parametrize("wide", [True, False])
def test_gradients_of_weights_copy_the_smaller_factor(wide: bool) -> None:
    k, n = (K, N) if wide else (N, K)
    x, weight = drawn(ROWS, k), drawn(n, k)
    here, there = linear(x, weight), functional.linear(x, weight)
    slope = torch.randn_like(here)
    torch.testing.assert_close(torch.autograd.grad(here, weight, slope), torch.autograd.grad(there, weight, slope))


def test_derivatives_of_gradients_are_those_of_pytorch() -> None:
    x, weight, bias = drawn(ROWS, K), drawn(N, K), drawn(N)

    def twice(layer: object) -> tuple[Tensor, ...]:
        (once,) = torch.autograd.grad(layer(x, weight, bias).square().sum(), x, create_graph=True)  # type: ignore[operator]
        return torch.autograd.grad(once.square().sum(), (x, weight, bias))

    torch.testing.assert_close(twice(linear), twice(functional.linear))


@pytest.mark.parametrize(
    "moving", [(True, True, True), (True, False, False), (False, True, False), (False, False, True)]
)
def test_derivatives_along_a_tangent_are_those_of_pytorch(moving: tuple[bool, bool, bool]) -> None:
    inputs = [drawn(ROWS, K).detach(), drawn(N, K).detach(), drawn(N).detach()]
    tangents = [torch.ones_like(one) for one in inputs]

    def along(layer: object) -> Tensor:
        with forward_ad.dual_level():
            dual = [
                forward_ad.make_dual(one, by) if moves else one
                for one, by, moves in zip(inputs, tangents, moving, strict=True)
            ]
            found: Tensor = forward_ad.unpack_dual(layer(*dual)).tangent  # type: ignore[operator]
            return found

    torch.testing.assert_close(along(linear), along(functional.linear))


def test_operations_are_counted_as_those_of_pytorch() -> None:
    def operations(layer: object) -> int:
        with FlopCounter() as counter:
            layer(drawn(3, 11, K), drawn(N, K), drawn(N)).sum().backward()  # type: ignore[operator]
        assert not counter.uncounted
        return counter.get_total_flops()

    assert operations(linear) == operations(functional.linear) == 3 * 2 * ROWS * K * N


@pytest.mark.parametrize(
    ("name", "rows", "derivatives"), [("LEAST_ONCE", 33, True), ("LEAST_SIZE", 64, True), ("LEAST_SIZE", 33, False)]
)
def test_large_products_are_those_of_onednn_and_small_ones_are_not(
    name: str, rows: int, derivatives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In training the smallest one is larger where the number of rows is unlikely to come again."""
    layer, x = Linear(K, N), drawn(rows, K)
    with torch.set_grad_enabled(derivatives):
        assert "mkldnn::_linear_pointwise" in kernels(lambda: layer(x))
        monkeypatch.setattr(module, name, rows * K * N + 1)
        assert "mkldnn::_linear_pointwise" not in kernels(lambda: layer(x))


@pytest.mark.parametrize("derivatives", [True, False])
@pytest.mark.parametrize("gelu", ["none", "tanh"])
def test_a_gelu_is_that_of_pytorch(gelu: module.Gelu, derivatives: bool) -> None:
    layer, x = Linear(K, N), 3 * drawn(3, 11, K)
    with torch.set_grad_enabled(derivatives):
        expected = functional.gelu(functional.linear(x, layer.weight, layer.bias), approximate=gelu)
        torch.testing.assert_close(layer(x, gelu), expected)
        assert ("aten::gelu" in kernels(lambda: layer(x, gelu))) is derivatives


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_are_left_to_pytorch(dtype: torch.dtype) -> None:
    layer, x = Linear(K, N).to(dtype), drawn(ROWS, K).to(dtype)
    assert torch.equal(layer(x), functional.linear(x, layer.weight, layer.bias))


def test_autocast_decides_the_type_of_a_product() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert Linear(K, N)(drawn(ROWS, K)).dtype == torch.bfloat16


def test_a_compiled_layer_is_that_of_pytorch() -> None:
    layer, x = Linear(K, N), drawn(ROWS, K)
    graphs = []

    def compiler(graph: torch.fx.GraphModule, _: object) -> object:
        graphs.append(graph.code)
        return graph.forward

    torch.testing.assert_close(torch.compile(layer, backend=compiler)(x), layer(x))
    (graph,) = graphs
    assert "mkldnn" not in graph
    assert "linear" in graph


def test_a_layer_is_stored_as_one_of_pytorch() -> None:
    assert isinstance(Linear(K, N), nn.Linear)
    assert {name: value.shape for name, value in Linear(K, N).state_dict().items()} == {
        name: value.shape for name, value in nn.Linear(K, N).state_dict().items()
    }
