"""Blockwise k-means that reports its steps, can be interrupted, and is deterministic on every machine."""

import torch
from torch import Tensor

# Rows per centre from which the initial centres are drawn.
_ROWS_PER_CENTRE = 50
# Rows per block; a block cannot be interrupted, and takes a tenth of a second for 1,024 centres.
BLOCK = 8192


def first_centres(points: Tensor, count: int, seed: int) -> Tensor:
    """Distinct centres float64 [K,D] drawn from points [M,D] by k-means++ (Arthur and Vassilvitskii, 2007).

    The points need at least `count` distinct rows.
    """
    from sklearn.cluster import kmeans_plusplus

    rows = points.cpu().double()
    some = rows[: max(_ROWS_PER_CENTRE * count, 10_000)]
    if len(torch.unique(some, dim=0)) < count:
        some = torch.unique(rows, dim=0)
    centres, _ = kmeans_plusplus(some.numpy(), count, random_state=seed)
    return torch.from_numpy(centres)


def lloyd_step(points: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """One step of k-means: the new centres float64 [K,D] of points [M,D], and the mean squared distance to the old
    ones.

    Centres without points move to distinct points that are farthest from their centres.
    """
    rows, counts, sums = points.cpu().double(), torch.zeros(len(centres), dtype=torch.int64), torch.zeros_like(centres)
    nearest, apart = torch.empty(len(rows), dtype=torch.int64), torch.empty(len(rows), dtype=torch.float64)
    for block in torch.split(torch.arange(len(rows)), BLOCK):
        nearest[block], apart[block] = _nearest(rows[block], centres)
    counts.index_add_(0, nearest, torch.ones_like(nearest))
    sums.index_add_(0, nearest, rows)
    lost = (counts == 0).nonzero()[:, 0]
    far = _farthest(rows, apart, len(lost))
    for into, index in ((nearest[far], -1), (lost[: len(far)], 1)):
        counts.index_add_(0, into, torch.full_like(into, index))
        sums.index_add_(0, into, index * rows[far])
    moved = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], centres)
    return moved, float(apart.mean())


def _farthest(rows: Tensor, apart: Tensor, count: int) -> Tensor:
    """Indices int64 [C] of distinct rows [M,D] with the largest distances [M]."""
    found: dict[bytes, int] = {}
    for index in apart.argsort(descending=True, stable=True).tolist() if count else ():
        if len(found) == count:
            break
        found.setdefault(rows[index].numpy().tobytes(), index)
    return torch.tensor(list(found.values()), dtype=torch.int64)


def _nearest(rows: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The centre int64 [B] nearest to each row [B,D], and the squared distance float64 [B] to it."""
    from sklearn.metrics import pairwise_distances_argmin_min
    from threadpoolctl import threadpool_limits

    # With several threads, the order of summation, and so the rounding, would vary.
    with threadpool_limits(limits=1):
        found, apart = pairwise_distances_argmin_min(rows.numpy(), centres.numpy(), metric="sqeuclidean")
    return torch.from_numpy(found), torch.from_numpy(apart)
