"""Requested labels of generated images, and held-out images ordered by the same label distribution."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mgbench.interfaces.data import UNLABELLED, ImageData
from mgbench.interfaces.randomness import Streams
from mgbench.recipes.recipe import LabelDistribution

# Total variation from equal class shares above which distances between images are affected.
FAR_FROM_EQUAL = 0.1
# Fractional parts of multiples of the golden ratio are a low-discrepancy sequence in [0, 1).
_GOLDEN = 0.5 * (5**0.5 - 1)
# Number of labels per held-out image that are searched for a match.
_LOOKED_AHEAD = 4


def labels_for(indices: Tensor, counts: Sequence[int], distribution: LabelDistribution, seed: int) -> Tensor:
    """The labels int64 [B] of images with these indices int64 [B]; -1 without classes.

    `counts` has the number of training images of each of K classes. `balanced`: image i has label i mod K. `data`:
    label k covers a share counts[k] / Σ counts of [0, 1), and image i has the label at the fractional part of i times
    the golden ratio, so that any number of first images has these shares up to a few images per class. `uniform`:
    labels are independent and uniform.
    """
    if not len(counts):
        return torch.full_like(indices, UNLABELLED)
    if distribution == "balanced":
        return indices % len(counts)
    if distribution == "data":
        ends = torch.tensor(counts, device=indices.device).cumsum(0)
        places = _evenly(indices) * int(ends[-1])
        return torch.searchsorted(ends, places.long(), right=True)
    drawn = Streams.root(seed, "labels", indices.device).fold(indices).uniform(1)[:, 0]
    return (drawn * len(counts)).long()


def _evenly(indices: Tensor) -> Tensor:
    """A low-discrepancy sequence float64 [B] in [0, 1) at these indices int64 [B]."""
    return indices.double() * _GOLDEN % 1


def by_turns(labels: Tensor | None, count: int, wanted: Tensor | None = None) -> Tensor:
    """The rows int64 [M] of `count` images with labels int64 [M], in an order that follows the labels `wanted` int64
    [T].

    Without `wanted`, classes alternate: 0, 1, …, K − 1, 0, … Wanted images that do not exist are left out, and those
    that are not wanted come last. Without labels, rows are spread evenly over the set, which may be sorted.
    """
    rows = torch.arange(count)
    if labels is None:
        return _evenly(rows).argsort(stable=True)
    classes = int(labels.max()) + 2 if count else 1
    turns = _occurrence(labels) * classes + labels + 1
    if wanted is None:
        return turns.argsort(stable=True)
    place = turns + len(wanted)
    for label in torch.unique(labels):
        members, places = (labels == label).nonzero()[:, 0], (wanted == label).nonzero()[:, 0]
        found = members[: len(places)]
        place[found] = places[: len(found)]
    return place.argsort(stable=True)


def _occurrence(labels: Tensor) -> Tensor:
    """The number of earlier equal labels for each of labels int64 [M], int64 [M]."""
    before = torch.empty_like(labels)
    for label in torch.unique(labels):
        members = labels == label
        before[members] = torch.arange(int(members.sum()))
    return before


def held_out_rows(data: ImageData, count: int, distribution: LabelDistribution = "balanced") -> Tensor:
    """The rows int64 [B] of `count` held-out images (or all) with the same label distribution as generated images.

    Uniform labels are balanced on average, so classes alternate for them too.
    """
    labels, every = data.test_labels, len(data.test)
    if labels is None or distribution != "data" or not data.class_counts:
        return by_turns(labels, every)[:count]
    wanted = labels_for(torch.arange(_LOOKED_AHEAD * every), data.class_counts, "data", 0)
    return by_turns(labels, every, wanted)[:count]


def too_few_held_out(data: ImageData, count: int, distribution: LabelDistribution) -> str:
    """A sentence if the class shares of held-out images are far from those of `count` generated ones; empty otherwise."""
    if data.test_labels is None or not len(data.test) or not data.class_counts:
        return ""
    classes = len(data.class_counts)
    there = data.test_labels[held_out_rows(data, count, distribution)].bincount(minlength=classes).tolist()
    asked = data.class_counts if distribution == "data" else (1,) * classes
    if distance(there, asked) <= FAR_FROM_EQUAL + classes / (2 * sum(there)):
        return ""
    return (
        f"the held-out images of the floor are {min(there):,} to {max(there):,} per class, because some classes have no "
        f"more, so their shares differ from those of the requested labels (label_distribution={distribution})"
    )


def distance(counts: Sequence[int], others: Sequence[int]) -> float:
    """The total variation, from 0 (equal) to 1, between two class distributions given as counts."""
    one, two = (torch.tensor(part, dtype=torch.float64) for part in (counts, others))
    return float((one / one.sum() - two / two.sum()).abs().sum() / 2)


def in_shares(labels: Sequence[int], counts: Sequence[int]) -> bool:
    """Whether the numbers of labels per class match the shares of `counts`, up to one per class."""
    total = sum(labels)
    asked = labels_for(torch.arange(total), counts, "data", 0).bincount(minlength=len(counts)).tolist()
    return all(abs(label - wanted) <= 1 for label, wanted in zip(labels, asked, strict=True))


def unequal_classes(counts: Sequence[int], distribution: LabelDistribution) -> str:
    """A sentence if balanced labels are requested for unbalanced training images; empty otherwise."""
    if distribution == "data" or not len(counts) or distance(counts, [1] * len(counts)) <= FAR_FROM_EQUAL:
        return ""
    return (
        f"the classes have {min(counts):,} to {max(counts):,} training images each, but labels are requested in equal numbers "
        f"(label_distribution={distribution}), which increases distances to the training images; "
        "label_distribution=data requests the shares of the training images"
    )
