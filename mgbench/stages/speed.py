"""Speed of an untrained model: training steps, images with the parts of their time, features and metrics."""

import statistics
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor, nn

from mgbench.interfaces.components import Metric, Parts, Teacher
from mgbench.interfaces.data import UNLABELLED, ExtractorModule, TokenSpace
from mgbench.interfaces.modules import TokenizerModule
from mgbench.recipes.recipe import Recipe
from mgbench.stages.arithmetic import compile_blocks, compiles_sampling, short_type
from mgbench.stages.cost import forget_peak, peak_memory
from mgbench.stages.dry_run import image_costs, model_costs
from mgbench.stages.evaluate import compute_scores
from mgbench.stages.extract import extract
from mgbench.stages.extracted import Extracted
from mgbench.stages.sample import Model, sample_tokens
from mgbench.stages.teach import taught
from mgbench.stages.timing import Stopwatch, Work, in_turns, matrix_rate
from mgbench.stages.tokenize import decode
from mgbench.stages.train import Training, initial_model

OTHER, DECODING = "other", "decoding"


@dataclass(frozen=True)
class Subject:
    """An untrained model of a recipe on a device; without a tokenizer, images stay tokens.

    `batch_size` of the recipe is that of training and of sampling; `teacher` are the components of its teacher.
    """

    recipe: Recipe
    parts: Parts
    space: TokenSpace
    classes: int
    device: torch.device
    tokenizer: TokenizerModule | None = None
    teacher: Parts | None = None

    def fresh(self) -> Model:
        """A model with initial weights."""
        module = self._initial(self.parts)
        # What draws images decodes them only through `sampling_work`, which asks for the tokenizer.
        tokenizer: Any = self.tokenizer
        return Model(self.parts, module, tokenizer, self.space, self.classes, self.device)

    def _initial(self, parts: Parts) -> nn.Module:
        return initial_model(parts, self.space, self.classes, self.recipe.seed).to(self.device)

    def training(self) -> Training:
        """A training before its first step, with an untrained teacher if the process needs one."""
        module, parts = self._initial(self.parts).train(), self.parts
        if self.teacher is not None:
            teacher = self._initial(self.teacher).requires_grad_(False).eval()
            parts = taught(parts, module, Teacher(teacher, self.teacher))
        return Training(self.recipe, parts, module, self.device)

    @cached_property
    def counted(self) -> Mapping[str, float]:
        """Operations of training and of drawing an image, parameters, and the steps and forwards of an image."""
        model = model_costs(self.parts, self.space, self.classes, self.teacher)
        drawn = image_costs(self.parts, self.space, self.classes, self.recipe)
        return {**drawn, "train_flops_per_image": model.training_flops, "parameters": float(model.parameters)}


def training_work(subject: Subject) -> Work:
    """A function that runs one training step on random tokens."""
    training, device = subject.training(), subject.device
    tokens, labels, generator = _tokens(subject).to(device), _labels(subject).to(device), Generator(device)
    return lambda: training.advance(tokens, labels, generator)


def sampling_work(subject: Subject, watch: Stopwatch | None = None) -> Work:
    """A function that draws one batch of images; `watch` times its parts."""
    model = subject.fresh()
    model.module.requires_grad_(False).eval()
    if compiles_sampling(subject.recipe, subject.recipe.batch_size, subject.device):
        compile_blocks(model.module)
    if watch:
        model = replace(model, parts=watch.watched(model.module, model.parts))
    indices, tokenizer = torch.arange(subject.recipe.batch_size), subject.tokenizer

    def draw() -> Tensor:
        for state in sample_tokens(model, subject.recipe, indices):
            last = state
        if tokenizer is None:
            return last.tokens
        with watch.part(DECODING) if watch else nullcontext():
            return decode(tokenizer, last.tokens)

    return draw


def training_speed(subject: Subject, rounds: int) -> dict[str, float]:
    """Seconds of a training step, images a second, and peak memory in bytes (on a CPU, that of the process so far)."""
    forget_peak(subject.device)
    (seconds,) = in_turns([training_work(subject)], rounds, subject.device)
    step = statistics.median(seconds)
    return {
        "train_step_seconds": step,
        "train_images_per_second": subject.recipe.batch_size / step,
        "train_peak_memory_bytes": float(peak_memory(subject.device)),
    }


def sampling_speed(subject: Subject, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of an image and peak memory, and seconds of an image by part, measured apart with every part timed."""
    batch, device = subject.recipe.batch_size, subject.device
    forget_peak(device)
    (seconds,) = in_turns([sampling_work(subject)], rounds, device)
    costs = {
        "seconds_per_image": statistics.median(seconds) / batch,
        "sampling_peak_memory_bytes": float(peak_memory(device)),
    }
    return costs, sampling_parts(subject, rounds)


def sampling_parts(subject: Subject, rounds: int) -> dict[str, float]:
    """Seconds of an image by part: lists of blocks of the network, the rest of it, the other children of the model, the
    choice of tokens, decoding, and what is left.
    """
    watch = Stopwatch(subject.device)
    work = sampling_work(subject, watch)
    work()
    watch.seconds.clear()
    for _ in range(rounds):
        with watch.part(OTHER):
            work()
    images = rounds * subject.recipe.batch_size
    return {name: spent / images for name, spent in sorted(watch.seconds.items(), key=lambda part: -part[1])}


def scoring_speed(
    extractor: ExtractorModule,
    metrics: Sequence[Metric],
    images: Tensor,
    others: Tensor,
    device: torch.device,
    rounds: int,
) -> dict[str, float]:
    """Seconds of the features of an image uint8 [B,C,H,W'], and of the metrics of these images against `others`."""
    seen, real = (extract(extractor, shown, None, device) for shown in (images, others))
    reference = Extracted.of(real)
    works: list[Work] = [
        lambda: extract(extractor, images, None, device),
        lambda: compute_scores(metrics, Extracted.of(seen), reference, ""),
    ]
    features, scores = map(statistics.median, in_turns(works, rounds, device))
    return {
        "features_seconds_per_image": features / len(images),
        "metrics_seconds": scores,
        "scored_images": float(len(images)),
    }


def machine_speed(subject: Subject) -> float:
    """Operations a second of matrix products in the precision of the subject's training."""
    return matrix_rate(subject.device, short_type(subject.recipe, subject.device) or torch.float32)


def _tokens(subject: Subject) -> Tensor:
    """Random tokens of a batch, int64 [B,N] or float [B,N,D]."""
    space, batch = subject.space, subject.recipe.batch_size
    generator = Generator().manual_seed(0)
    if space.codes:
        return torch.randint(space.codes, (batch, space.length), generator=generator)
    return torch.randn(batch, space.length, space.dim, generator=generator)


def _labels(subject: Subject) -> Tensor:
    batch = subject.recipe.batch_size
    return torch.arange(batch) % subject.classes if subject.classes else torch.full((batch,), UNLABELLED)
