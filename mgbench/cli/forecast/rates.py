"""Operations a second of the device at hand, from stored rows or measured, for trials without similar stored rows."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgbench.results.record import Record

# The part of a GPU's peak that is assumed where no row of one like it is stored.
ASSUMED_SHARE = 0.3
# Where Linux names its GPUs, so that none has to be woken.
GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class FlopRates:
    """Operations a second in training and in sampling, and where they are from."""

    train: float
    sample: float
    source: str


def device_at_hand() -> str:
    """The name of the device that a run takes by itself: the first GPU, or else the processor."""
    import torch

    from mgbench.results.environment import device_name

    return _gpu() or device_name(torch.device("cpu"))


def flop_rates(records: Iterable["Record"]) -> FlopRates:
    """The rates of the device at hand: those of stored rows, those that its maker states, or those of matrix products now."""
    from mgbench.results.speed import plain_device

    gpu, name = _gpu(), device_at_hand()
    device = plain_device(name)
    there = [record for record in records if plain_device(str(record.origin.get("device", ""))) == device]
    found = _stored(there, device)
    return found or (_stated(gpu) if gpu else None) or _measured(name)


def _gpu() -> str:
    """The name of the first GPU of this machine; empty without one that Linux names."""
    for path in sorted(GPUS.glob("*/information")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return ""


def _stored(records: Sequence["Record"], name: str) -> FlopRates | None:
    train = [_per_second(record, "train_flops", "train_seconds") for record in records]
    sample = [_per_second(record, "flops_per_image", "seconds_per_image") for record in records]
    known = [[rate for rate in rates if rate > 0] for rates in (train, sample)]
    if not all(known):
        return None
    train_rate, sample_rate = (statistics.median(rates) for rates in known)
    said = f"{said_flops(train_rate)}/s and {said_flops(sample_rate)}/s"
    return FlopRates(
        train_rate, sample_rate, f"{said} in training and sampling, the medians of {len(records)} stored rows on {name}"
    )


def _per_second(record: "Record", flops: str, seconds: str) -> float:
    took = record.costs.get(seconds) or 0.0
    return (record.costs.get(flops) or 0.0) / took if took else 0.0


def _stated(gpu: str) -> FlopRates | None:
    from mgbench.stages.cost import peak_flops

    peak = peak_flops(gpu)
    if peak is None:
        return None
    rate = ASSUMED_SHARE * peak
    return FlopRates(
        rate, rate, f"{ASSUMED_SHARE:.0%} of the peak that the maker of the {gpu} states, which is an assumption"
    )


def _measured(name: str) -> FlopRates:
    """The rate of matrix products, which is more than a network reaches."""
    import torch

    from mgbench.stages.timing import matrix_rate

    rate = matrix_rate(torch.device("cpu"))
    said = f"{said_flops(rate)}/s of matrix products, measured now on {name}: a network is slower"
    return FlopRates(rate, rate, said)


def said_flops(count: float) -> str:
    """A number of operations with a prefix: 3.72 TFLOP."""
    for factor, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if count >= factor:
            return f"{count / factor:.3g} {prefix}FLOP"
    return f"{count:.3g} FLOP"
