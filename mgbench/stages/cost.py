"""Measured costs: forward passes, tokens, seconds and memory; floating-point operations are in `mgbench.stages.flops`."""

import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mgbench.interfaces.optional import takes_sequences

# Dense bfloat16 operations per second from data sheets, for utilisation.
PEAK_FLOPS = {
    "H100": 989.4e12,
    "H200": 989.4e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
}


class Meter:
    """Counters of the work of a model while it is watched.

    `rows` counts the input rows of each child of the model, by name. `tokens` counts the tokens through its transformer
    blocks (modules with `takes_sequences`), averaged over blocks, so that an encoder of visible tokens is cheaper than
    one of all. `flops` is the number of operations per image, if counted. `steps` is the number of sampling steps,
    summed over images.
    """

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.tokens = 0.0
        self.flops = 0.0
        self.uncounted: tuple[str, ...] = ()
        self.steps = 0

    def add(self, other: "Meter") -> None:
        """Add the counts of another meter."""
        self.rows += other.rows
        self.tokens += other.tokens
        self.steps += other.steps

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Count every call of the model's children and blocks inside the `with`."""
        blocks = [module for module in model.modules() if takes_sequences(module)]
        handles = [child.register_forward_hook(self._count_rows(name)) for name, child in model.named_children()]
        handles += [block.register_forward_hook(self._count_tokens(len(blocks))) for block in blocks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _count_rows(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
            self.rows[name] += len(inputs[0])

        return hook

    def _count_tokens(self, blocks: int) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
            self.tokens += inputs[0].shape[0] * inputs[0].shape[1] / blocks

        return hook


def clock(device: torch.device) -> float:
    """The time in seconds after the device has finished all pending work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def forget_peak(device: torch.device) -> None:
    """Reset the peak memory statistics."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes since `forget_peak` on a GPU; on a CPU, since the start of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def sampling_costs(meter: Meter, tokens: int, count: int, timed: Sequence[tuple[int, float]]) -> Mapping[str, float]:
    """The costs per image of `count` images with `tokens` tokens; `timed` are sizes and seconds of batches.

    `steps_taken` may be fewer than requested; `nfe` counts forward passes of the network, two for a guided one;
    `head_evaluations` are per token; seconds are the median over batches, on one device.
    """
    return {
        "steps_taken": meter.steps / count,
        "nfe": meter.rows["network"] / count,
        "head_evaluations": meter.rows["head"] / (count * tokens),
        "token_forwards": meter.tokens / count,
        "flops_per_image": meter.flops,
        "seconds_per_image": statistics.median(seconds / size for size, seconds in timed),
        "sampling_batch": float(max(size for size, _ in timed)),
    }


def training_costs(
    flops: float, seconds: float, images: int, device: torch.device, devices: int = 1
) -> Mapping[str, float]:
    """The costs of a training on `devices` devices, with model FLOPs utilisation for known GPUs."""
    costs = {
        "train_seconds": seconds,
        "train_images_per_second": images / max(seconds, 1e-9),
        "train_flops": flops,
    }
    peak = peak_flops(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
    return costs if peak is None else {**costs, "train_utilisation": flops / max(seconds, 1e-9) / (devices * peak)}


def peak_flops(gpu: str) -> float | None:
    """The peak that the maker of a GPU of this name states, in operations a second; None where it is not known."""
    # The longest name first, because "L40S" contains "L4".
    known = sorted(PEAK_FLOPS, key=len, reverse=True)
    return next((PEAK_FLOPS[name] for name in known if name in gpu), None)
