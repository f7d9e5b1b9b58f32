"""Strict loading of external weights: exactly the tensors of a module, by name and shape."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from mgbench.components.checkpoints.tensor_names import named
from mgbench.errors import UserError, in_brief


def load_exactly(module: nn.Module, state: object, source: str, optional: Iterable[str] = ()) -> frozenset[str]:
    """Load a state dict into a module, and return the names in `optional` that it lacks.

    `source` names the file or folder in messages. Missing `optional` tensors keep their values.

    Raises:
        UserError: if a tensor is missing, left over, of another shape or not finite, naming it.
    """
    tensors, wanted = _tensors(state, source), module.state_dict()
    misshapen = [name for name, part in tensors.items() if name in wanted and wanted[name].shape != part.shape]
    shapes = {
        name: f"{said_shape(tensors[name].shape)} instead of {said_shape(wanted[name].shape)}" for name in misshapen
    }
    if misshapen:
        refuse_differences(source, wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys(), shapes)
    missing, left_over = _load(module, tensors, source)
    refuse_differences(source, set(missing) - set(optional), left_over)
    refuse_numbers(source, module.state_dict())
    return frozenset(missing)


def _load(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> tuple[list[str], list[str]]:
    """The missing and the unexpected names; missing batch counters of old files are ignored."""
    try:
        missing, left_over = module.load_state_dict(_versioned(module, tensors), strict=False)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{source} does not fit: {in_brief(error)}; give other weights") from None
    return missing, left_over


def _versioned(module: nn.Module, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors with the versions of the module's parts, where their file kept none, as safetensors does not.

    A part whose counter of batches is missing is older than such counters, and stays without a version.
    """
    if hasattr(tensors, "_metadata"):
        return tensors
    wanted = module.state_dict()
    old = {name.removesuffix(".num_batches_tracked") for name in wanted if name not in tensors}
    versioned = OrderedDict(tensors)
    versioned._metadata = {part: known for part, known in wanted._metadata.items() if part not in old}  # type: ignore[attr-defined]
    return versioned


def refuse_differences(
    source: str, missing: Iterable[str] = (), left_over: Iterable[str] = (), misshapen: Mapping[str, str] | None = None
) -> None:
    """Raise if the tensors of a file differ from those of a network.

    `misshapen` maps names to a description of both shapes.

    Raises:
        UserError: with the names of each sort, those of equal layers in one, or with their groups if they are many.
    """
    sorts = [
        named("lacks", missing),
        named("also has", left_over),
        named("has in other shapes", misshapen or {}),
    ]
    said = "; it ".join(filter(None, sorts))
    if said:
        raise UserError(f"{source} does not fit: it {said}; give the weights that belong to this network, whole")


def refuse_numbers(source: str, state: Mapping[str, Tensor]) -> None:
    """Raise if weights, tensors of any shape, are not finite.

    Raises:
        UserError: naming such tensors.
    """
    bad = [name for name, part in state.items() if part.is_floating_point() and not bool(part.isfinite().all())]
    if bad:
        raise UserError(f"{source} {named('holds numbers that are not finite in', bad)}; get it again")


def _tensors(state: object, source: str) -> Mapping[str, Tensor]:
    if not isinstance(state, Mapping) or not state:
        raise UserError(f"{source} holds no state dict, but a {type(state).__name__}; give a file of named tensors")
    others = [str(name) for name, part in state.items() if not isinstance(part, torch.Tensor)]
    if others:
        raise UserError(f"{source} {named('holds other things than tensors', others)}; give the state dict in it")
    return state


def said_shape(shape: Iterable[int]) -> str:
    """A shape in a message, such as 3x4."""
    return "x".join(map(str, shape)) or "one number"
