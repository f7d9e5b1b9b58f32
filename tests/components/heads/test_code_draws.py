import math

import pytest
import torch

from mgbench.components.heads.code_draws import Softmax

LOGITS = torch.log(torch.tensor([[0.1, 0.5, 0.05, 0.35]], dtype=torch.float64))


def test_by_default_nothing_changes() -> None:
    torch.testing.assert_close(Softmax()(LOGITS), LOGITS)


def test_a_temperature_divides_the_logits() -> None:
    torch.testing.assert_close(Softmax(temperature=0.5)(LOGITS), 2 * LOGITS)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 1}, [1]),
        ({"top_k": 3}, [0, 1, 3]),
        ({"top_p": 0.49}, [1]),
        ({"top_p": 0.6}, [1, 3]),
        ({"top_p": 0.86}, [0, 1, 3]),
        ({"top_p": 0.0}, [1]),
        ({"top_k": 2, "top_p": 0.58}, [1]),
        ({"top_k": 2, "top_p": 0.6}, [1, 3]),
    ],
)
def test_which_codes_are_left(options: dict[str, float], kept: list[int]) -> None:
    left = Softmax(**options)(LOGITS)[0]
    assert torch.nonzero(left > -math.inf).flatten().tolist() == kept
    torch.testing.assert_close(left[kept], LOGITS[0][kept])
