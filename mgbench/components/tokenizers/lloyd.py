"""k-means by scikit-learn, one step at a time: it can be watched, stopped, and gives the same centres on every machine."""

from typing import Any

import torch
from torch import Tensor

# Rows from which the first centres are drawn, for every centre.
_ROWS_PER_CENTRE = 50


def first_centres(points: Tensor, count: int, seed: int) -> Tensor:
    """Centres float64 [K,D] drawn from points [M,D] by k-means++ (Arthur and Vassilvitskii, 2007); all of them differ.

    The points need at least `count` different rows.
    """
    from sklearn.cluster import kmeans_plusplus

    rows = points.cpu().double()
    some = rows[: max(_ROWS_PER_CENTRE * count, 10_000)]
    if len(torch.unique(some, dim=0)) < count:
        some = torch.unique(rows, dim=0)
    centres, _ = kmeans_plusplus(some.numpy(), count, random_state=seed)
    return torch.from_numpy(centres)


def lloyd_step(points: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """Centres [K,D] moved to the means of the points [M,D] nearest to them, and the mean squared distance that is left.

    A centre that no point is nearest to moves to the point that is farthest from its own, so that none is lost.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    # Threads would add their sums in the order in which they finish.
    with threadpool_limits(limits=1):
        kmeans: Any = KMeans(len(centres), init=centres.numpy(), n_init=1, max_iter=1, tol=0)
        kmeans.fit(points.cpu().double().numpy())
    return torch.from_numpy(kmeans.cluster_centers_), float(kmeans.inertia_) / len(points)
