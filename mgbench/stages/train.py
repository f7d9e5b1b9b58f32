"""The training loop, a generator of steps.

All that is random in step k is derived from (seed, k), so that a training that was stopped and goes on from a
checkpoint is the training that was never stopped. A batch is cut into equal shares, processed by several devices, one
after the other on each of them, or both; a share has random numbers of its own. Gradients are means over shares, and
the loss told is one too.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.amp import GradScaler

from mgbench.errors import Diverged
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED, ImageData, TokenSpace
from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.interfaces.randomness import derive
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.recipes.recipe import Recipe
from mgbench.stages.arithmetic import autocast, compile_blocks, compiles, recompute_blocks, short_type, uncompiled
from mgbench.stages.averages import Averages
from mgbench.stages.batches import batch_rows, purpose_of
from mgbench.stages.flops import FlopCounter
from mgbench.stages.optimizer import groups_of, held_moments, learning_rate, sizes_of
from mgbench.stages.packed import PackedAdamW
from mgbench.stages.parallel import adding_up, as_held, held_by, whole
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
    """Whether training images are mirrored: none, or each image in both orientations."""
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
    """The loss as the forward of a module, so that DDP and FSDP can wrap it for several devices."""

    def __init__(self, parts: Parts, model: nn.Module) -> None:
        super().__init__()
        self.parts, self.model = parts, model

    def forward(self, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        return self.parts.process.loss(self.model, self.parts, tokens, labels, generator)


class Training:
    """A model in training: online weights, their moving averages, optimizer, and how far it got; `first` is the first
    loss.

    Every rank of a team has one, inside `team.group`; every rank must call `state`, `weights` and `restore`.
    """

    def __init__(
        self, recipe: Recipe, parts: Parts, model: nn.Module, device: torch.device, team: Team = ALONE
    ) -> None:
        self.recipe, self.device, self.team = recipe, device, team
        self.model = model.to(device)
        self._short, self._compiles = short_type(recipe, device), compiles(recipe, device)
        if self._compiles:
            compile_blocks(self.model)
        if recipe.recompute:
            recompute_blocks(self.model)
        self.loss = held_by(team, LossModule(parts, self.model), recipe.parallel, device)
        self._parameters = list(self.model.parameters())
        self.optimizer = PackedAdamW(
            groups_of(self.model, recipe, parts.process), lr=recipe.learning_rate, betas=(0.9, 0.95)
        )
        self.averages = Averages(self.model, self.optimizer.packing, recipe.ema)
        # The smallest gradients vanish in float16, so the loss is scaled up; a step whose gradients overflow is left out.
        self.scaler = GradScaler(device.type, enabled=self._short is torch.float16)
        self.step, self.seconds, self.flops = 0, 0.0, 0.0
        self.first = math.nan
        self.counted: list[float] = []
        # The sum and number of losses since the last report.
        self.total, self.count = torch.zeros((), device=device), 0

    def state(self) -> dict[str, Any]:
        """Everything needed to resume training, for `torch.save`."""
        return {
            "model": whole(self.model.state_dict()),
            "averages": self.averages.state(),
            "optimizer": whole(self.optimizer.state_dict()),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "flops": self.flops,
            "first": self.first,
            "counted": self.counted,
            "totals": self.team.all_gather(self.total.item()),
            "count": self.count,
        }

    def weights(self) -> dict[float, dict[str, Tensor]]:
        """The weights of a finished training by name, of any shape: each of the moving averages by its decay."""
        return {
            decay: {name: value.clone(memory_format=torch.contiguous_format) for name, value in weights.items()}
            for decay, weights in self.averages.state().items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state, which every rank of a team has whole.

        Raises:
            ValueError: if it is that of another training; nothing is changed then.
        """
        self.check_same(state)
        held = {name: as_held(state["model"][name], value) for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(held)
        self.averages.restore(state["averages"])
        self.optimizer.load_state_dict(held_moments(state["optimizer"], self.optimizer))
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.flops, self.counted = state["flops"], list(state["counted"])
        self.first = state["first"]
        totals, self.count = state["totals"], state["count"]
        own = totals[self.team.rank] if len(totals) == self.team.size else sum(totals) / len(totals)
        self.total = torch.tensor(own, device=self.device)

    def check_same(self, state: dict[str, Any]) -> None:
        """Raises ValueError if a state is that of another training."""
        here, averages = _shapes(self.model.state_dict()), state["averages"]
        alike = all(_shapes(one) == here for one in (state["model"], *averages.values()))
        grouped = sizes_of(state["optimizer"]["param_groups"]) == sizes_of(self.optimizer.param_groups)
        if not alike or not grouped or set(averages) != set(self.recipe.ema):
            raise ValueError("it is the state of another training")

    def run(self, tokens: Tokens, labels: Tensor, check: Callable[[], None] = lambda: None) -> Iterator[TrainStep]:
        """Train on tokens [M,N] or [M,N,D] and labels int64 [M] until the recipe's last step; `check` is called after
        each.

        Raises:
            Diverged: if the loss is no longer a number, or explodes.
        """
        generator = Generator(self.device)
        self.model.train()
        if self._compiles:
            self._warm_up(tokens, labels, generator)
        started = time.perf_counter()
        while self.step < self.recipe.train_steps:
            self.total += self._counted(tokens, labels, generator)
            self.count += 1
            due = self.step % REPORT_EVERY == 0 or self.step == self.recipe.train_steps
            loss = self._mean_loss() if due else math.nan
            now = time.perf_counter()
            self.seconds, started = self.seconds + now - started, now
            if due:
                rate = learning_rate(self.step - 1, self.recipe)
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

    def _warm_up(self, tokens: Tokens, labels: Tensor, generator: Generator) -> None:
        """Compile before the clock runs: the gradients of a step that is not taken."""
        self._backward(tokens, labels, generator)
        self._forget_gradients()

    def _counted(self, tokens: Tokens, labels: Tensor, generator: Generator) -> Tensor:
        """One training step; its operations are counted at intervals, and used for the steps in between."""
        if self.step % COUNT_EVERY:
            loss = self.advance(tokens, labels, generator)
        else:
            with uncompiled(self._compiles), FlopCounter() as counter:
                loss = self.advance(tokens, labels, generator)
            self.counted.append(self.team.sum(float(counter.get_total_flops())))
        self.flops += sum(self.counted) / len(self.counted)
        return loss

    def advance(self, tokens: Tokens, labels: Tensor, generator: Generator) -> Tensor:
        """One step on a batch of tokens [M,N] or [M,N,D] with labels int64 [M]; the mean loss of this rank's parts."""
        loss = self._backward(tokens, labels, generator)
        for group in self.optimizer.param_groups:
            group["lr"] = group["factor"] * learning_rate(self.step, self.recipe)
        self.scaler.unscale_(self.optimizer)
        self.optimizer.clip(self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._forget_gradients()
        self.averages.update(self.step)
        self.step += 1
        return loss

    def _backward(self, tokens: Tokens, labels: Tensor, generator: Generator) -> Tensor:
        """The gradients of a step, each part of the batch after the other; the mean loss of this rank's parts.

        A batch is cut into as many shares as there are parts on all ranks, and a share has the random numbers of its place.
        """
        recipe, parts, total = self.recipe, self.recipe.accumulate, torch.zeros((), device=self.device)
        rows = batch_rows(recipe.seed, self.step, recipe.batch_size, len(tokens))
        for part in range(parts):
            share = self.team.rank * parts + part
            mine = rows[self.team.shard(len(rows), part, parts)].to(self.device)
            seed = derive(recipe.seed, purpose_of(self.step, share))
            generator.manual_seed(seed)
            _seed_global(seed, self.device)
            with adding_up(self.loss, part == parts - 1):
                with autocast(self._short, self.device):
                    loss = self.loss(tokens[mine], labels[mine], generator).float() / parts
                self.scaler.scale(loss).backward()
            total += loss.detach()
        return total

    def _forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None


def _seed_global(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of a device, from which dropout draws."""
    # PyTorch's own function also prepares GPUs that nobody has used, for which it keeps a traceback of every call.
    (torch.default_generator if device.type == "cpu" else torch).manual_seed(seed)


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}
