"""Layer norms are those of PyTorch to the last bit, with parameters and without."""

import pytest
import torch
from torch import Tensor, nn

from mgbench.components.networks.norm import LayerNorm

WIDTH = 40


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(WIDTH,), (7, WIDTH), (2, 5, WIDTH), (0, WIDTH)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_gradients_are_those_of_pytorch(affine: bool, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    norms = [kind(WIDTH, eps=1e-6, elementwise_affine=affine).to(dtype) for kind in (LayerNorm, nn.LayerNorm)]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = [of(norm, x.clone().requires_grad_()) for norm in norms]
    for here, there in zip(*found, strict=True):
        assert torch.equal(here, there)


def of(norm: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    y = norm(x)
    return y, *torch.autograd.grad(y.square().sum(), [x, *norm.parameters()])


def test_it_has_no_state_without_parameters() -> None:
    assert not LayerNorm(WIDTH, elementwise_affine=False).state_dict()


def test_the_kernel_is_given_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    norm = torch.nn.functional.layer_norm
    monkeypatch.setattr(
        torch.nn.functional,
        "layer_norm",
        lambda x, shape, weight, *rest: given.append(weight) or norm(x, shape, weight, *rest),
    )
    LayerNorm(WIDTH, elementwise_affine=False)(torch.zeros(3, WIDTH))
    assert isinstance(given[0], Tensor)
