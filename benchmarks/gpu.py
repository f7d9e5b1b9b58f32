"""Training and sampling of eMIGM-B and -L at 256 on one GPU, after the tests that need one: under ten minutes in all.

    python -m benchmarks.gpu --out gpu                                   # on an NVIDIA GPU
    python -m benchmarks.gpu --out gpu --device cpu --tiny --no-tests    # the same script with tiny models, on a CPU

from the root of the repository. Printed, and written to `gpu.json` in the folder `--out`, are

- `train`: images a second of training steps (bfloat16, compiled, clipping, moving average) and the utilisation: operations
  of the model, counted on paper, over those that the maker states for the GPU; the share of the time in which no kernel ran, from
  the profile that is kept beside (`train-NAME.json.gz`, for https://ui.perfetto.dev);
- `sample`: images a second as a run draws them, compiled, in turns with an eager loop of the same recipe under float16
  autocast that asks the network for every token of every image, and the ratio of medians with its interval.

A part that would begin after `--minutes` is left out and named.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from mgbench.interfaces.data import TokenSpace
from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import load
from mgbench.registry.resolve import assemble
from mgbench.results.environment import environment
from mgbench.stages.cost import clock, peak_flops, peak_memory
from mgbench.stages.memory import with_less
from mgbench.stages.sample import sample_tokens
from mgbench.stages.speed import Subject, sampling_work, training_work
from mgbench.stages.timing import Work, in_turns, ratio_of_medians

# What makes a model tiny, whatever else its recipe says.
TINY = {
    "network": "mae(width=16, depth=1, heads=2, class_tokens=2)",
    "head": "diffusion(width=16, depth=1, noise_samples=1)",
    "compile": "off",
    "sampling_compile": "off",
}


@dataclass(frozen=True)
class Plan:
    """Sizes of the run: steps of training that are timed and profiled, images at once, steps of sampling and their rounds."""

    space: TokenSpace
    classes: int
    steps: int
    train_batch: int
    sample_batch: int
    sampling: tuple[tuple[str, int], ...]


WHOLE = Plan(TokenSpace(256, 16, None, (16, 16)), 1000, 20, 256, 64, (("", 5), ("-128steps", 2)))
SMALL = Plan(TokenSpace(16, 4, None, (4, 4)), 10, 2, 4, 4, (("", 2),))


class Whole(nn.Module):
    """A network that is asked for every token of an image, whoever reads them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.width = network, network.width

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        z: Tensor = self.network(tokens, mask, labels)
        return z


def eager_loop(subject: Subject) -> Work:
    """The recipe as published code runs it: eager, under float16 autocast (bfloat16 on a CPU), without savings."""
    model = subject.fresh()
    model.module.requires_grad_(False).eval()
    model.module.network = Whole(model.module.network)  # type: ignore[assignment]
    short = torch.float16 if subject.device.type == "cuda" else torch.bfloat16

    def draw() -> Tensor:
        with torch.autocast(subject.device.type, short):
            for state in sample_tokens(model, subject.recipe, torch.arange(subject.recipe.batch_size)):
                last = state
        return last.tokens

    return draw


def idle_share(kernels: Iterable[tuple[float, float]], start: float, end: float) -> float:
    """The share of the time from `start` to `end` in which none of the kernels, given by start and end, ran."""
    busy, free_from = 0.0, start
    for begin, done in sorted(kernels):
        busy += max(0.0, min(done, end) - max(begin, free_from))
        free_from = max(free_from, done)
    return 1 - busy / (end - start)


def profiled(work: Work, steps: int, device: torch.device, path: Path) -> float | None:
    """The idle share of a GPU during some steps, whose profile is written to a file; None on a CPU, which has no kernels."""
    gpu = [ProfilerActivity.CUDA] if device.type == "cuda" else []
    with profile(activities=[ProfilerActivity.CPU, *gpu]) as kept:
        for _ in range(steps):
            work()
        clock(device)
    kept.export_chrome_trace(str(path))
    kernels = [
        (event.time_range.start, event.time_range.end)
        for event in kept.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
    ]
    if not kernels:
        return None
    return idle_share(kernels, min(begin for begin, _ in kernels), max(end for _, end in kernels))


