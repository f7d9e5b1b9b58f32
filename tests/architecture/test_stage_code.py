"""What results rest on is named in `mgbench/recipes/stage_code.py`; a name that is no more would stop every plan."""

import pytest

from mgbench.recipes.kinds import STAGES
from mgbench.recipes.modules import read_module
from mgbench.recipes.stage_code import RECONSTRUCTION, SILENT, STAGE_CODE, UNMEASURED

NAMED = [*(name for names in STAGE_CODE.values() for name in names), *RECONSTRUCTION]
LEFT_OUT = [*SILENT, *(name for names in UNMEASURED.values() for name in names)]


def test_every_stage_rests_on_code() -> None:
    assert tuple(STAGE_CODE) == STAGES
    assert all(STAGE_CODE.values())


@pytest.mark.parametrize("name", [*NAMED, *LEFT_OUT])
def test_stage_code_is_there(name: str) -> None:
    """Where a definition was renamed or moved, its name in the table moves along."""
    module, _, definition = name.partition(":")
    text = read_module(module)
    assert text is not None
    assert not definition or definition in text.statements
