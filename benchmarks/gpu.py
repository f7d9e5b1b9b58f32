"""Training and sampling of eMIGM-B and -L at 256 on one GPU, after the tests that need one: under ten minutes in all.

    python -m benchmarks.gpu --out gpu                                   # on an NVIDIA GPU
    python -m benchmarks.gpu --out gpu --minutes 4 --no-tests            # in less time: what would begin later is left out
    python -m benchmarks.gpu --out gpu --device cpu --tiny --no-tests    # the same script with tiny models, on a CPU

from the root of the repository. Printed, and written to `gpu.json` in the folder `--out` after every part, are

- `train`: images a second of training steps (bfloat16, compiled, clipping, moving average) and the utilisation: operations
  of the model, counted, over those that the maker states for the GPU; the share of the time in which the GPU did
  nothing, and a profile of three steps (`train-NAME.json.gz`, for https://ui.perfetto.dev);
- `sample`: images a second in 16 bits and compiled (`sampling_precision=float16`, `sampling_compile=on`), in turns with an
  eager loop of the same recipe under float16 autocast that asks the network for every token of every image, and the ratio of
  medians with its interval; in 16 steps also what a run draws where nothing is asked for (float32, eager).

A part that would begin after `--minutes` is left out and named; one that fails is named with its reason.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from mgbench.interfaces.data import TokenSpace
from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import load
from mgbench.registry.resolve import assemble
from mgbench.results.environment import environment
from mgbench.stages.cost import clock, forget_peak, peak_flops, peak_memory
from mgbench.stages.memory import release, with_less
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
# Of all the time, the most that the tests may take; steps that are profiled, and of which the profile is kept.
TESTS, PROFILED, KEPT = 0.25, 10, 3


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


def short_type(device: torch.device) -> str:
    """The type of 16 bits of published code: float16 on a GPU; on a CPU bfloat16, which has kernels there."""
    return "float16" if device.type == "cuda" else "bfloat16"


def eager_loop(subject: Subject) -> Work:
    """The recipe as published code runs it: eager, under autocast in 16 bits around the whole loop, without savings."""
    model, recipe = subject.fresh(), subject.recipe.change(sampling_precision="float32")
    # Weights may have gradients, as there: autocast keeps short copies of these only.
    model.module.eval()
    model.module.network = Whole(model.module.network)  # type: ignore[assignment]
    short = getattr(torch, short_type(subject.device))

    def draw() -> Tensor:
        with torch.autocast(subject.device.type, short):
            for state in sample_tokens(model, recipe, torch.arange(recipe.batch_size)):
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
    """The share of some steps in which a GPU did nothing (None on a CPU, which has no kernels); a profile goes to a file."""
    _profile(work, min(steps, KEPT), device, [ProfilerActivity.CPU]).export_chrome_trace(str(path))
    if device.type != "cuda":
        return None
    # Apart from the profile that is kept, as noting down what the CPU does delays it.
    return idle_in(_profile(work, steps, device, []).events())


def _profile(work: Work, steps: int, device: torch.device, activities: Sequence[ProfilerActivity]) -> profile:
    gpu = [ProfilerActivity.CUDA] if device.type == "cuda" else []
    clock(device)
    with profile(activities=[*activities, *gpu]) as kept:
        for _ in range(steps):
            work()
        clock(device)
    return kept


# Any: events of the profiler, to which PyTorch gives no type.
def idle_in(events: Iterable[Any]) -> float | None:
    """The share of the time from the first to the last work of a GPU in which it did none; None if it did none at all."""
    # Named parts of a program, such as a step of the optimizer, lie on the GPU's line too, over all that they last.
    work = [event for event in events if event.device_type == DeviceType.CUDA and not event.is_user_annotation]
    spans = [(event.time_range.start, event.time_range.end) for event in work]
    return idle_share(spans, min(begin for begin, _ in spans), max(end for _, end in spans)) if spans else None


def training(subject: Subject, plan: Plan, out: Path, name: str) -> dict[str, Any]:
    """Images a second, utilisation, peak memory and idle share of training steps."""
    forget_peak(subject.device)
    started = clock(subject.device)
    work = training_work(subject)
    work()
    first = clock(subject.device) - started
    (seconds,) = in_turns([work], plan.steps, subject.device)
    peak_bytes = peak_memory(subject.device)
    # The mean, as operations are those of a mean step: how many tokens are visible is drawn anew in each.
    rate = subject.recipe.batch_size / statistics.fmean(seconds)
    flops = rate * subject.counted["train_flops_per_image"]
    peak = peak_flops(torch.cuda.get_device_name(subject.device)) if subject.device.type == "cuda" else None
    return {
        "batch": subject.recipe.batch_size,
        "images_per_second": rate,
        "flops_per_second": flops,
        "utilisation": flops / peak if peak else None,
        "first_step_seconds": first,
        "peak_memory_bytes": peak_bytes,
        "idle": profiled(work, min(plan.steps, PROFILED), subject.device, out / f"train-{name}.json.gz"),
    }


def sampling(subject: Subject, rounds: int, usual: bool) -> dict[str, Any]:
    """Images a second of the subject and of the eager loop, and how many times as fast the first is; with `usual`, those
    that a run draws where nothing is asked for as well.
    """
    plain = subject.recipe.change(sampling_precision="float32", sampling_compile="off")
    works = [sampling_work(subject), eager_loop(subject)]
    works += [sampling_work(replace(subject, recipe=plain))] if usual else []
    seconds, batch = in_turns(works, rounds, subject.device), subject.recipe.batch_size
    names = ("images_per_second", "eager_images_per_second", "usual_images_per_second")
    ratio = ratio_of_medians(seconds[1], seconds[0])
    rates = {name: batch / statistics.median(spent) for name, spent in zip(names, seconds, strict=False)}
    return {"batch": batch, **rates, "times_as_fast": ratio.value, "interval": (ratio.low, ratio.high)}


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
    ways = {"sampling_compile": "on", "sampling_precision": short_type(device)}
    for suffix, rounds in plan.sampling:
        for size in ("b", "l"):

            def sample(size: str = size, suffix: str = suffix, rounds: int = rounds) -> dict[str, Any]:
                subject = subject_of(f"emigm-{size}-256{suffix}", plan, device, plan.sample_batch, tiny, **ways)
                return sampling(subject, rounds, usual=not suffix)

            yield f"sample {size}{suffix or '-16steps'}", sample


def tests(limit: float) -> str:
    """How the tests that need a GPU ended, in a line."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-n", "4", "tests/test_gpu.py"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"not done after {limit:.0f} s"
    return ((ended.stdout.strip() or ended.stderr.strip()).splitlines() or ["nothing was said"])[-1]


def main(given: list[str] | None = None) -> dict[str, Any]:
    """Measure, print, and write `gpu.json`."""
    asked = _asked(given)
    began, device, out = time.monotonic(), torch.device(asked.device), Path(asked.out)
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"environment": environment(device), "command": " ".join(sys.argv), "left_out": []}

    def say(name: str, result: object) -> None:
        found[name] = result
        print(f"{name}: {json.dumps(result)}", flush=True)
        (out / "gpu.json").write_text(json.dumps(found, indent=1), encoding="utf-8")

    if asked.tests:
        say("tests", tests(limit=TESTS * 60 * asked.minutes))
    for name, measure in parts(SMALL if asked.tiny else WHOLE, device, out, asked.tiny):
        if time.monotonic() - began > 60 * asked.minutes:
            say("left_out", [*found["left_out"], name])
            continue
        # Graphs of one part count towards the limit of the next, beyond which blocks run as written, and memory stays held.
        torch.compiler.reset()
        release()
        try:
            say(name, measure())
        except Exception as error:  # whatever a GPU makes of it, the other parts are worth having
            say(name, {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:500]})
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
