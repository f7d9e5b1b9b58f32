"""Costs, counted where they happen: passes, tokens, seconds and memory; arithmetic in `mgbench.stages.flops`."""

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

# Dense bfloat16 operations a second, as the makers state them; utilisation is against these.
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
    """Counts of the work that a model did while it was watched.

    `rows` counts the rows that each child of the model was given, by the name of the child. `tokens` counts the tokens that went
    through its transformer blocks (modules that say `takes_sequences`), as a mean over the blocks: an encoder of visible
    tokens only is cheaper than one of all. `flops` is the arithmetic of one image, where it was counted. `steps` are those that
    the images were seen to take, summed over images.
    """

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.tokens = 0.0
        self.flops = 0.0
        self.uncounted: tuple[str, ...] = ()
        self.steps = 0

    def add(self, other: "Meter") -> None:
        """Count what another one saw of further images."""
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
    """Seconds, when the device has finished all that it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def forget_peak(device: torch.device) -> None:
    """Let the next peak be of what follows."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """The most bytes in use since `forget_peak` on a GPU; on a CPU the most this process has held since it began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def sampling_costs(meter: Meter, tokens: int, count: int, timed: Sequence[tuple[int, float]]) -> Mapping[str, float]:
    """The costs of one of `count` images of so many tokens, and of batches that were timed: the size and seconds of each.

    `steps_taken` may be fewer than were asked for, or what the process decides; `nfe` are forward passes of the network, both
    halves of a guided one; `head_evaluations` are per token; seconds are the median over the batches, of the one device that
    drew it.
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
    """The costs of a training on so many devices, and of GPUs that are known how much of their peak it used (model FLOPs
    utilisation).
    """
    costs = {
        "train_seconds": seconds,
        "train_images_per_second": images / max(seconds, 1e-9),
        "train_flops": flops,
    }
    peak = _peak_flops(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
    return costs if peak is None else {**costs, "train_utilisation": flops / max(seconds, 1e-9) / (devices * peak)}


def _peak_flops(gpu: str) -> float | None:
    # The longest name first: "L40S" is no "L4".
    known = sorted(PEAK_FLOPS, key=len, reverse=True)
    return next((PEAK_FLOPS[name] for name in known if name in gpu), None)
