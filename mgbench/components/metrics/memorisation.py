"""Metrics of memorisation, which distances to the training images cannot detect.

They compare with the images of the reference, and measure memorisation only with `reference=train`. With the half
`validation` or `test` of the held-out images, these take the place of the training images and the other half that of the
held-out ones, and the scores are those of a model that copies nothing, up to chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from mgbench.components.metrics.distances import both, need_each
from mgbench.components.metrics.frechet import comparable, finite, frechet_distance
from mgbench.components.metrics.neighbours import distance_blocks
from mgbench.components.metrics.states import State
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Count, Index


@dataclass(frozen=True)
class Copied:
    """The share of generated images that are closer to a training image than all but a `share` of held-out images.

    For new images of the same distribution it is `share` (0.05 by default); larger values indicate memorisation. The
    comparison of distances to training images with those of held-out images follows Meehan, Chaudhuri and Dasgupta
    (arXiv:2004.05675). With a `reference` other than `train`, a half of the held-out images takes the place of the
    training images, so that copies of these are not detected.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"copied": ScoreInfo("Copied (share)", "lower")}

    share: Annotated[float, Gt(0), Lt(1)] = 0.05

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`copied` of features [M,F] and [L,F] of training images, and those held out.

        Raises:
            Unfit: if there are no held-out images, but statistics of the reference, or fewer than 2 images in a set.
            UserError: with features that are not finite, or of different extractors.
        """
        fake, true = both("copied", generated, reference)
        held_out, _ = comparable(_held_out("copied", reference), true)
        usual = torch.quantile(_nearest(held_out, true)[0], self.share)
        return {"copied": float((_nearest(fake, true)[0] < usual).double().mean())}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set, or with statistics instead of real images."""
        need_each("copied", generated, reference)


@dataclass(frozen=True)
class AuthPct:
    """The percentage of generated images that are authentic (Alaa et al., arXiv:2102.08921); higher is better.

    An image is authentic if its nearest training image is closer to another training image than to it. Held-out images
    do not reach 100 either: read it next to its floor. With a `reference` other than `train`, a half of the held-out
    images takes the place of the training images, so that copies of these are not detected.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"authpct": ScoreInfo("Authentic", "higher", unit="%")}

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`authpct` of features [M,F] and [L,F].

        Raises:
            Unfit: if there are but statistics of the reference, or fewer than 2 images in a set.
            UserError: with features that are not finite, or of different extractors.
        """
        return self.compare(generated, reference, self.of_reference(reference))

    def of_reference(self, reference: Features) -> State:
        """`among` [L]: the distance of every training image to the nearest other one; raises as the metric itself."""
        true = finite(reference.features)
        self.check_counts(len(true), len(true))
        nearest = [block.topk(2, largest=False).values[:, 1] for _, block in distance_blocks(true, true)]
        return {"among": torch.cat(nearest)}

    def compare(self, generated: Features, reference: Features, known: State) -> dict[str, float]:
        """`authpct` of features [M,F] and [L,F], given `of_reference` of the latter; raises as the metric itself."""
        fake, true = both("authpct", generated, reference)
        near, which = _nearest(fake, true)
        return {"authpct": 100 * float((known["among"][which] < near).double().mean())}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set, or with statistics instead of real images."""
        need_each("authpct", generated, reference)


@dataclass(frozen=True)
class Gap:
    """The generalisation gap: FID to held-out images minus FID to as many training images; positive values indicate
    memorisation.

    Equal numbers of images give both FIDs the same bias; the second is the mean over `subsets` random sets of training
    images. With a `reference` other than `train`, the two sets are the halves of the held-out images, and the gap of any
    model is 0 up to chance.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"gap": ScoreInfo("Generalisation gap of FID", "lower")}

    subsets: Count = 4
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`gap` of features [M,F] and [L,F] of training images, and those held out.

        Raises:
            Unfit: if there are no held-out images, but statistics of the reference, or fewer than 2 images in a set.
            UserError: with features that are not finite, or of different extractors.
        """
        fake, true = both("gap", generated, reference)
        held_out, _ = comparable(_held_out("gap", reference), true)
        count = min(len(held_out), len(true))
        trained = [frechet_distance(fake, true[rows[:count]]) for rows in self._orders(len(true))]
        return {"gap": frechet_distance(fake, held_out[:count]) - sum(trained) / len(trained)}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set, or with statistics instead of real images."""
        need_each("gap", generated, reference)

    def _orders(self, images: int) -> list[Tensor]:
        streams = Streams.root(self.seed, "gap").fold(torch.arange(images))
        return [streams.fold(subset).uniform(1)[:, 0].argsort() for subset in range(self.subsets)]


def _held_out(metric: str, reference: Features) -> Tensor:
    if reference.held_out is None:
        raise Unfit(
            f"{metric} needs held-out images of the reference, and there are none; name a data set that has some"
        )
    return reference.held_out.features


def _nearest(features: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The distance float64 [M] of every image to its nearest neighbour among others, and its index int64 [M]."""
    found = [block.min(1) for _, block in distance_blocks(features, others)]
    return torch.cat([least.values for least in found]), torch.cat([least.indices for least in found])


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"copied": Copied, "authpct": AuthPct, "gap": Gap}
