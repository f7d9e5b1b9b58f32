"""Read and write checkpoint files with named state dicts and plain values, without running any code that they contain."""

import json
import pickle
import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mgbench.components.checkpoints.given import existing_file
from mgbench.errors import UserError

# Names of state dicts in a checkpoint; first the one with which official images are drawn.
TREES = ("model_ema", "model", "model_state_dict", "state_dict")
# The name given to a state dict that is the whole file.
BARE = "weights"
# Plain values that trainers store beside them, and ask for when they go on.
_BESIDE = ("epoch", "args", "iter", "global_epoch")
# Prefixes added by DistributedDataParallel and torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")
_ALIEN = re.compile(r"(?:GLOBAL|global) (\S+?) was not an allowed")


@dataclass(frozen=True)
class Container:
    """State dicts by name, and the other plain values of a checkpoint (`epoch`, `args`, …)."""

    trees: Mapping[str, Mapping[str, Tensor]]
    about: Mapping[str, Any] = field(default_factory=dict)


def read_container(path: Path) -> Container:
    """Read the state dicts in a file of `torch.save` or safetensors.

    Raises:
        UserError: if it cannot be read, holds code, or holds no state dict.
    """
    content = _content(path)
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__} and no weights; give a checkpoint")
    if content and all(isinstance(part, Tensor) for part in content.values()):
        return Container({BARE: _unwrapped(content)})
    trees = {name: _unwrapped(content[name]) for name in TREES if _is_state(content.get(name))}
    if not trees:
        found = ", ".join(sorted(map(str, content))[:5]) or "nothing"
        raise UserError(f"{path} holds no weights under {', '.join(TREES)} (it holds {found}); give a checkpoint")
    return Container(trees, {name: _plain(content[name]) for name in _BESIDE if name in content})


def write_container(path: Path, container: Container) -> None:
    """Write named state dicts and plain values with `torch.save`."""
    about = {name: Namespace(**value) if isinstance(value, dict) else value for name, value in container.about.items()}
    trees = {name: dict(tree) for name, tree in container.trees.items()}
    torch.save(trees.get(BARE, {**trees, **about}), path)


def _content(path: Path) -> Any:
    existing_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise UserError(f"cannot read {path}: permission denied; ask its owner to let you read it") from None
    except (pickle.UnpicklingError, OSError, EOFError, RuntimeError, ValueError, LookupError, SafetensorError) as error:
        raise UserError(_refused(path, error)) from None


def _refused(path: Path, error: Exception) -> str:
    alien = _ALIEN.search(str(error).replace("\n", " "))
    if alien:
        return (
            f"{path} holds {alien[1]} beside weights, which is code that reading could run, so it was not read; "
            "ask for a file of tensors alone"
        )
    return f"{path} cannot be read: it is no checkpoint, or one that was cut short; get it again, whole"


def _is_state(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(part, Tensor) for part in value.values())


def _unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without wrapper prefixes in their names, each with its own memory."""
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return {str(name): value.detach().contiguous() for name, value in state.items()}


def _plain(value: object) -> object:
    """The plain values in a nested value; anything else is left out."""
    value = vars(value) if isinstance(value, Namespace) else value
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items() if _is_json(part)}
    return value if _is_json(value) else None


def _is_json(value: object) -> bool:
    try:
        return bool(json.dumps(value))
    except (TypeError, ValueError):
        return False
