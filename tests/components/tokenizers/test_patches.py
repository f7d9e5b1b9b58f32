"""Tokens that nothing has to be learned for."""

import pytest
import torch

from mgbench.components.tokenizers.patches import KMeans, Levels
from mgbench.errors import UserError


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 8])
def test_levels_are_evenly_spaced_from_black_to_white(bits: int) -> None:
    module = Levels(bits).build((1, 16, 16))
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    codes, back = module.encode(every), module.decode(module.encode(every))
    assert codes.unique().tolist() == list(range(2**bits))
    assert back.unique().tolist() == [round(code * 255 / (2**bits - 1)) for code in range(2**bits)]
    assert (back.int() - every.int()).abs().max() <= 255 / (2**bits - 1) / 2 + 0.5
    assert torch.equal(module.encode(back), codes)


def test_a_level_is_a_token_for_every_channel_of_every_pixel() -> None:
    images = torch.randint(256, (2, 3, 2, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    module = Levels(bits=8).build((3, 2, 4))
    tokens = module.encode(images)
    assert tokens.shape == (2, 24)
    assert tokens[0, :3].tolist() == images[0, :, 0, 0].tolist()
    assert tokens[0, 3:6].tolist() == images[0, :, 0, 1].tolist()
    assert torch.equal(module.decode(tokens), images)


def test_levels_have_a_grid_where_there_is_one_to_a_pixel() -> None:
    assert Levels().build((1, 8, 6)).space.grid == (8, 6)
    assert Levels().build((3, 8, 6)).space.grid is None


def test_kmeans_refuses_more_codes_than_there_are_patches() -> None:
    images = torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(UserError, match="only 1 different patches; take fewer codes"):
        list(KMeans(codes=2).build((1, 4, 4)).fit(images, 0))
