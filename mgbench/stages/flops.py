"""Counting of floating-point operations of matrix products, convolutions and attention.

These are the formulas of PyTorch's counter, and more: attention on CPUs, fused transformer layers in evaluation
mode, recurrent and bilinear layers, and products with vectors. Arithmetic kernels without a formula are listed, so that
a record can state what its number leaves out.
"""

import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._C import DispatchKey
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

# Parts of the names of kernels with more than a few operations per element.
_ARITHMETIC = re.compile(
    r"(^|_)(\w*mm|mv|addmv|v?dot|conv(olution|\dd)?|rnn|lstm|gru|attention|linalg|fft|cdist|linear|trilinear|transformer"
    r"|cholesky|solve|inverse|svd|qr)(_|$)"
)
# Kernels with such names but few operations: a norm, a check, the pointwise part of a recurrent cell.
_CHEAP = re.compile(r"vector_norm|check_errors|cell|upsample")
# Where PyTorch keeps its own kernels; c10d moves numbers between processes.
_OWN = ("aten", "prim", "prims", "c10d", "_c10d_functional", "profiler")
Shape = Sequence[int]


def _attention(query: Shape, key: Shape, value: Shape, *_: object, out_shape: object = None, **__: object) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(slope: Shape, query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return int(sdpa_backward_flop_count(slope, query, key, value))  # type: ignore[no-untyped-call]


def _raw(formula: Callable[..., int]) -> Callable[..., int]:
    """Mark a formula as one that takes tensors instead of their shapes."""
    formula._get_raw = True  # type: ignore[attr-defined]
    return formula


def _lengths(sequences: Tensor) -> list[int]:
    """The lengths of the sequences of a batch [B,M,W], which may be nested."""
    if sequences.is_nested:
        return [int(size[0]) for size in sequences._nested_tensor_size().tolist()]
    return [sequences.shape[1]] * len(sequences)


# Any here and below: whatever else the kernel was given.
@_raw
def _encoder_layer(src: Tensor, width: int, heads: int, *rest: Any, **_: object) -> int:
    """Two attention products, and every weight matrix of the layer once per token."""
    weights = sum(one.numel() for one in rest if isinstance(one, Tensor) and one.is_floating_point() and one.ndim == 2)
    return sum(2 * length * weights + 4 * length**2 * width for length in _lengths(src))


# Any: as above.
@_raw
def _self_attention(query: Tensor, key: Tensor, value: Tensor, width: int, *_: Any, **__: object) -> int:
    """Four projections and two attention products."""
    lengths = zip(_lengths(query), _lengths(key), strict=True)
    return sum(4 * asking * width**2 + 4 * asked * width**2 + 4 * asking * asked * width for asking, asked in lengths)


def _rnn(inputs: Shape, of_input: Shape, of_state: Shape, *_: object, **__: object) -> int:
    """One direction of one layer: both weight matrices once per step."""
    return 2 * math.prod(inputs[:-1]) * (math.prod(of_input) + math.prod(of_state))


def _rnn_backward(*args: Shape, **_: object) -> int:
    return 2 * _rnn(*args)


def _cudnn_rnn(inputs: Shape, weights: Sequence[Shape], *_: object, **__: object) -> int:
    return 2 * math.prod(inputs[:-1]) * sum(math.prod(shape) for shape in weights if len(shape) == 2)


# Any: the shapes and lists of shapes that cuDNN was given, passed on.
def _cudnn_rnn_backward(*args: Any, **_: object) -> int:
    return 2 * _cudnn_rnn(*args)


def _trilinear(
    first: Shape,
    second: Shape,
    third: Shape,
    new1: Shape,
    new2: Shape,
    new3: Shape,
    summed: Shape,
    *_: object,
    **__: object,
) -> int:
    """A sum over products of three factors, contracted one dimension at a time."""
    shapes = [_with_ones(*pair) for pair in ((first, new1), (second, new2), (third, new3))]
    full = [max(sizes) for sizes in zip(*shapes, strict=True)]
    left, total = math.prod(full), 0
    for dim in summed:
        total += 2 * left
        left //= full[dim]
    return total


def _with_ones(shape: Shape, places: Shape) -> list[int]:
    sizes = list(shape)
    for place in sorted(places):
        sizes.insert(place, 1)
    return sizes


def _matrix_vector(matrix: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(matrix)


def _added_matrix_vector(bias: Shape, matrix: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(matrix)


def _added_products(bias: Shape, first: Shape, second: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(first) * second[-1]


def _linear(x: Shape, weight: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(x) * weight[0]


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations inside a `with` (a multiplication and an addition are two).

    `uncounted` names kernels that ran and look like arithmetic, but whose operations are not in the total. PyTorch's counter
    with the same formulas gives the same number; it also follows every module, which made it a few times slower.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.uncounted: set[str] = set()
        self._total = 0

    def get_total_flops(self) -> int:
        """The operations counted so far."""
        return self._total

    @contextmanager
    def remembering(self, modules: Iterable[nn.Module]) -> Iterator[None]:
        """Context in which calls of these modules are counted once for each set of shapes of inputs and parameters; later calls
        add the same number.

        Counting a kernel takes as long as a small kernel itself. The operations of the modules must depend on shapes alone.
        """
        known: dict[Hashable, int] = {}
        with ExitStack() as patched:
            for module in modules:
                patched.enter_context(patch.object(module, "forward", self._remembered(module, known)))
            yield

    def _remembered(self, module: nn.Module, known: dict[Hashable, int]) -> Callable[..., Any]:
        forward, of = module.forward, (type(module), *(part.shape for part in module.parameters()))

        def call(*args: object, **kwargs: object) -> object:
            key = (of, *kwargs, *map(_described, tree_flatten((args, kwargs))[0]))
            before = self._total
            # Of a module inside another one that is not looked at, nothing is counted that is not counted there.
            with _disable_current_modes() if key in known else nullcontext():
                out = forward(*args, **kwargs)
            known[key] = known.get(key, self._total - before)
            self._total = before + known[key]
            return out

        return call

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, how = kwargs or {}, _how_to_count(func)
        if how.skipped:
            return NotImplemented
        if how.composite:
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if how.formula is not None:
            self._total += int(how.formula(*args, **kwargs, out_val=out))
        elif how.name:
            self.uncounted.add(how.name)
        return out


def _described(part: object) -> Hashable:
    """The part of an input that operations depend on: shape and type of a tensor, value of a flag or count, type of others."""
    if isinstance(part, Tensor):
        return tuple(part.shape), part.dtype
    return part if isinstance(part, bool | int | None) else str(type(part))


@dataclass(frozen=True)
class _How:
    """The way in which a kernel is counted: by a formula, as the kernels it is made of, or under its `name` as left out.

    Questions about shapes and higher-order operators are `skipped`, as by PyTorch's counter.
    """

    formula: Callable[..., Any] | None = None
    composite: bool = False
    skipped: bool = False
    name: str = ""


@cache
def _how_to_count(func: OpOverload) -> _How:
    if not isinstance(func, OpOverload) or func in _OF_SHAPES:
        return _How(skipped=True)
    packet = func.overloadpacket
    if packet in FORMULAS:
        return _How(FORMULAS[packet])
    implicit, name = DispatchKey.CompositeImplicitAutograd, func.name()  # type: ignore[no-untyped-call]
    if implicit in func.py_kernels or torch._C._dispatch_has_kernel_for_dispatch_key(name, implicit):
        return _How(composite=func is not torch.ops.prim.device.default)
    return _How(name=str(packet) if _is_arithmetic(str(packet)) else "")


def _is_arithmetic(kernel: str) -> bool:
    """Whether a kernel such as "aten.cdist" is one of PyTorch's that does arithmetic, or one of another library."""
    library, _, name = kernel.partition(".")
    return library not in _OWN or bool(_ARITHMETIC.search(name) and not _CHEAP.search(name))


_ATEN = torch.ops.aten
_FORMULAS = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    _ATEN._transformer_encoder_layer_fwd: _encoder_layer,
    _ATEN._native_multi_head_attention: _self_attention,
    _ATEN.mkldnn_rnn_layer: _rnn,
    _ATEN.mkldnn_rnn_layer_backward: _rnn_backward,
    _ATEN._cudnn_rnn: _cudnn_rnn,
    _ATEN._cudnn_rnn_backward: _cudnn_rnn_backward,
    _ATEN._trilinear: _trilinear,
    _ATEN.mv: _matrix_vector,
    _ATEN.dot: _matrix_vector,
    _ATEN.vdot: _matrix_vector,
    _ATEN.addmv: _added_matrix_vector,
    _ATEN.addbmm: _added_products,
    torch.ops.mkldnn._linear_pointwise: _linear,
}
# Every kernel with a formula, those of PyTorch among them.
FORMULAS: Mapping[Any, Callable[..., Any]] = FlopCounterMode(display=False, custom_mapping=_FORMULAS).flop_registry
# Questions about shapes, which nested tensors answer themselves.
_SHAPES = "is_contiguous is_strides_like_format is_non_overlapping_and_dense size stride storage_offset numel dim"
_ASKED = [getattr(_ATEN, sym + name, None) for name in _SHAPES.split() for sym in ("", "sym_")]
_OF_SHAPES = frozenset(
    getattr(packet, name) for packet in (torch.ops.prim.layout, *_ASKED) if packet for name in packet.overloads()
)
