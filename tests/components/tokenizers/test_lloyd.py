"""Steps of k-means: those of scikit-learn, in blocks."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench.components.tokenizers import lloyd
from mgbench.components.tokenizers.lloyd import BLOCK, first_centres, lloyd_step


def _points(count: int, dim: int = 3) -> Tensor:
    return torch.rand(count, dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("count", [500, 2 * BLOCK + 1])
def test_a_step_is_that_of_scikit_learn(count: int) -> None:
    from sklearn.cluster import KMeans

    points = _points(count)
    centres = first_centres(points, 16, 0)
    theirs: Any = KMeans(16, init=centres.numpy(), n_init=1, max_iter=1, tol=0, algorithm="lloyd")
    theirs.fit(points.double().numpy())
    moved, before = lloyd_step(points, centres)
    torch.testing.assert_close(moved, torch.from_numpy(theirs.cluster_centers_))
    # The error of the moved centres is what the next step tells.
    assert lloyd_step(points, moved)[1] == pytest.approx(theirs.inertia_ / count)
    assert before > lloyd_step(points, moved)[1]


def test_nothing_takes_longer_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, nearest = list[int](), lloyd._nearest

    def counted(rows: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(len(rows))
        return nearest(rows, centres)

    monkeypatch.setattr(lloyd, "_nearest", counted)
    points = _points(3 * BLOCK + 5)
    lloyd_step(points, first_centres(points, 4, 0))
    assert sizes == [BLOCK, BLOCK, BLOCK, 5]


def test_lost_centres_move_to_rows_that_differ() -> None:
    # The two farthest rows are equal, and each of three centres has a row of its own.
    points = torch.tensor([[0.0], [0.0], [9.0], [9.0], [4.0]])
    moved, error = lloyd_step(points, torch.tensor([[0.0], [50.0], [60.0]], dtype=torch.float64))
    assert sorted(moved.flatten().tolist()) == [3.0, 4.0, 9.0]
    assert error == pytest.approx((81 + 81 + 16) / 5)
