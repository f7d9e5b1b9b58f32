"""Metrics of classifier outputs for generated images: accuracy and Inception score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mgbench.components.metrics.frechet import finite
from mgbench.components.metrics.states import State
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Count, Index


@dataclass(frozen=True)
class Accuracy:
    """The share of generated images that the extractor assigns to the requested class; higher is better.

    A model that always draws the same image of a class can have a perfect accuracy: read it next to a distance.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"accuracy": ScoreInfo("Accuracy", "higher")}

    needs_reference: ClassVar[bool] = False

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`accuracy` of logits [M,K] and labels [M]; empty without logits or labels (None, or all -1).

        Raises:
            Unfit: with fewer than 2 labelled images.
            UserError: with logits that are not finite.
        """
        return self.compute(self.update(None, generated), {})

    def update(self, state: State | None, seen: Features) -> State:
        """The numbers of labelled images (-1: not labelled), and of those that the extractor classifies as labelled."""
        new = {"counts": torch.stack(_labelled_and_right(seen))}
        return new if state is None else self.merge(state, new)

    def merge(self, one: State, other: State) -> State:
        """The sums of both states."""
        return {name: one[name] + other[name] for name in one}

    def compute(self, generated: State, reference: State) -> dict[str, float]:
        """`accuracy`; raises as the metric itself."""
        labelled, right = generated["counts"].tolist()
        if not labelled:
            return {}
        if labelled < 2:
            raise Unfit(f"accuracy needs at least 2 images with a label, and there is {labelled}")
        return {"accuracy": right / labelled}


def _labelled_and_right(seen: Features) -> tuple[Tensor, Tensor]:
    if seen.logits is None or seen.labels is None:
        return torch.tensor(0), torch.tensor(0)
    labels = seen.labels.cpu()
    asked = labels >= 0
    # Logits of images without a label need not be numbers.
    right = (finite(seen.logits[asked.to(seen.logits.device)]).argmax(1) == labels[asked]).sum()
    return asked.sum(), right


@dataclass(frozen=True)
class InceptionScore:
    """exp of the mean KL divergence of p(class | image) from p(class) (Salimans et al., arXiv:1606.03498); higher is
    better.

    By default of all images at once, because the mean over splits decreases with their size (Barratt and Sharma,
    arXiv:1801.01973). It does not use real images. torch-fidelity uses 10 splits of shuffled images (`splits=10`); ADM
    uses splits of 5,000 consecutive images (`split_size=5000, shuffle=False`), which gives far lower scores for images
    sorted by class. `split_size` overrides `splits`.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"inception_score": ScoreInfo("Inception score", "higher")}

    splits: Count = 1
    seed: Index = 0
    split_size: Index = 0
    shuffle: bool = True

    needs_reference: ClassVar[bool] = False

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`inception_score` of logits [M,K], from 1 to K.

        Raises:
            Unfit: if the extractor has no logits, or with fewer than 2 images a split.
            UserError: with logits that are not finite.
        """
        return self.compute(self.update(None, generated), {})

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a split, whose score would always be 1."""
        smallest = min(self._sizes(generated), default=0)
        if smallest < 2:
            how = f"split_size {self.split_size}" if self.split_size else f"{self.splits} splits"
            raise Unfit(
                f"inception_score needs at least 2 images in each split, and {generated} images in {how} leave one with "
                f"{smallest}; take fewer splits or more images"
            )

    def _sizes(self, count: int) -> list[int]:
        if self.split_size:
            whole, rest = divmod(count, self.split_size)
            return [self.split_size] * whole + [rest] * bool(rest)
        return [count // self.splits + (split < count % self.splits) for split in range(self.splits)]

    @property
    def _whole(self) -> bool:
        return self.splits == 1 and not self.split_size

    def update(self, state: State | None, seen: Features) -> State:
        """Add the sums of p [K] and of p log p over one more batch; with splits, its logits.

        Raises:
            Unfit: if the extractor has no logits.
        """
        if seen.logits is None:
            raise Unfit("inception_score needs class logits, and this extractor has none; name another extractor")
        logits = finite(seen.logits)
        new: State = _sums(logits) if self._whole else {"logits": logits}
        return new if state is None else self.merge(state, new)

    def merge(self, one: State, other: State) -> State:
        """The state of the images of both, in this order."""
        if "logits" in one:
            return {"logits": torch.cat([one["logits"], other["logits"]])}
        return {name: one[name] + other[name] for name in one}

    def compute(self, generated: State, reference: State) -> dict[str, float]:
        """`inception_score`; raises as the metric itself."""
        if "logits" not in generated:
            self.check_counts(int(generated["count"]), 0)
            return {"inception_score": _score(generated)}
        logits = generated["logits"]
        self.check_counts(len(logits), 0)
        scores = [_score(_sums(part)) for part in torch.split(self._ordered(logits), self._sizes(len(logits)))]
        return {"inception_score": sum(scores) / len(scores)}

    def _ordered(self, logits: Tensor) -> Tensor:
        """The logits in random order, unless `shuffle` is off, because images may be sorted by class."""
        if not self.shuffle:
            return logits
        rng = Streams.root(self.seed, "inception_score").fold(torch.arange(len(logits)))
        return logits[rng.uniform(1)[:, 0].argsort()]


def _sums(logits: Tensor) -> dict[str, Tensor]:
    log_p = logits.log_softmax(1)
    p = log_p.exp()
    return {"count": torch.tensor(len(logits)), "p": p.sum(0), "p_log_p": (p * log_p).sum()}


def _score(sums: State) -> float:
    mean = sums["p"] / sums["count"]
    return float((sums["p_log_p"] / sums["count"] - torch.special.xlogy(mean, mean).sum()).exp())


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"accuracy": Accuracy, "inception_score": InceptionScore}
