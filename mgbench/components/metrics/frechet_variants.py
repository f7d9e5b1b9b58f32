"""Fréchet distances for what FID leaves open: what it would be of infinitely many images, and where things stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mgbench.components.metrics import states
from mgbench.components.metrics.distances import need
from mgbench.components.metrics.extrapolation import Part, Points, at_infinity, sizes_of
from mgbench.components.metrics.frechet import Gaussian, finite
from mgbench.components.metrics.states import State
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Index


@dataclass(frozen=True)
class FidInfinity:
    """FID extrapolated to infinitely many images (Chong and Forsyth, arXiv:1911.07023); lower is better.

    The bias of FID falls as 1/N: a line through the FID of smaller sets over 1/N meets 1/N = 0 at what is left without
    it. Of N images, `points` sizes from `smallest` N to N are looked at; at each, all images in random order are cut into
    as many sets as they fill, and those are averaged. The bias that the reference brings stays. It is no line where a set
    has hardly more images than there are features, so `smallest` should keep clear of that.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"fid_infinity": ScoreInfo("FID∞", "lower")}

    points: Points = 10
    smallest: Part = 0.5
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`fid_infinity` of features [M,F] and [L,F]; noise may take it below 0.

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
class Sfid:
    """The Fréchet distance between spatial features (Nash et al., arXiv:2103.03841, section 5); lower is better.

    FID pools over all places; this one sees where things stand. As in ADM (Dhariwal and Nichol, arXiv:2105.05233) the
    features are those of seven channels in the middle of Inception.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"sfid": ScoreInfo("sFID", "lower")}

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`sfid` of spatial features [M,S] and [L,S].

        Raises:
            Unfit: if the extractor, or the statistics of the reference, have no spatial features, or with fewer than 2
                images in a set.
            UserError: with features that are not finite.
        """
        return self.compute(self.update(None, generated), self.update(None, reference))

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set."""
        need("sfid", 2, generated, reference)

    def update(self, state: State | None, seen: Features) -> State:
        """The state with the spatial features [B,S] of one more batch, or of the statistics that stand for them.

        Raises:
            Unfit: if there are none.
        """
        if seen.spatial_statistics is not None:
            return states.of_statistics(seen.spatial_statistics)
        if seen.spatial is None:
            what = "this extractor has none" if seen.statistics is None else "the statistics of the reference have none"
            raise Unfit(
                f"sfid needs spatial features, and {what}; name an extractor that does, such as inception, "
                "and a reference with mu_s and sigma_s, or with images"
            )
        new = states.of_features(seen.spatial)
        return new if state is None else self.merge(state, new)

    def merge(self, one: State, other: State) -> State:
        """The state of both sets together."""
        return states.merge(one, other)

    def finish(self, state: State) -> State:
        """The mean and the root of the covariance of a whole set."""
        return states.finish(state)

    def statistics(self, state: State) -> State:
        """The mean and the covariance under the names that ADM and pytorch-fid give them."""
        return dict(zip(("mu_s", "sigma_s"), states.mean_and_covariance(state), strict=True))

    def compute(self, generated: State, reference: State) -> dict[str, float]:
        """`sfid` of two states; raises as the metric itself."""
        return {"sfid": states.gaussian(generated).distance(states.gaussian(reference))}


@dataclass(frozen=True)
class ClassFid:
    """FID of the images of each class against the real ones of that class, and the mean over the classes; lower is better.

    The intra-class FID of conditional models (Miyato and Koyama, arXiv:1802.05637). A class has few images, so that each
    number is biased upward more than `fid`: compare only equal numbers of images a class.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {
        "class_fid": ScoreInfo("FID within classes", "lower"),
        "class_fid_*": ScoreInfo("FID of class", "lower"),
    }

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`class_fid_0`, … by the number of the class, and `class_fid` their mean, of features [M,F] and labels [M].

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
