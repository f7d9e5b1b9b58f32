"""Layouts of checkpoints: those in which a model can be written, and those that are only recognised."""

import pytest

from mgbench.components.checkpoints.layouts import LAYOUTS, LOADED
from mgbench.errors import UserError


@pytest.mark.parametrize("layout", LOADED, ids=lambda layout: layout.name)
def test_a_layout_in_which_models_are_written_says_which_network_it_stores(layout) -> None:
    with pytest.raises(
        UserError, match=r"this model is none of the \w+ network with the \w+ head, which the layout of"
    ):
        layout.write({}, {})


def test_every_layout_has_a_name_of_its_own() -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS) > len(LOADED)
