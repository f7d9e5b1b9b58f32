"""The groups of parameters of AdamW, its learning rate at a step, and its state among the ranks of a team."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import AdamW

from mgbench.interfaces.components import Process
from mgbench.interfaces.optional import rate_factor
from mgbench.recipes.recipe import Recipe
from mgbench.stages.parallel import as_held


def learning_rate(step: int, recipe: Recipe) -> float:
    """The learning rate of a step: linear warm-up, then constant or a cosine decay to 0."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.lr_decay == "constant":
        return recipe.learning_rate
    done = (step - recipe.warmup_steps) / max(1, recipe.train_steps - recipe.warmup_steps)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def groups_of(model: nn.Module, recipe: Recipe, process: Process[Any]) -> list[dict[str, Any]]:
    """Parameter groups: weight decay applies only to matrices, not to biases, norms and vectors, as in MAR and eMIGM.

    Parameters of children with their own learning rate, by a factor, form separate groups at the end.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): [], (1.0, False): []}
    for name, parameter in model.named_parameters():
        factor = rate_factor(process, name.split(".")[0])
        groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": those,
            "lr": factor * recipe.learning_rate,
            "factor": factor,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (factor, decays), those in groups.items()
    ]


def sizes_of(groups: Sequence[Mapping[str, Any]]) -> list[int]:
    """The number of parameters of each group."""
    return [len(group["params"]) for group in groups]


def held_moments(state: dict[str, Any], optimizer: AdamW) -> dict[str, Any]:
    """The full state of an optimizer, distributed like its parameters; scalars are unchanged."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    held = {
        number: {name: as_held(value, parameters[number]) if value.ndim else value for name, value in moments.items()}
        for number, moments in state["state"].items()
    }
    return {**state, "state": held}
