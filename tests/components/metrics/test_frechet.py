from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from mgbench.components.metrics.frechet import Moments, frechet_distance, frechet_distance_of_moments
from mgbench.errors import Unfit, UserError


def sample(count: int, dim: int, seed: int, offset: float = 0.0) -> Tensor:
    """Correlated features whose directions differ in scale."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator, dtype=torch.float64) * torch.logspace(
        0, -2, dim, dtype=torch.float64
    )
    return torch.randn(count, dim, generator=generator, dtype=torch.float64) @ mixing.T + offset


def with_moments(count: int, mean: Tensor, variances: Tensor, turn: Tensor) -> Tensor:
    """Features [count,F] with exactly this mean, and this variance along each column of `turn`."""
    dim = len(mean)
    noise = torch.randn(count, dim, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    white = torch.linalg.qr(noise - noise.mean(0)).Q * (count - 1) ** 0.5
    features: Tensor = white * variances.sqrt() @ turn.T + mean
    return features


def folded(batches: Iterable[Tensor], dim: int) -> Moments:
    moments = Moments.empty(dim)
    for batch in batches:
        moments = moments.update(batch)
    return moments


def by_sqrtm(first: Tensor, second: Tensor) -> float:
    linalg = pytest.importorskip("scipy.linalg", reason="scipy is the second opinion")
    one, two = torch.cov(first.T), torch.cov(second.T)
    shared = linalg.sqrtm((one @ two).numpy()).real.trace()
    return float((first.mean(0) - second.mean(0)).square().sum() + one.trace() + two.trace() - 2 * shared)


@pytest.mark.parametrize("dim", [1, 2, 16])
def test_closed_form_of_gaussians_that_share_their_axes(dim: int) -> None:
    turn = torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    one, two = torch.linspace(0.1, 3, dim, dtype=torch.float64), torch.linspace(5, 0.2, dim, dtype=torch.float64)
    means = torch.zeros(dim, dtype=torch.float64), torch.full((dim,), 0.7, dtype=torch.float64)
    measured = frechet_distance(with_moments(200, means[0], one, turn), with_moments(300, means[1], two, turn))
    expected = 0.49 * dim + (one.sqrt() - two.sqrt()).square().sum()
    assert measured == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize(("first", "second"), [(400, 300), (64, 65), (1000, 70)])
def test_the_matrix_square_root_agrees(first: int, second: int) -> None:
    one, two = sample(first, 32, seed=0), sample(second, 32, seed=1, offset=0.5)
    assert frechet_distance(one, two) == pytest.approx(by_sqrtm(one, two), rel=1e-6)


@pytest.mark.parametrize(("first", "second"), [(20, 30), (20, 400), (400, 20), (2, 2), (63, 65)])
def test_fewer_images_than_features_is_the_same_formula(first: int, second: int) -> None:
    one, two = sample(first, 64, seed=0), sample(second, 64, seed=1, offset=0.5)
    whole = frechet_distance_of_moments(Moments.of(one), Moments.of(two))
    assert frechet_distance(one, two) == pytest.approx(whole, rel=1e-8)


@pytest.mark.parametrize(("count", "dim"), [(500, 48), (30, 48), (2, 48), (48, 48), (1000, 3)])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e4])
def test_a_set_is_at_no_distance_from_itself(count: int, dim: int, scale: float) -> None:
    features = sample(count, dim, seed=2, offset=3.0) * scale
    assert 0 <= frechet_distance(features, features) <= 1e-8 * float(torch.cov(features.T).trace())
    assert frechet_distance(features, features.flip(0)) <= 1e-8 * float(torch.cov(features.T).trace())


def test_features_without_variance_are_no_trouble() -> None:
    constant = torch.ones(10, 5)
    assert frechet_distance(constant, constant) == 0
    assert frechet_distance(constant, constant + 2) == pytest.approx(20)


def test_order_and_sides_do_not_matter() -> None:
    one, two = sample(100, 16, seed=0), sample(80, 16, seed=1)
    assert frechet_distance(one, two) == pytest.approx(frechet_distance(two, one), rel=1e-12)
    assert frechet_distance(one.flip(0), two) == pytest.approx(frechet_distance(one, two), rel=1e-10)


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_streaming_is_the_whole(batch: int) -> None:
    features = sample(200, 24, seed=3)
    streamed, whole = folded(torch.split(features, batch), 24), Moments.of(features)
    assert streamed.count == whole.count
    torch.testing.assert_close(streamed.mean, whole.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(streamed.covariance, torch.cov(features.T), rtol=1e-10, atol=1e-12)


def test_streaming_survives_a_mean_far_above_the_spread() -> None:
    features = sample(2000, 8, seed=4)
    streamed = folded(torch.split(features + 1e6, 50), 8)
    error = (streamed.covariance - torch.cov(features.T)).abs().max() / torch.cov(features.T).abs().max()
    assert error < 1e-8


def test_empty_batches_and_sets_add_nothing() -> None:
    moments = Moments.of(sample(10, 4, seed=5))
    for same in (moments.update(torch.empty(0, 4)), Moments.empty(4).merge(moments), moments.merge(Moments.empty(4))):
        torch.testing.assert_close(same.covariance, moments.covariance)
    assert Moments.empty(4).merge(Moments.empty(4)).count == 0


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (torch.empty(0, 4), "at least 2 images"),
        (torch.ones(1, 4), "at least 2 images"),
        (torch.tensor([[0.0, float("nan")], [1.0, 2.0]]), "1 of 2 images have features that are not finite"),
        (torch.full((3, 4), float("inf")), "3 of 3 images"),
        (torch.ones(3), "a matrix"),
        (torch.ones(3, 7), "one extractor for both"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_sentence(features: Tensor, sentence: str) -> None:
    good = sample(10, 4, seed=6)
    with pytest.raises((Unfit, UserError), match=sentence):
        frechet_distance(features, good)
    with pytest.raises((Unfit, UserError), match=sentence):
        frechet_distance(good, features)


def test_a_single_image_has_no_covariance() -> None:
    with pytest.raises(Unfit, match="at least 2 images"):
        _ = Moments.of(torch.ones(1, 4)).covariance
