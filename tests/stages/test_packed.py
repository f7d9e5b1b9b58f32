"""The step of a vector is that of its pieces, by PyTorch's own optimizer."""

import copy
import io
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from mgbench.stages.packed import ALIGNED, PackedAdamW, Packing

SHAPES = ((3, 5), (16, 4), (7,), (), (40,))


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def groups(those: Sequence[nn.Parameter]) -> list[dict[str, object]]:
    """Two groups with parameters, whose rates and decays differ, around one without."""
    return [
        {"params": those[:2], "weight_decay": 0.3},
        {"params": [], "weight_decay": 0.1},
        {"params": those[2:], "weight_decay": 0.0, "lr": 0.02},
    ]


def gradients(those: Sequence[nn.Parameter], step: int, none: int | None) -> None:
    generator = torch.Generator().manual_seed(step)
    for number, parameter in enumerate(those):
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.grad = None if number == none else drawn


def advance(optimizer: AdamW, those: Sequence[nn.Parameter], steps: range, none: int | None = None) -> None:
    for step in steps:
        gradients(those, step, none)
        if isinstance(optimizer, PackedAdamW):
            optimizer.clip(2.0)
        else:
            nn.utils.clip_grad_norm_(those, 2.0)
        optimizer.step()


def both() -> tuple[list[nn.Parameter], PackedAdamW, list[nn.Parameter], AdamW]:
    mine, theirs = parameters(), parameters()
    return (
        mine,
        PackedAdamW(groups(mine), lr=0.1, betas=(0.9, 0.95)),
        theirs,
        AdamW(groups(theirs), lr=0.1, betas=(0.9, 0.95)),
    )


def assert_same(mine: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("none", [None, 0, 3])
def test_the_steps_are_those_of_adamw(none: int | None) -> None:
    """Also where some steps have no gradient of a parameter, which is then left alone and not counted."""
    mine, packed, theirs, plain = both()
    for optimizer, those in ((packed, mine), (plain, theirs)):
        advance(optimizer, those, range(4))
        advance(optimizer, those, range(4, 6), none)
        advance(optimizer, those, range(6, 8))
    assert_same(mine, theirs)


@pytest.mark.parametrize("none", [None, 1])
def test_a_state_goes_from_one_to_the_other(none: int | None) -> None:
    """A saved state is that of PyTorch's optimizer, though its tensors shared memory."""
    mine, packed, theirs, plain = both()
    for optimizer, those in ((packed, mine), (plain, theirs)):
        advance(optimizer, those, range(3))
        advance(optimizer, those, range(3, 4), none)
    saved = io.BytesIO()
    torch.save(packed.state_dict(), saved)
    saved.seek(0)
    state = torch.load(saved)
    assert all(
        value["exp_avg"].shape == those.shape for value, those in zip(state["state"].values(), mine, strict=True)
    )
    for optimizer, those in ((PackedAdamW(groups(mine), lr=0.1, betas=(0.9, 0.95)), mine), (plain, theirs)):
        optimizer.load_state_dict(copy.deepcopy(state) if optimizer is not plain else plain.state_dict())
        advance(optimizer, those, range(4, 7))
    assert_same(mine, theirs)


def test_a_step_that_overflowed_is_left_out() -> None:
    mine, packed, theirs, plain = both()
    advance(packed, mine, range(2))
    before = [parameter.detach().clone() for parameter in mine]
    packed.found_inf = torch.ones(())
    advance(packed, mine, range(2, 3))
    assert_same(mine, before)
    del packed.found_inf
    advance(packed, mine, range(3, 5))
    advance(plain, theirs, range(2))
    advance(plain, theirs, range(3, 5))
    assert_same(mine, theirs)


def test_pieces_start_at_multiples_and_share_memory() -> None:
    mine = parameters()
    packing = Packing(mine)
    (vector,) = packing.packed
    assert [(one.data_ptr() - vector.data_ptr()) % (4 * ALIGNED) for one in mine] == [0] * len(mine)
    assert_same(packing.split(packing.join(mine)), mine)
    vector.zero_()
    assert not any(one.any() for one in mine)


def test_parameters_of_other_types_stay_alone() -> None:
    halves = [nn.Parameter(torch.ones(3, dtype=torch.float64)), nn.Parameter(torch.ones(2))]
    assert [one.shape for one in Packing(halves).packed] == [(3,), (2,)]
