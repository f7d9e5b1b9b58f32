"""Fréchet distances for what FID leaves open: what it would be of infinitely many images, and where things stand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from mgbench.components.metrics.distances import real
from mgbench.components.metrics.frechet import Gaussian, finite
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.randomness import Streams
from mgbench.recipes.spec import Index

Points = Annotated[int, Ge(2)]
Part = Annotated[float, Gt(0), Lt(1)]


@dataclass(frozen=True)
class FidInfinity:
    """FID extrapolated to infinitely many images (Chong and Forsyth, arXiv:1911.07023); lower is better.

    The bias of FID falls as 1/N: a line through the FID of smaller sets over 1/N meets 1/N = 0 at what is left without
    it. Of N images, `points` sizes from `smallest` N to N are looked at; at each, all images in random order are cut into
    as many sets as they fill, and those are averaged. The bias that the reference brings stays. It is no line where a set
    has hardly more images than there are features, so `smallest` should keep clear of that.
    """

    points: Points = 10
    smallest: Part = 0.5
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`fid_infinity` of features [M,F] and [L,F]; noise may take it below 0.

        Raises:
            UserError: with fewer images than make `points` sizes of two and more, or features that are not finite.
        """
        features, aim = finite(generated.features), real(reference)
        sizes = torch.linspace(self.smallest * len(features), len(features), self.points).round().long().tolist()
        if sizes[0] < 2 or len(set(sizes)) < self.points:
            raise UserError(f"fid_infinity: {len(features)} images do not make {self.points} sets of different sizes")
        means = [sum(values) / len(values) for values in (self._distances(features, size, aim) for size in sizes)]
        inverse = torch.tensor(sizes, dtype=torch.float64).reciprocal()
        line = torch.stack([torch.ones_like(inverse), inverse], 1)
        solved = torch.linalg.lstsq(line, torch.tensor(means, dtype=torch.float64)[:, None]).solution
        return {"fid_infinity": float(solved[0, 0])}

    def _distances(self, features: Tensor, size: int, aim: Gaussian) -> list[float]:
        return [Gaussian.of(part).distance(aim) for part in self._sets(features, size)]

    def _sets(self, features: Tensor, size: int) -> Iterator[Tensor]:
        rng = Streams.root(self.seed, "fid_infinity").fold(size).fold(torch.arange(len(features)))
        order = rng.uniform(1)[:, 0].argsort()
        return (features[rows] for rows in torch.split(order, size) if len(rows) == size)


@dataclass(frozen=True)
class Sfid:
    """The Fréchet distance between spatial features (Nash et al., arXiv:2103.03841, section 5); lower is better.

    FID pools over all places; this one sees where things stand. As in ADM (Dhariwal and Nichol, arXiv:2105.05233) the
    features are those of seven channels in the middle of Inception.
    """

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`sfid` of spatial features [M,S] and [L,S].

        Raises:
            Unfit: if the extractor, or the statistics of the reference, have no spatial features.
            UserError: with fewer than 2 images in a set, or features that are not finite.
        """
        if generated.spatial is None:
            raise Unfit(
                "sfid needs spatial features, and this extractor has none; name one that does, such as inception"
            )
        if reference.spatial_statistics is not None:
            aim = Gaussian.known(reference.spatial_statistics)
        elif reference.spatial is not None:
            aim = Gaussian.of(reference.spatial)
        else:
            raise Unfit("sfid needs spatial features of the reference, and its statistics have none; give its images")
        return {"sfid": Gaussian.of(generated.spatial).distance(aim)}


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"fid_infinity": FidInfinity, "sfid": Sfid}
