"""Labels that images are asked for, and held-out images in an order whose labels follow the same distribution."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mgbench.interfaces.data import UNLABELLED, ImageData
from mgbench.interfaces.randomness import Streams
from mgbench.recipes.recipe import LabelDistribution

# Shares of classes that differ from equal ones by more (in total variation) move distances between images.
FAR_FROM_EQUAL = 0.1
# Multiples of the golden ratio, cut to what follows the point, fill [0, 1) as evenly as any numbers.
_GOLDEN = 0.5 * (5**0.5 - 1)
# Held-out images are looked for among so many labels for each of them.
_LOOKED_AHEAD = 4


def labels_for(indices: Tensor, counts: Sequence[int], distribution: LabelDistribution, seed: int) -> Tensor:
    """The labels int64 [B] of images with these indices int64 [B]; -1 without classes.

    `counts` has the number of training images of each of K classes. `balanced`: image i has label i mod K. `data`: label k
    covers a share counts[k] / Σ counts of [0, 1), and image i has the label at the fractional part of i times the golden ratio,
    so that the first images of any number are in these shares up to a few of each class. `uniform`: every label is drawn
    evenly from the stream of the seed.
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
    """Numbers float64 [B] in [0, 1), of which the first of any number are evenly spread."""
    return indices.double() * _GOLDEN % 1


def by_turns(labels: Tensor | None, count: int, wanted: Tensor | None = None) -> Tensor:
    """The rows int64 [M] of `count` images with labels int64 [M], in an order that follows the labels `wanted` int64 [T].

    Without `wanted`, the classes come round in turn: 0, 1, …, K − 1, 0, … An image that is wanted and not there is left out, and
    those that are never wanted come last. Without labels, rows are evenly spread over the set, which may lie in the order of
    something.
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
    """For each of M labels int64 [M], how many equal ones come before it."""
    before = torch.empty_like(labels)
    for label in torch.unique(labels):
        members = labels == label
        before[members] = torch.arange(int(members.sum()))
    return before


def held_out_rows(data: ImageData, count: int, distribution: LabelDistribution = "balanced") -> Tensor:
    """The rows int64 [B] of `count` held-out images (of all, if there are fewer) whose labels generated images have too.

    Labels that are drawn evenly are equally many on average, so that these classes come by turns as well.
    """
    labels, every = data.test_labels, len(data.test)
    if labels is None or distribution != "data" or not data.class_counts:
        return by_turns(labels, every)[:count]
    wanted = labels_for(torch.arange(_LOOKED_AHEAD * every), data.class_counts, "data", 0)
    return by_turns(labels, every, wanted)[:count]


def too_few_held_out(data: ImageData, count: int, distribution: LabelDistribution) -> str:
    """The sentence on held-out images whose classes are far from those of `count` generated ones; empty if they are not."""
    if data.test_labels is None or not len(data.test) or not data.class_counts:
        return ""
    classes = len(data.class_counts)
    there = data.test_labels[held_out_rows(data, count, distribution)].bincount(minlength=classes).tolist()
    asked = data.class_counts if distribution == "data" else (1,) * classes
    if distance(there, asked) <= FAR_FROM_EQUAL + classes / (2 * sum(there)):
        return ""
    return (
        f"the floor's held-out images are {min(there):,} to {max(there):,} of a class, because some classes have no more, "
        f"and their shares are not those of the labels that were asked (label_distribution={distribution})"
    )


def distance(counts: Sequence[int], others: Sequence[int]) -> float:
    """The total variation between two distributions over classes, given as counts: 0 (alike) to 1."""
    one, two = (torch.tensor(part, dtype=torch.float64) for part in (counts, others))
    return float((one / one.sum() - two / two.sum()).abs().sum() / 2)


def in_shares(labels: Sequence[int], counts: Sequence[int]) -> bool:
    """Whether so many labels of each class are as many as shares given by `counts` ask for, up to one of each."""
    total = sum(labels)
    asked = labels_for(torch.arange(total), counts, "data", 0).bincount(minlength=len(counts)).tolist()
    return all(abs(label - wanted) <= 1 for label, wanted in zip(labels, asked, strict=True))


def unequal_classes(counts: Sequence[int], distribution: LabelDistribution) -> str:
    """The sentence on labels in equal numbers where the training images of the classes are far from it; empty if not."""
    if distribution == "data" or not len(counts) or distance(counts, [1] * len(counts)) <= FAR_FROM_EQUAL:
        return ""
    return (
        f"the classes have {min(counts):,} to {max(counts):,} training images each, and labels are asked in equal numbers "
        f"(label_distribution={distribution}), so that distances to the training images count the difference; "
        "label_distribution=data asks in the shares of the training images"
    )
