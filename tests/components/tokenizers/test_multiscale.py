from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mgbench.components.tokenizers.multiscale import Multiscale, MultiscaleModule, split
from mgbench.errors import Unfit, UserError
from tests.laws.registered import built


@pytest.fixture(scope="module")
def images() -> Tensor:
    drawn: Tensor = built("dataset", "digits").load().train[:400]
    return drawn


@pytest.fixture(scope="module")
def fitted(images: Tensor) -> MultiscaleModule:
    module = Multiscale(codes=48).build((1, 8, 8))
    for _ in module.fit(images, 0):
        pass
    return module


def test_every_scale_brings_the_picture_nearer(fitted: MultiscaleModule, images: Tensor) -> None:
    f = fitted._grid(images)
    errors, so_far = [float(f.square().mean())], torch.zeros(())
    for added in fitted.contributions(fitted.encode(images)):
        so_far = so_far + added
        errors.append(float((f - so_far).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 20


def test_the_contributions_of_all_scales_sum_to_what_is_decoded(fitted: MultiscaleModule, images: Tensor) -> None:
    tokens = fitted.encode(images[:9])
    total = sum(fitted.contributions(tokens), torch.zeros(()))
    # Pixel (r, c) lies in patch (r // 2, c // 2), at place (r % 2, c % 2) within it.
    pixels = functional.pixel_shuffle(total, 2)
    expected = ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    assert torch.equal(fitted.decode(tokens), expected)


def test_codes_are_those_of_the_published_algorithm(fitted: MultiscaleModule, images: Tensor) -> None:
    """Algorithm 1 of arXiv:2404.02905, image by image and place by place."""
    for image in images[:3]:
        f = functional.pixel_unshuffle(image[None].float() / 127.5 - 1, 2)
        expected: list[int] = []
        for scale, side in enumerate((1, 2, 3, 4)):
            small = functional.adaptive_avg_pool2d(f, side)[0]
            nearest = torch.stack(
                [
                    ((fitted.codebook - small[:, row, column]) ** 2).sum(1).argmin()
                    for row in range(side)
                    for column in range(side)
                ]
            )
            expected += nearest.tolist()
            looked_up = fitted.codebook[nearest].T.reshape(1, -1, side, side)
            grown = functional.interpolate(looked_up, (4, 4), mode="bicubic")
            f = f - functional.conv2d(grown, fitted.filters[scale], padding=1)
        assert fitted.encode(image[None])[0].tolist() == expected


def test_no_filter_could_be_better(images: Tensor) -> None:
    module = Multiscale(codes=24, scales=(2, 4)).build((1, 8, 8))
    for _ in module.fit(images, 0):
        pass
    f, tokens = module._grid(images), module.encode(images)

    def error() -> float:
        first, second = module.contributions(tokens)
        return float((f - first - second).square().mean())

    best, filters = error(), module.filters.clone()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        change = torch.randn(filters[1].shape, generator=generator)
        module.filters[1] = filters[1] + 0.03 * change
        assert error() > best
    module.filters.copy_(filters)


def test_all_codes_are_of_use_and_more_of_them_are_nearer(fitted: MultiscaleModule, images: Tensor) -> None:
    few = Multiscale(codes=12).build((1, 8, 8))
    for _ in few.fit(images, 0):
        pass
    assert len(torch.unique(fitted.encode(images))) > 40
    lost = [(one.decode(one.encode(images)).double() - images).square().mean() for one in (fitted, few)]
    assert lost[0] < lost[1]


def test_the_first_code_adds_the_least(fitted: MultiscaleModule) -> None:
    strength = fitted.codebook.square().sum(1)
    assert (strength.diff() >= 0).all()
    assert strength[0] < strength.mean() / 15


def test_the_space_holds_all_scales_and_no_grid(fitted: MultiscaleModule, images: Tensor) -> None:
    assert (fitted.space.length, fitted.space.codes, fitted.space.grid) == (30, 48, None)
    assert [part.shape[1] for part in split(fitted.encode(images[:2]), fitted.scales)] == [1, 4, 9, 16]


@pytest.mark.parametrize(
    ("options", "shape", "reason"),
    [
        ({}, (1, 8, 12), "do not tile images of 8x12"),
        ({"size": 3}, (1, 8, 8), "patches of 3 pixels do not tile images of 8x8"),
        ({}, (3, 16, 16), "the last scale must be all 8x8 patches of 2 pixels; end scales with 8"),
    ],
)
def test_images_that_the_scales_do_not_fit_are_refused(options: Any, shape: Any, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        Multiscale(**options).build(shape)


@pytest.mark.parametrize("scales", [(), (1, 2, 2, 4), (4, 2)])
def test_scales_that_do_not_grow_are_refused(scales: Any) -> None:
    with pytest.raises(ValueError, match="must grow"):
        Multiscale(scales=scales)


def test_more_codes_than_different_patches_are_refused() -> None:
    with pytest.raises(UserError, match=r"multiscale: 128 codes, but the images have only \d+ different patches"):
        list(Multiscale().build((1, 8, 8)).fit(torch.zeros(9, 1, 8, 8, dtype=torch.uint8), 0))
