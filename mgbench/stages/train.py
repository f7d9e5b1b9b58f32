"""The training loop, a generator of steps.

All that is random in step k is derived from (seed, k), so that a training that was stopped and goes on from a
checkpoint is the training that was never stopped. On several devices each rank takes an equal share of the rows of
every batch, with random numbers of its own, and gradients are means over ranks; the loss told is one too.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from mgbench.errors import Diverged
from mgbench.interfaces.components import Parts, Process
from mgbench.interfaces.data import UNLABELLED, ImageData, TokenSpace
from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.optional import rate_factor
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.interfaces.randomness import derive
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.recipes.recipe import Recipe
from mgbench.stages.flops import FlopCounter
from mgbench.stages.shards import Tokens
from mgbench.stages.tokenize import encode

REPORT_EVERY = 20
# Counting operations makes a step a few times slower, and steps differ little.
COUNT_EVERY = 200
# Ratio to the initial loss above which training counts as diverged.
EXPLODED = 1000.0


@dataclass(frozen=True)
class TrainStep:
    """Steps done, the mean loss since the last report, the learning rate, and seconds and operations of training so
    far.

    Operations are summed over all `devices` of the last run.
    """

    step: int
    loss: float
    learning_rate: float
    seconds: float
    flops: float
    devices: int = 1


def initial_model(parts: Parts, space: TokenSpace, classes: int, seed: int) -> nn.Module:
    """The model before training, with weights initialised from the seed."""
    torch.manual_seed(seed)
    model: nn.Module = parts.process.build(parts, space, classes)
    return model


def sides(recipe: Recipe) -> tuple[bool, ...]:
    """Whether the images that are trained on are mirrored: none of them is, or all are taken both ways."""
    return (False, True) if recipe.mirror else (False,)


def training_data(
    tokenizer: TokenizerModule,
    data: ImageData,
    recipe: Recipe,
    device: torch.device,
    advance: Advance = UNREPORTED,
) -> tuple[Tensor, Tensor]:
    """The tokens [M,N] or [M,N,D] of all training images and their labels int64 [M] (-1: none), on the device.

    Mirror images follow them, if the recipe takes these too. `advance` is called at the start and after every batch of
    images.
    """
    labels = data.train_labels if recipe.labels else None
    known = torch.full((len(data.train),), UNLABELLED) if labels is None else labels
    parts = [encode(tokenizer, data.train, device, advance, mirrored) for mirrored in sides(recipe)]
    tokens = parts[0] if len(parts) == 1 else torch.cat(parts)
    if recipe.token_precision == "float16" and tokens.is_floating_point():
        tokens = tokens.half().float()
    return tokens, known.repeat(len(parts)).to(device)


class LossModule(nn.Module):
    """The loss as the forward of a module, so that accelerate can wrap it for several devices and mixed precision."""

    def __init__(self, parts: Parts, model: nn.Module) -> None:
        super().__init__()
        self.parts, self.model = parts, model

    def forward(self, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        return self.parts.process.loss(self.model, self.parts, tokens, labels, generator)


class Training:
    """A model in training: online weights, their moving average, optimizer, and how far it got; `first` is the first
    loss.

    Every rank of a team has one, inside `team.group`.
    """

    def __init__(
        self, recipe: Recipe, parts: Parts, model: nn.Module, device: torch.device, team: Team = ALONE
    ) -> None:
        from accelerate import Accelerator, DistributedDataParallelKwargs

        self.recipe, self.device, self.team = recipe, device, team
        # Some batches do not use every parameter; and static buckets keep the order of summation after a resume.
        options = [DistributedDataParallelKwargs(find_unused_parameters=True)]
        precision, on_cpu = _precision(recipe, device), device.type == "cpu"
        self.accelerator = Accelerator(mixed_precision=precision, cpu=on_cpu, kwargs_handlers=options)
        self.model = model.to(device)
        self.average = AveragedModel(self.model, multi_avg_fn=self._average)
        optimizer = AdamW(_groups(model, recipe, parts.process), lr=recipe.learning_rate, betas=(0.9, 0.95), fused=True)
        self.rate = LambdaLR(optimizer, lambda step: _rate(step, recipe))
        self.loss, self.optimizer = self.accelerator.prepare(LossModule(parts, self.model), optimizer)
        self._share = team.shard(recipe.batch_size)
        self.step, self.seconds, self.flops = 0, 0.0, 0.0
        self.first = math.nan
        self.counted: list[float] = []
        # The sum and number of losses since the last report.
        self.total, self.count = torch.zeros((), device=device), 0

    def state(self) -> dict[str, Any]:
        """Everything needed to resume training, for `torch.save`."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rate": self.rate.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "flops": self.flops,
            "first": self.first,
            "counted": self.counted,
            "total": self.total,
            "count": self.count,
        }

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights of a finished training by name, of any shape."""
        return {name: value.contiguous() for name, value in self.average.module.state_dict().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from a state."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rate.load_state_dict(state["rate"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.flops, self.counted = state["flops"], list(state["counted"])
        self.first = state["first"]
        self.total, self.count = state["total"].to(self.device), state["count"]

    def run(self, tokens: Tokens, labels: Tensor, check: Callable[[], None] = lambda: None) -> Iterator[TrainStep]:
        """Train on tokens [M,N] or [M,N,D] and labels int64 [M] until the recipe's last step; `check` is called after
        each.

        Raises:
            Diverged: if the loss is no longer a number, or explodes.
        """
        generator = Generator(self.device)
        self.model.train()
        started = time.perf_counter()
        while self.step < self.recipe.train_steps:
            self.total += self._counted(tokens, labels, generator)
            self.count += 1
            due = self.step % REPORT_EVERY == 0 or self.step == self.recipe.train_steps
            loss = self._mean_loss() if due else math.nan
            now = time.perf_counter()
            self.seconds, started = self.seconds + now - started, now
            if due:
                rate = float(self.rate.get_last_lr()[0])
                yield TrainStep(self.step, loss, rate, self.seconds, self.flops, self.team.size)
                started = time.perf_counter()
            check()

    def _mean_loss(self) -> float:
        """The mean loss of all ranks since the last call.

        Raises:
            Diverged: if it is no longer a number, or explodes.
        """
        loss = self.team.mean(self.total.item() / self.count)
        self._check(loss)
        self.total.zero_()
        self.count = 0
        return loss

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} by step {self.step}")
        if math.isnan(self.first):
            self.first = loss
        # Losses from densities may be near 0 or negative at the start.
        if loss > EXPLODED * max(1.0, abs(self.first)):
            raise Diverged(f"the loss exploded from {self.first:.4g} to {loss:.4g} by step {self.step}")

    def _counted(self, tokens: Tokens, labels: Tensor, generator: Generator) -> Tensor:
        """One training step; its operations are counted at intervals, and used for the steps in between."""
        if self.step % COUNT_EVERY:
            loss = self._advance(tokens, labels, generator)
        else:
            with FlopCounter() as counter:
                loss = self._advance(tokens, labels, generator)
            self.counted.append(self.team.sum(float(counter.get_total_flops())))
        self.flops += sum(self.counted) / len(self.counted)
        return loss

    def _advance(self, tokens: Tokens, labels: Tensor, generator: Generator) -> Tensor:
        recipe = self.recipe
        rows = batch_rows(recipe.seed, self.step, recipe.batch_size, len(tokens))[self._share].to(self.device)
        seed = derive(recipe.seed, _purpose(self.step, self.team.rank))
        generator.manual_seed(seed)
        torch.manual_seed(seed)  # dropout uses the global generator
        with self.accelerator.autocast():
            loss: Tensor = self.loss(tokens[rows], labels[rows], generator)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.loss.parameters(), recipe.clip)
        self.optimizer.step()
        self.rate.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update_parameters(self.model)
        self.step += 1
        return loss.detach().float()

    def _average(self, averaged: Iterable[Tensor], current: Iterable[Tensor], _: object) -> None:
        # The decay is smaller at the start, because otherwise short trainings would keep their random initial weights.
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)


def batch_rows(seed: int, step: int, batch: int, count: int) -> Tensor:
    """Rows int64 [B], B = `batch`, of a training step: all `count` rows in a new order each epoch; batches may span
    epochs.
    """
    first, last = step * batch, (step + 1) * batch
    epochs = range(first // count, (last - 1) // count + 1)
    rows = torch.cat([_permutation(seed, epoch, count) for epoch in epochs])
    return rows[first - epochs[0] * count :][:batch]


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=Generator().manual_seed(derive(seed, f"order/{epoch}")))


def _purpose(step: int, rank: int) -> str:
    """The purpose of random numbers; those of rank 0 are those of training on one device."""
    return f"train/{step}/{rank}" if rank else f"train/{step}"


def _precision(recipe: Recipe, device: torch.device) -> str:
    automatic = "bf16" if device.type == "cuda" else "no"
    return {"auto": automatic, "float32": "no", "bfloat16": "bf16"}[recipe.precision]


def _groups(model: nn.Module, recipe: Recipe, process: Process[Any]) -> list[dict[str, Any]]:
    """Parameter groups: weight decay applies only to matrices, not to biases, norms and vectors, as in MAR and eMIGM.

    Parameters of children with their own learning rate form separate groups at the end.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): [], (1.0, False): []}
    for name, parameter in model.named_parameters():
        factor = rate_factor(process, name.split(".")[0])
        groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": those, "lr": factor * recipe.learning_rate, "weight_decay": recipe.weight_decay if decays else 0.0}
        for (factor, decays), those in groups.items()
    ]


def _rate(step: int, recipe: Recipe) -> float:
    """The factor of the learning rate at a step: linear warm-up, then constant or a cosine decay to 0."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    if recipe.lr_decay == "constant":
        return 1.0
    done = (step - recipe.warmup_steps) / max(1, recipe.train_steps - recipe.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
