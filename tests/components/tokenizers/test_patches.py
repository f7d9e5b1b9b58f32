"""Tokens that nothing has to be learned for."""

import pytest
import torch

from mgbench.components.datasets.embedded import Digits
from mgbench.components.tokenizers import patches
from mgbench.components.tokenizers.lloyd import first_centres
from mgbench.components.tokenizers.patches import MOST_STEPS, KMeans, Levels
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


@pytest.mark.parametrize(("codes", "error"), [(64, 19.2), (256, 12.7), pytest.param(512, 10.3, marks=pytest.mark.slow)])
def test_all_codes_of_kmeans_differ_and_reach_the_error_to_be_had(codes: int, error: float) -> None:
    # Full k-means of scikit-learn, the best of five starts, reaches 18.87, 12.40 and 9.91; copies of codes cost 14.1, 13.5.
    digits = Digits().load()
    module = KMeans(codes).build((1, 8, 8))
    assert [step[0] for step in module.fit(digits.train, 0)][-1] == MOST_STEPS
    assert len(torch.unique(module.codebook, dim=0)) == codes
    back = module.decode(module.encode(digits.test))
    assert float((back.double() - digits.test.double()).square().mean().sqrt()) < error
    again = KMeans(codes).build((1, 8, 8))
    list(again.fit(digits.train, 0))
    assert torch.equal(again.codebook, module.codebook)


def test_many_images_are_fitted_on_some_of_their_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def step(points: torch.Tensor, centres: torch.Tensor) -> tuple[torch.Tensor, float]:
        sizes.append(len(points))
        return centres, 0.5

    monkeypatch.setattr(patches, "lloyd_step", step)
    monkeypatch.setattr(patches, "FITTED_ON", 1000)
    images = torch.randint(256, (300, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    list(KMeans(codes=8).build((1, 8, 8)).fit(images, 0))
    # 62 images of 16 patches.
    assert set(sizes) == {992}
    # Where some have too few different patches, all are looked at.
    images = torch.zeros(300, 1, 8, 8, dtype=torch.uint8)
    images[0] = torch.arange(64).reshape(8, 8)
    sizes.clear()
    list(KMeans(codes=17).build((1, 8, 8)).fit(images, 1))
    assert set(sizes) in ({300 * 16}, {992})


def test_kmeans_refuses_more_codes_than_there_are_patches() -> None:
    images = torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(UserError, match="only 1 different patches; take fewer codes"):
        list(KMeans(codes=2).build((1, 4, 4)).fit(images, 0))


@pytest.mark.parametrize("rows", [30_000, 60_000])
def test_first_centres_differ_however_many_equal_rows_come_first(rows: int) -> None:
    points = torch.zeros(rows, 2)
    points[-300:, 0] = torch.arange(300)
    centres = first_centres(points, 256, 0)
    assert len(torch.unique(centres, dim=0)) == 256
    assert torch.equal(first_centres(points, 256, 0), centres)
    varied = points.clone()
    varied[20_000:] = torch.rand(rows - 20_000, 2, generator=torch.Generator().manual_seed(0))
    assert len(torch.unique(first_centres(varied, 256, 0), dim=0)) == 256
