"""Autoencoders that are trained here: better than the mean image, the same for a seed, and no code left to die."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench.components.datasets.embedded import Digits, Shapes
from mgbench.components.tokenizers.autoencoders import AutoencoderModule, Fsq, Kl, Vq, dropped, tiled
from mgbench.components.tokenizers.bottlenecks import NormalLaw
from mgbench.errors import Diverged, Unfit, UserError
from mgbench.recipes.spec import Spec
from mgbench.registry.loading import load

QUICK: dict[str, Any] = {"width": 16, "steps": 60}


def error(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).square().mean().sqrt())


def fitted(maker: Any, images: Tensor, seed: int = 0) -> AutoencoderModule:
    module: AutoencoderModule = maker.build(tuple(images.shape[1:]))
    list(module.fit(images, seed))
    return module


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    data = Digits().load()
    return data.train, data.test


@pytest.fixture(scope="module")
def codes(digits: tuple[Tensor, Tensor]) -> AutoencoderModule:
    return fitted(Vq(codes=32, **QUICK), digits[0])


@pytest.fixture(scope="module")
def latents(digits: tuple[Tensor, Tensor]) -> AutoencoderModule:
    return fitted(Kl(**QUICK), digits[0])


@pytest.mark.parametrize("name", ["codes", "latents"])
def test_held_out_images_come_back_nearer_than_the_mean_image(
    name: str, digits: tuple[Tensor, Tensor], request: pytest.FixtureRequest
) -> None:
    module, (train, test) = request.getfixturevalue(name), digits
    back = module.decode(module.encode(test))
    mean = train.double().mean(0).expand(test.shape)
    assert error(back, test) < 0.7 * error(mean, test)


def test_coloured_images_of_another_size_work() -> None:
    images = Shapes(train=64, test=8).load().train
    module = fitted(Fsq((5, 5), factor=4, width=8, steps=20, batch_size=16), images)
    assert module.space.grid == (4, 4)
    assert (module.space.length, module.space.codes, module.space.dim) == (16, 25, 2)
    assert module.decode(module.encode(images)).shape == images.shape


def test_nearly_all_codes_are_used(codes: AutoencoderModule, digits: tuple[Tensor, Tensor]) -> None:
    tokens = codes.encode(digits[1])
    assert len(torch.unique(tokens)) > 0.9 * 32
    share = torch.bincount(tokens.flatten(), minlength=32).double() / tokens.numel()
    assert float(torch.distributions.Categorical(share).entropy().exp()) > 16, "and no few of them do all the work"


def test_latents_have_about_unit_variance_on_what_they_were_fitted_to(
    latents: AutoencoderModule, digits: tuple[Tensor, Tensor]
) -> None:
    tokens = latents.encode(digits[0])
    assert float(tokens.std()) == pytest.approx(1, abs=1e-3)
    assert "bottleneck.scale" in latents.state_dict()
    assert float(latents.state_dict()["bottleneck.scale"]) != 1


def test_the_kl_loss_is_that_of_two_normal_laws() -> None:
    """KL(N(m, v) || N(0, 1)) = (m² + v − 1 − ln v) / 2."""
    h = torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, log_v = h.chunk(2, -1)
    expected = 0.3 * (mean.square() + log_v.exp() - 1 - log_v).mean() / 2
    torch.testing.assert_close(NormalLaw(3, 0.3)(h)[1], expected)


def test_noise_mixes_in_and_leaves_the_tokens_as_they_are() -> None:
    """Of (1 − u)·m + u·γ·ε with u uniform the mean is m/2, and the mean square m²/3 + γ²/3."""
    h = torch.cat([torch.full((4000, 9, 2), 2.0), torch.full((4000, 9, 2), -30.0)], -1)
    torch.manual_seed(0)
    noisy, _ = NormalLaw(2, 0.0, denoise=3.0)(h)
    assert float(noisy.mean()) == pytest.approx(1, abs=0.03)
    assert float(noisy.square().mean()) == pytest.approx(4 / 3 + 9 / 3, abs=0.1)
    assert torch.equal(NormalLaw(2, 0.0, denoise=3.0).tokens(h), NormalLaw(2, 0.0).tokens(h))


def test_whole_patches_are_hidden_half_of_the_most_on_average() -> None:
    images = torch.zeros(3000, 1, 8, 8, dtype=torch.uint8)
    torch.manual_seed(0)
    hidden = dropped(images, (4, 4), 0.7) == 128
    patches = hidden.unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2)
    assert torch.equal(patches.all(-1), patches.any(-1))
    assert float(hidden.float().mean()) == pytest.approx(0.35, abs=0.02)
    assert torch.equal(dropped(images, (4, 4), 0.0), images)


def test_a_scaled_latent_is_the_mean_and_comes_back_as_it(latents: AutoencoderModule) -> None:
    h = torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(0))
    tokens = latents.bottleneck.tokens(h)
    torch.testing.assert_close(latents.bottleneck.vectors(tokens), h[..., :4])


def test_rounded_numbers_are_combinations_of_their_levels() -> None:
    bottleneck = Fsq((3, 4)).build((1, 8, 8)).bottleneck
    vectors = bottleneck.vectors(torch.arange(12)[None])[0]
    assert len(torch.unique(vectors, dim=0)) == 12
    assert [len(torch.unique(number)) for number in vectors.T] == [3, 4]
    h = 3 * torch.randn(5, 20, 2, generator=torch.Generator().manual_seed(0))
    assert len(torch.unique(bottleneck.tokens(h))) == 12
    torch.testing.assert_close(bottleneck.vectors(bottleneck.tokens(h)), bottleneck(h)[0])


@pytest.mark.parametrize("maker", [Vq(codes=8, width=8, steps=4), Kl(width=8, steps=4)])
def test_a_seed_decides_everything_and_another_decides_otherwise(maker: Any, digits: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(1)
    one = fitted(maker, digits[0]).state_dict()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = maker.build((1, 8, 8))
    built = torch.random.get_rng_state()
    list(again.fit(digits[0], 0))
    assert torch.equal(torch.random.get_rng_state(), built), "fitting draws nothing from the numbers of others"
    assert not torch.equal(before, built)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in one.items())
    other = fitted(maker, digits[0], seed=1).state_dict()
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


def test_the_loss_is_told_now_and_then_and_at_the_end(digits: tuple[Tensor, Tensor]) -> None:
    told = list(Vq(codes=8, width=8, steps=45).build((1, 8, 8)).fit(digits[0], 0))
    assert [(step, total) for step, total, _ in told] == [(20, 45), (40, 45), (45, 45)]
    assert told[-1][2] < told[0][2]


def test_a_loss_that_is_no_number_is_an_end(digits: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(Diverged, match="lower learning_rate"):
        fitted(Kl(width=8, steps=40, learning_rate=1e30), digits[0])


@pytest.mark.parametrize(
    ("shape", "factor", "grid"),
    [((1, 8, 8), 1, (8, 8)), ((1, 8, 8), 8, (1, 1)), ((3, 32, 16), 4, (8, 4))],
)
def test_the_grid_is_the_image_scaled_down(shape: tuple[int, int, int], factor: int, grid: tuple[int, int]) -> None:
    assert tiled(shape, factor) == grid
    space = Vq(codes=8, width=8, factor=factor).build(shape).space
    assert (space.grid, space.length) == (grid, grid[0] * grid[1])


@pytest.mark.parametrize(("factor", "said"), [(3, "take 1, 2, 4, 8"), (16, "does not tile images of 8x8")])
def test_a_factor_that_cannot_be_is_unfit(factor: int, said: str) -> None:
    for maker in (Vq(factor=factor), Fsq(factor=factor), Kl(factor=factor)):
        with pytest.raises(Unfit, match=said):
            maker.build((1, 8, 8))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("vq(codes=0)", "'codes' is 0"),
        ("fsq([])", "'levels'"),
        ("fsq([4, 1])", "'levels'"),
        ("kl(chanels=2)", "did you mean 'channels'"),
        ("levels(9)", "'bits' is 9"),
        ("pretrained_kl", "needs path"),
    ],
)
def test_wrong_options_are_refused(spec: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load().build("tokenizer", Spec.parse(spec))
