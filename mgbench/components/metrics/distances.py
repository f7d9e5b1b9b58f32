"""How far generated images are from real ones: a Fréchet and a kernel distance, and whether they show what was asked.

All take features of one extractor. The numbers are comparable between rows that share the extractor (its id), the
reference and the number of images, and between no others. More distances are in `frechet_metrics`, and what can be said of
quality and variety apart in `neighbours`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.components.metrics.frechet import Gaussian, at_least_two, comparable, finite
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.randomness import Streams
from mgbench.recipes.spec import Count, Index

# Rows of a kernel matrix that are held at a time.
_BLOCK = 2048


@dataclass(frozen=True)
class Fid:
    """The Fréchet distance between the features (Heusel et al., arXiv:1706.08500); lower is better.

    Biased upward with few images, and differently for different models (Chong and Forsyth, arXiv:1911.07023): compare
    only equal numbers of images, and a warning says so where there are few.
    """

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`fid` of features [M,F] and [L,F].

        Raises:
            UserError: with fewer than 2 images in a set, features that are not finite, or of different extractors.
        """
        return {"fid": Gaussian.of(generated.features).distance(real(reference))}


def real(reference: Features) -> Gaussian:
    """What a reference amounts to for a Fréchet distance: its statistics, where others took them, or else its features."""
    if reference.statistics is not None:
        return Gaussian.known(reference.statistics)
    return Gaussian.of(reference.features)


def both(metric: str, generated: Features, reference: Features) -> tuple[Tensor, Tensor]:
    """The features [M,F] and [L,F] that a metric compares one by one, float64.

    Raises:
        Unfit: if there are but statistics of the reference.
        UserError: with fewer than 2 images in a set, features that are not finite, or of different extractors.
    """
    if reference.statistics is not None and not len(reference.features):
        raise Unfit(
            f"{metric} compares images one by one, and the reference is a mean and a covariance; give its images"
        )
    return comparable(generated.features, reference.features)


@dataclass(frozen=True)
class Kid:
    """The squared maximum mean discrepancy, kernel (x·y/F + 1)³ (Bińkowski et al., arXiv:1801.01401); lower is better.

    Unbiased: sets of one distribution scatter about zero, and somewhat below it where their classes are balanced. Over
    all images at once by default; with `subsets`, the mean over that many random subsets of `subset_size` images of
    each set, as in torch-fidelity.
    """

    subsets: Index = 0
    subset_size: Count = 1000
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`kid` of features [M,F] and [L,F].

        Raises:
            UserError: with fewer than 2 images (or than `subset_size`) in a set, features that are not finite, or of
                different extractors.
        """
        first, second = both("kid", generated, reference)
        if not self.subsets:
            return {"kid": kernel_distance(first, second)}
        return {"kid": sum(self._subset_distances(first, second)) / self.subsets}

    def _subset_distances(self, first: Tensor, second: Tensor) -> list[float]:
        size, least = self.subset_size, min(len(first), len(second))
        if not 2 <= size <= least:
            raise UserError(
                f"kid: subset_size is {size}, and should be from 2 to {least}, the images of the smaller set"
            )
        streams = Streams.root(self.seed, "kid")
        pairs = [(streams.fold(2 * subset), streams.fold(2 * subset + 1)) for subset in range(self.subsets)]
        return [kernel_distance(_some(first, one, size), _some(second, two, size)) for one, two in pairs]


def _some(features: Tensor, rng: Streams, count: int) -> Tensor:
    return features[rng.uniform(len(features)).argsort()[:count]]


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """The unbiased squared maximum mean discrepancy of features float64 [M,F] and [L,F], with kernel (x·y/F + 1)³."""
    between = _kernel_sum(first, second) / (len(first) * len(second))
    return _mean_of_pairs(first) + _mean_of_pairs(second) - 2 * between


def _mean_of_pairs(features: Tensor) -> float:
    count, dim = features.shape
    with_itself = float(_kernel(features.square().sum(1), dim).sum())
    return (_kernel_sum(features, features) - with_itself) / (count * (count - 1))


def _kernel_sum(first: Tensor, second: Tensor) -> float:
    # In blocks, because a kernel matrix of 50,000 images would fill 20 GB.
    blocks = torch.split(first, _BLOCK)
    return sum((float(_kernel(rows @ second.T, first.shape[1]).sum()) for rows in blocks), 0.0)


def _kernel(products: Tensor, dim: int) -> Tensor:
    return (products / dim + 1) ** 3


@dataclass(frozen=True)
class Accuracy:
    """The share of generated images that the extractor takes for the class that was asked for; higher is better.

    A model that always draws the same image of a class is perfect by it: read it next to a distance.
    """

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`accuracy` of logits [M,K] and labels [M]; nothing where there are no logits or no labels (None, or all -1).

        Raises:
            UserError: with fewer than 2 labelled images, or logits that are not finite.
        """
        if generated.logits is None or generated.labels is None:
            return {}
        labels = generated.labels.to("cpu")
        asked = labels >= 0
        if len(labels) and not bool(asked.any()):
            return {}
        logits = finite(generated.logits)[asked]
        at_least_two(len(logits))
        return {"accuracy": float((logits.argmax(1) == labels[asked]).double().mean())}


@dataclass(frozen=True)
class InceptionScore:
    """exp of the mean KL divergence of p(class | image) from p(class) (Salimans et al., arXiv:1606.03498); higher is better.

    Of all images at once, because the mean over `splits` of them falls with their size (Barratt and Sharma,
    arXiv:1801.01973); papers usually take 10. It looks at no real image.
    """

    splits: Count = 1
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`inception_score` of logits [M,K], from 1 to K.

        Raises:
            Unfit: if the extractor has no logits.
            UserError: with fewer than 2 images a split, or logits that are not finite.
        """
        if generated.logits is None:
            raise Unfit("inception_score needs class logits, and this extractor has none; name another extractor")
        logits = finite(generated.logits)
        at_least_two(len(logits) // self.splits)
        rng = Streams.root(self.seed, "inception_score").fold(torch.arange(len(logits)))
        # In random order, because the images may lie class by class.
        parts = logits[rng.uniform(1)[:, 0].argsort()].tensor_split(self.splits)
        return {"inception_score": sum(map(_inception_score, parts)) / self.splits}


def _inception_score(logits: Tensor) -> float:
    log_p = logits.log_softmax(1)
    log_mean = log_p.logsumexp(0) - torch.tensor(len(logits), dtype=torch.float64).log()
    return float((log_p.exp() * (log_p - log_mean)).sum(1).mean().exp())


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"fid": Fid, "kid": Kid, "accuracy": Accuracy, "inception_score": InceptionScore}
