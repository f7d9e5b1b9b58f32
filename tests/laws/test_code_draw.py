import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mgbench import testing
from tests.laws.registered import built, every

BROKEN: dict[str, Callable[[Tensor], Tensor]] = {
    "stay float64": lambda logits: logits.float(),
    "stay the likeliest": lambda logits: -logits,
    "some code": lambda logits: torch.full_like(logits, -math.inf).index_fill(-1, torch.tensor(0), math.nan),
    "depend on the batch": lambda logits: logits - logits.std(),
}


@every("code_draw")
def test_every_draw_keeps_the_laws(name: str) -> None:
    testing.code_draw(built("code_draw", name))


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_draw_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law if law != "some code" else "likeliest|some code"):
        testing.code_draw(BROKEN[law])
