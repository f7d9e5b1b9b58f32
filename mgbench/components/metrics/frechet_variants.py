"""Variants of FID: extrapolated to infinitely many images, of spatial features, and per class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mgbench.components.metrics.distances import Frechet, need
from mgbench.components.metrics.extrapolation import Part, Points, at_infinity, sizes_of
from mgbench.components.metrics.frechet import Gaussian, finite
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features, Statistics
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Index


@dataclass(frozen=True)
class FidInfinity:
    """FID extrapolated to infinitely many images (Chong and Forsyth, arXiv:1911.07023); lower is better.

    The bias of FID falls as 1/N, so a linear fit of the FID of smaller sets over 1/N gives the unbiased value at 1/N =
    0. At each of `points` sizes from `smallest`·N to N, the shuffled images are cut into as many sets as possible,
    whose FIDs are averaged. The bias of the reference remains. The relation is not linear for sets with hardly more
    images than features, so `smallest` should be larger.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"fid_infinity": ScoreInfo("FID∞", "lower")}

    points: Points = 10
    smallest: Part = 0.5
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`fid_infinity` of features [M,F] and [L,F]; noise may make it negative.

        Raises:
            Unfit: with fewer images than make `points` sizes of two and more.
            UserError: with features that are not finite.
        """
        features, aim = finite(generated.features), _aim(reference)

        def distance(part: Tensor) -> float:
            return Gaussian.of(part).distance(aim)

        found = at_infinity("fid_infinity", features, distance, self.points, self.smallest, self.seed)
        return {"fid_infinity": found}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer images than make `points` sizes of two and more."""
        sizes_of("fid_infinity", generated, self.points, self.smallest)
        need("fid_infinity", 2, generated, reference)


@dataclass(frozen=True)
class Sfid(Frechet):
    """The Fréchet distance between spatial features (Nash et al., arXiv:2103.03841, section 5); lower is better.

    FID pools over all positions, while this distance is sensitive to positions. As in ADM (Dhariwal and Nichol,
    arXiv:2105.05233), the features are seven channels from the middle of Inception.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"sfid": ScoreInfo("sFID", "lower")}
    name: ClassVar[str] = "sfid"
    stored_as: ClassVar[tuple[str, str]] = ("mu_s", "sigma_s")

    def selected(self, seen: Features) -> Tensor | Statistics:
        """The spatial features [B,S], or their statistics.

        Raises:
            Unfit: if the extractor, or the statistics of the reference, have none.
        """
        if seen.spatial_statistics is not None:
            return seen.spatial_statistics
        if seen.spatial is None:
            what = "this extractor has none" if seen.statistics is None else "the statistics of the reference have none"
            raise Unfit(
                f"sfid needs spatial features, and {what}; name an extractor that does, such as inception, "
                "and a reference with mu_s and sigma_s, or with images"
            )
        return seen.spatial


@dataclass(frozen=True)
class ClassFid:
    """FID within each class, and its mean over classes; lower is better.

    This is the intra-class FID of conditional models (Miyato and Koyama, arXiv:1802.05637). With fewer images per
    class, each number is biased upward more than `fid`: compare only equal numbers of images per class.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {
        "class_fid": ScoreInfo("FID within classes", "lower"),
        "class_fid_*": ScoreInfo("FID of class", "lower"),
    }

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`class_fid_0`, … for each class, and `class_fid`, their mean, of features [M,F] and labels [M].

        Raises:
            Unfit: if images have no labels (-1 is none), or a class has fewer than 2 images in a set.
            UserError: with features that are not finite.
        """
        if generated.labels is None or reference.labels is None:
            raise Unfit("class_fid needs the classes of generated and of real images, and one side has none")
        fake, true = generated.labels.cpu(), reference.labels.cpu()
        found = {}
        for label in sorted(set(true[true >= 0].tolist())):
            rows = fake == label, true == label
            need(f"class_fid of class {label}", 2, int(rows[0].sum()), max(1, int(rows[1].sum())))
            pair = (Gaussian.of(part.features[some]) for part, some in zip((generated, reference), rows, strict=True))
            found[f"class_fid_{label}"] = next(pair).distance(next(pair))
        if not found:
            raise Unfit("class_fid needs the classes of real images, and the reference has none")
        return {"class_fid": sum(found.values()) / len(found), **found}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set, or with statistics instead of real images."""
        if not reference:
            raise Unfit("class_fid needs the images of the reference, which is a mean and a covariance")
        need("class_fid", 2, generated, reference)


def _aim(reference: Features) -> Gaussian:
    if reference.statistics is not None:
        return Gaussian.known(reference.statistics)
    return Gaussian.of(reference.features)


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"fid_infinity": FidInfinity, "sfid": Sfid, "class_fid": ClassFid}
