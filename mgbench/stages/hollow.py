"""Tensors without content: they have a shape and a type, take no memory, and operations on them are counted, not computed.

A hollow tensor is a single zero, expanded to its shape. Floating-point results of hollow tensors are hollow too; masks,
positions and random numbers are real, and code that depends on them runs as usual.
"""

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map_only

from mgbench.stages.flops import FORMULAS, FlopCounter

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_WEIGHTS, _VALUES = ({dtype: torch.zeros((), dtype=dtype) for dtype in _DTYPES} for _ in range(2))
_WEIGHTS_AT = frozenset(zero.data_ptr() for zero in _WEIGHTS.values())
_HOLLOW_AT = _WEIGHTS_AT | {zero.data_ptr() for zero in _VALUES.values()}


def hollow(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """A hollow tensor [B,…] of a shape (B, …)."""
    return _VALUES[dtype].expand(shape)


def is_hollow(part: object) -> bool:
    """Whether something is a hollow tensor."""
    return isinstance(part, Tensor) and _place(part) in _HOLLOW_AT


def is_weight(part: Tensor) -> bool:
    """Whether a hollow tensor [B,…] is a parameter or a view of one."""
    return _place(part) in _WEIGHTS_AT


def _place(part: Tensor) -> int:
    """The address of the numbers of a tensor [B,…]; 0 for the zeros that stand for tangents of constants, which have none."""
    return 0 if part._is_zerotensor() else part.untyped_storage().data_ptr()


def hollowed(build: Callable[[], nn.Module]) -> nn.Module:
    """A module as it is built, with hollow parameters and real buffers."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        module = build()
    known: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, empty in part._parameters.items():
            if empty is not None:
                zeros = _WEIGHTS[empty.dtype].expand(empty.shape)
                part._parameters[name] = known.setdefault(id(empty), nn.Parameter(zeros, empty.requires_grad))
    return module


class _Fused(TorchFunctionMode):
    """Context in which attention of hollow tensors uses the fused kernel, as that of real ones does."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        attention = func is nn.functional.scaled_dot_product_attention and is_hollow(args[0])
        if not attention or not torch.backends.cuda.flash_sdp_enabled():  # type: ignore[no-untyped-call]
            return func(*args, **kwargs)
        mask, causal = kwargs.get("attn_mask"), kwargs.get("is_causal", False)
        fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        return fused(*args[:3], 0.0, causal, attn_mask=mask, scale=kwargs.get("scale"))[0]


class Counting(FlopCounter):
    """Counts operations like `FlopCounter`, but computes none on hollow tensors: their results are hollow tensors."""

    def __init__(self) -> None:
        super().__init__()
        self._fused = _Fused()
        # What a kernel gave for such arguments: shapes and types, and its operations; None where it has to run.
        self._seen: dict[Hashable, Any] = {}

    def __enter__(self) -> "Counting":
        self._fused.__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._fused.__exit__(*error)  # type: ignore[no-untyped-call]

    def _remembered(self, module: nn.Module, known: dict[Hashable, Any]) -> Callable[..., Any]:
        """The forward of a module that gives its earlier result for hollow inputs of known shapes, instead of running again.

        Modules that are alike share results, which have no gradients: for sampling only.
        """
        forward, of = module.forward, (type(module), *(part.shape for part in module.parameters()))

        def call(*args: object, **kwargs: object) -> Any:
            parts, _ = tree_flatten((args, kwargs))
            if not all(is_hollow(part) or not isinstance(part, Tensor) for part in parts):
                return forward(*args, **kwargs)
            key, before = (of, *kwargs, *map(_described, parts)), self._total
            if key in known:
                out, flops = known[key]
                self._total += flops
                return out
            out = forward(*args, **kwargs)
            if all(map(is_hollow, tree_flatten(out)[0])):
                known[key] = out, self._total - before
            return out

        return call

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        parts, _ = tree_flatten((args, kwargs))
        if not any(map(is_hollow, parts)) or func.is_view:
            return self._run(func, types, args, kwargs)
        if func._schema.is_mutable:
            # What is hollow stays so; what is real takes what is written.
            return args[0] if is_hollow(args[0]) else self._run(func, types, args, kwargs)
        key = (func, *kwargs, *map(_described, parts))
        if key not in self._seen:
            self._seen[key] = _foreseen(func, args, kwargs)
        if self._seen[key] is None:
            return self._run(func, types, args, kwargs)
        shapes, flops = self._seen[key]
        self._total += flops
        return tree_map_only(Tensor, lambda part: hollow(tuple(part.shape), part.dtype), shapes)

    def _run(self, func: OpOverload, types: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # A kernel that is decomposed under a mode of functions is called again as a whole, without end (torch 2.14).
        with torch._C.DisableTorchFunction():
            return super().__torch_dispatch__(func, types, args, kwargs)


def _foreseen(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, int] | None:
    """Empty results of a kernel and its operations; None where these depend on content, or are not floating point."""
    there = tree_map_only(Tensor, lambda part: part.detach().to("meta"), (args, kwargs))
    try:
        out = func(*there[0], **there[1])
    except (NotImplementedError, RuntimeError):
        return None
    tensors = [part for part in tree_flatten(out)[0] if part is not None]
    if not all(isinstance(part, Tensor) and part.is_floating_point() for part in tensors):
        return None
    formula = FORMULAS.get(func._overloadpacket)
    return out, int(formula(*args, **kwargs, out_val=out)) if formula else 0


def _described(part: object) -> Hashable:
    """The part of an input that a result's shape and type depend on: unlike operations, they depend on types that are given."""
    if isinstance(part, Tensor):
        return tuple(part.shape), part.dtype
    return part if isinstance(part, Hashable) else str(part)
