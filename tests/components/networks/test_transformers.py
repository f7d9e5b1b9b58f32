from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench.components.networks.transformers import MAE, Transformer
from mgbench.interfaces.data import UNLABELLED, TokenSpace

CODES = TokenSpace(9, 3, codes=5, grid=(3, 3))
TOKENS = torch.randint(5, (4, 9), generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4)
NETWORKS = pytest.mark.parametrize("maker", [MAE, Transformer])


def masked(*counts: int) -> Tensor:
    return torch.arange(9) < torch.tensor(counts)[:, None]


def lengths(module: Any, blocks: Any, mask: Tensor) -> set[int]:
    """How many places of a row each block works on."""
    seen: set[int] = set()
    handles = [block.register_forward_hook(lambda block, inputs, out: seen.add(inputs[0].shape[1])) for block in blocks]
    module(TOKENS[: len(mask)], mask, LABELS[: len(mask)])
    for handle in handles:
        handle.remove()
    return seen


def test_the_encoder_of_mae_works_on_visible_tokens_only() -> None:
    module = MAE(width=16, class_tokens=3).build(CODES, 4)
    assert lengths(module, module.encoder, masked(6, 6, 6, 6)) == {3 + 3}
    assert lengths(module, module.encoder, masked(9, 9, 9, 9)) == {3}
    assert lengths(module, module.encoder, masked(9, 5, 7, 9)) == {3 + 4}
    assert lengths(module, module.decoder, masked(6, 6, 6, 6)) == {3 + 9}


def test_the_transformer_works_on_all_tokens() -> None:
    module = Transformer(width=16).build(CODES, 4)
    assert lengths(module, module.blocks, masked(6, 6, 6, 6)) == {1 + 9}


@NETWORKS
def test_a_batch_of_different_counts_has_a_gradient_everywhere(maker: Any) -> None:
    module = maker(width=16).build(CODES, 4)
    module(TOKENS, masked(9, 1, 5, 8), torch.tensor([0, UNLABELLED, 2, 3])).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    """Rows of equal counts need none; beside a row with more visible tokens, the same rows are padded."""
    torch.manual_seed(0)
    module = MAE(width=16).build(CODES, 4).double().eval()
    for parameter in module.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    mask = masked(7, 7, 7, 1)
    assert lengths(module, module.encoder, mask[:3]) == {2 + 2}
    assert lengths(module, module.encoder, mask) == {2 + 8}
    alone, together = module(TOKENS[:3], mask[:3], LABELS[:3]), module(TOKENS, mask, LABELS)
    torch.testing.assert_close(together[:3], alone, atol=1e-12, rtol=1e-10)


@NETWORKS
def test_no_label_is_the_mask_token_itself_or_a_parameter_of_its_own(maker: Any) -> None:
    """Tied, the one parameter learns from both; untied, the network has one vector more."""
    tied, untied = (maker(width=16, unconditional=one).build(CODES, 4) for one in ("mask_token", "class_token"))
    count = [sum(parameter.numel() for parameter in module.parameters()) for module in (tied, untied)]
    assert count[1] - count[0] == 16
    nothing_masked, none = torch.zeros(4, 9, dtype=torch.bool), torch.full((4,), UNLABELLED)
    for module in (tied, untied):
        module(TOKENS, nothing_masked, none).square().sum().backward()
    assert (tied.mask_token.grad != 0).any()
    assert (untied.class_token.grad != 0).any()
    assert untied.mask_token.grad is None or (untied.mask_token.grad == 0).all()


@NETWORKS
@pytest.mark.parametrize("unconditional", ["mask_token", "class_token"])
def test_what_stands_for_no_label(maker: Any, unconditional: str) -> None:
    module = maker(width=16, unconditional=unconditional).build(CODES, 4).eval()
    mask, none = torch.zeros(4, 9, dtype=torch.bool), torch.full((4,), UNLABELLED)
    assert (module.class_token is None) == (unconditional == "mask_token")
    before = module(TOKENS, mask, none)
    chosen = module.mask_token if module.class_token is None else module.class_token
    with torch.no_grad():
        chosen.add_(torch.linspace(-1, 1, 16))
    without = module(TOKENS, mask, none)
    assert (without - before).abs().amax((1, 2)).min() > 1e-3
    with torch.no_grad():
        module.label.classes.weight.add_(torch.linspace(1, -1, 16))
    assert torch.equal(module(TOKENS, mask, none), without)


@NETWORKS
def test_dropout_is_for_training_only(maker: Any) -> None:
    torch.manual_seed(0)
    module = maker(width=16, dropout=0.5).build(CODES, 4)
    mask = masked(5, 5, 5, 5)
    assert not torch.equal(module(TOKENS, mask, LABELS), module(TOKENS, mask, LABELS))
    module.eval()
    assert torch.equal(module(TOKENS, mask, LABELS), module(TOKENS, mask, LABELS))


@NETWORKS
def test_a_width_that_heads_do_not_divide_is_refused(maker: Any) -> None:
    with pytest.raises(ValueError, match=r"width \(10\) must be a multiple of heads \(4\)"):
        maker(width=10, heads=4)


@NETWORKS
def test_options_shape_the_network(maker: Any) -> None:
    def count(**options: int) -> int:
        return sum(parameter.numel() for parameter in maker(**options).build(CODES, 4).parameters())

    assert count(width=16, depth=2) > count(width=16, depth=1)
    assert count(width=32, depth=1) > count(width=16, depth=1)
    assert maker(width=32).build(CODES, 4).width == 32


@NETWORKS
def test_places_are_told_apart(maker: Any) -> None:
    torch.manual_seed(0)
    module = maker(width=16).build(CODES, 4).eval()
    z = module(torch.zeros_like(TOKENS), masked(9, 9, 9, 9), LABELS)[0]
    assert torch.cdist(z, z)[~torch.eye(9, dtype=torch.bool)].min() > 1e-3