def training(subject: Subject, plan: Plan, out: Path, name: str) -> dict[str, Any]:
    """Images a second, utilisation, peak memory and idle share of training steps."""
    started = clock(subject.device)
    work = training_work(subject)
    work()
    first = clock(subject.device) - started
    (seconds,) = in_turns([work], plan.steps, subject.device)
    rate = subject.recipe.batch_size / statistics.median(seconds)
    flops = rate * subject.counted["train_flops_per_image"]
    peak = peak_flops(torch.cuda.get_device_name(subject.device)) if subject.device.type == "cuda" else None
    return {
        "batch": subject.recipe.batch_size,
        "images_per_second": rate,
        "flops_per_second": flops,
        "utilisation": flops / peak if peak else None,
        "first_step_seconds": first,
        "peak_memory_bytes": peak_memory(subject.device),
        "idle": profiled(work, min(plan.steps, 10), subject.device, out / f"train-{name}.json.gz"),
    }


def sampling(subject: Subject, rounds: int) -> dict[str, Any]:
    """Images a second as a run draws them and by the eager loop, and how many times as fast the first is."""
    ours, eager = in_turns([sampling_work(subject), eager_loop(subject)], rounds, subject.device)
    ratio, batch = ratio_of_medians(eager, ours), subject.recipe.batch_size
    return {
        "batch": batch,
        "images_per_second": batch / statistics.median(ours),
        "eager_images_per_second": batch / statistics.median(eager),
        "times_as_fast": ratio.value,
        "interval": (ratio.low, ratio.high),
    }


def subject_of(method: str, plan: Plan, device: torch.device, batch: int, tiny: bool, **changes: object) -> Subject:
    """An untrained model of a released size, or a tiny one of the same recipe."""
    recipe = _recipes()[method].change(**{**changes, **(TINY if tiny else {}), "batch_size": batch, "accumulate": 1})
    return Subject(recipe, assemble(load(), recipe).parts, plan.space, plan.classes, device)


def _recipes() -> dict[str, Recipe]:
    return {name: recipe for offered in load().recipes.values() for name, recipe in offered.items()}


def parts(
    plan: Plan, device: torch.device, out: Path, tiny: bool
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """What is measured, by name, the training of both sizes first."""
    for size in ("b", "l"):

        def train(batch: int, size: str = size) -> dict[str, Any]:
            subject = subject_of(f"emigm-{size}-256", plan, device, batch, tiny, compile="on", precision="bfloat16")
            return training(subject, plan, out, size)

        yield f"train {size}", partial(with_less, plan.train_batch, train, lambda batch: print(f"… {batch} images"))
    for suffix, rounds in plan.sampling:
        for size in ("b", "l"):
            method, compiled = f"emigm-{size}-256{suffix}", {"sampling_compile": "on"}
            subject = partial(subject_of, method, plan, device, plan.sample_batch, tiny, **compiled)
            yield (
                f"sample {size}{suffix or '-16steps'}",
                lambda subject=subject, rounds=rounds: sampling(subject(), rounds),
            )


def tests(limit: float) -> str:
    """How the tests that need a GPU ended, in a line."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-n", "4", "tests/test_gpu.py"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"not done after {limit:.0f} s"
    return (ended.stdout.strip().splitlines() or ["nothing was said"])[-1]


def main(given: list[str] | None = None) -> dict[str, Any]:
    """Measure, print, and write `gpu.json`."""
    asked = _asked(given)
    began, device, out = time.monotonic(), torch.device(asked.device), Path(asked.out)
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"environment": environment(device), "command": " ".join(sys.argv), "left_out": []}
    if asked.tests:
        found["tests"] = tests(limit=30 * asked.minutes)
        print(f"tests: {found['tests']}", flush=True)
    for name, measure in parts(SMALL if asked.tiny else WHOLE, device, out, asked.tiny):
        if time.monotonic() - began > 60 * asked.minutes:
            found["left_out"].append(name)
            continue
        found[name] = measure()
        print(f"{name}: {json.dumps(found[name])}", flush=True)
        (out / "gpu.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"left out: {', '.join(found['left_out']) or 'nothing'}; {time.monotonic() - began:.0f} s in all")
    return found


def _asked(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for gpu.json and the profiles")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny models of the same recipes")
    parser.add_argument("--no-tests", dest="tests", action="store_false", help="do not run the gpu tests first")
    parser.add_argument("--minutes", type=float, default=8.0, help="after these no part begins")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
