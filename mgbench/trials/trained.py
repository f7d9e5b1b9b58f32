"""A finished training in the store: its models, one for each average that was kept."""

from dataclasses import dataclass, field, replace

import torch
from safetensors.torch import load_file
from torch import nn

from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.progress import Progress
from mgbench.recipes.recipe import Recipe
from mgbench.registry.resolve import Assembly
from mgbench.results.store import Store
from mgbench.stages.likelihood import Bound, held_out_bound
from mgbench.stages.sample import Model
from mgbench.stages.train import TrainStep, initial_model

MODEL = "model.safetensors"


def model_file(recipe: Recipe, decay: float) -> str:
    """The name of the file that holds one of the averages of a training; that of the first one is known to all."""
    return MODEL if decay == recipe.ema[0] else f"model-{decay!r}.safetensors"


@dataclass(frozen=True)
class Reader:
    """A stored training and the device to read it to; each average is read once."""

    store: Store
    assembly: Assembly
    tokenizer: TokenizerModule
    device: torch.device
    _read: dict[float, Model] = field(default_factory=dict)

    def model(self, decay: float) -> Model:
        """The model with the average of this decay, one of the recipe's `ema`."""
        if decay not in self._read:
            self._read[decay] = self._with(model_file(self.assembly.recipe, decay))
        return self._read[decay]

    def _with(self, file: str) -> Model:
        assembly, space = self.assembly, self.tokenizer.space
        module = build_model(assembly, self.tokenizer)
        module.load_state_dict(load_file(self.store.layout.model(assembly.keys.training) / file))
        module = module.to(self.device).requires_grad_(False).eval()
        counts = assembly.class_counts
        return Model(assembly.parts, module, self.tokenizer, space, assembly.classes, self.device, class_counts=counts)


@dataclass(frozen=True)
class Trained:
    """A finished training: its models with their bounds, and the last step."""

    reader: Reader
    progress: Progress
    last: TrainStep
    _bounds: dict[float, Bound] = field(default_factory=dict)

    def model(self, recipe: Recipe) -> Model:
        """The model with the weights that a recipe draws images with, and the bound on its likelihood.

        Raises:
            Interrupted: if the user asks to stop.
        """
        decay, reader, assembly = recipe.drawn_with, self.reader, self.reader.assembly
        found = reader.model(decay)
        if decay not in self._bounds:
            told, data, tokenizer = self.progress.batches("likelihood"), assembly.data, reader.tokenizer
            with self.progress.anywhere():
                self._bounds[decay] = held_out_bound(
                    assembly.parts, found.module, tokenizer, data, recipe.seed, reader.device, told
                )
        return replace(found, bound=self._bounds[decay])


def build_model(assembly: Assembly, tokenizer: TokenizerModule) -> nn.Module:
    """The model of a recipe before its training."""
    return initial_model(assembly.parts, tokenizer.space, assembly.classes, assembly.recipe.seed)
