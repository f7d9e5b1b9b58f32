import pytest
import torch

from mgbench.components.tokenizers.patches import KMeans, Levels, Patch
from mgbench.components.tokenizers.subtokens import Subtokens
from mgbench.errors import Unfit

IMAGES = torch.randint(256, (8, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("base", "digits"), [(2, 4), (4, 2), (3, 3), (16, 1), (17, 1)])
def test_digits_are_those_of_the_code_and_come_back(base: int, digits: int) -> None:
    inner, module = Levels(bits=4).build((1, 4, 4)), Subtokens(Levels(bits=4), base).build((1, 4, 4))
    codes, tokens = inner.encode(IMAGES), module.encode(IMAGES)
    assert (module.space.length, module.space.codes) == (16 * digits, base)
    for row, code in zip(tokens.reshape(-1, digits).tolist(), codes.flatten().tolist(), strict=True):
        value = 0
        for digit in row:
            value = value * base + digit
        assert value == code
    assert torch.equal(module.decode(tokens), inner.decode(codes))


def test_digits_that_make_no_code_are_the_highest() -> None:
    module = Subtokens(KMeans(codes=5, size=2)).build((1, 4, 4))
    list(module.fit(IMAGES, 0))
    assert torch.equal(module.decode(torch.ones(1, 12).long()), module.decode(torch.tensor([[1, 0, 0] * 4])))


def test_vectors_have_no_digits() -> None:
    with pytest.raises(Unfit, match="makes vectors"):
        Subtokens(Patch()).build((1, 4, 4))
