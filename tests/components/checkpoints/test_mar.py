"""Layouts of checkpoints: what is written is what was read, and models of ours are written as published code stores them."""

import pytest
import torch

from mgbench.components.checkpoints.layouts import LAYOUTS
from mgbench.components.checkpoints.mar import NAMES, MarLayout
from mgbench.components.checkpoints.released import TRUNKS
from mgbench.components.heads.diffusion import Diffusion
from mgbench.components.networks.transformers import MAE, Transformer
from mgbench.components.processes.masked import MaskedModel
from mgbench.errors import UserError
from mgbench.interfaces.data import TokenSpace

SPACE = TokenSpace(6, 3)


def model(network: MAE | Transformer) -> MaskedModel:
    return MaskedModel(network.build(SPACE, 5), Diffusion(width=8, depth=2).build(SPACE, network.width))


@pytest.mark.parametrize(("unconditional", "shape"), [("mask_token", (1, 16)), ("class_token", (1, 1, 16))])
def test_a_model_of_ours_is_read_again_as_it_was_written(unconditional: str, shape: tuple[int, ...]) -> None:
    ours = model(MAE(width=16, depth=3, heads=2, unconditional=unconditional)).state_dict()  # type: ignore[arg-type]
    state = MarLayout().write(ours, {})
    assert state["mask_token"].shape == shape
    assert len(state) == 12 * 6 + 8 * 2 + 28
    again = MarLayout().read(state, "state", {"heads": 2})
    assert again.tensors.keys() == ours.keys()
    assert all(torch.equal(value, ours[name]) for name, value in again.tensors.items())
    assert (again.classes, again.space) == (5, SPACE)


def test_every_name_of_ours_has_one_of_theirs_and_leads_back() -> None:
    for name in model(MAE(width=16, depth=11, heads=2, unconditional="class_token")).state_dict():
        theirs = NAMES.theirs(name)
        assert theirs is not None
        assert NAMES.ours(theirs) == name


def test_a_model_of_another_network_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"none of the mae network with the diffusion head.*: it has network\.positions"
    ):
        MarLayout().write(model(Transformer(width=16, depth=1, heads=2)).state_dict(), {})


def test_names_of_layouts_are_different_and_heads_divide_the_published_widths() -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
    assert not any(trunk.width % trunk.heads for trunk in TRUNKS.values())
