"""eMIGM here against its published code, two processes of one thread that take turns: ratios of medians (above 1: faster here).

    OMP_NUM_THREADS=1 python -m benchmarks.against_official PATH --configs A,B

PATH is a checkout of github.com/ML-GSAI/eMIGM (commit de78623), which needs timm 0.9.12. It runs unedited on a CPU: `.cuda()` is
made the identity. A: 16 tokens, width 64, 2+2 layers; B: eMIGM-XS with 256 tokens. Both models have equal sizes and the published
initialisation, moved a little; sampling takes 16 steps of 8 head evaluations, with scale 4 at times in (0.1, 0.3]; a training
step is forward, backward, clipping at 3, AdamW and the moving average. Seconds are those of the processor. The process here
is set up as those of a study, which keep freed memory; with `--same-memory` that of the published code is set up so, too.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from mgbench_plugins.emigm import AncestralShared, DPMSolver3S, Shared
from torch import Tensor, nn

from mgbench.components.heads.diffusion import Diffusion
from mgbench.components.networks.transformers import MAE
from mgbench.components.processes.masked import Masked
from mgbench.components.samplers.reuse import Nothing
from mgbench.components.schedules.guidance_schedules import Constant, Interval
from mgbench.components.schedules.loss_weightings import Uniform
from mgbench.components.schedules.mask_schedules import Exp
from mgbench.components.schedules.time_grids import Uniform as Evenly
from mgbench.engines.process import set_up_process
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request
from mgbench.recipes.recipe import Recipe
from mgbench.stages.train import Training

STEPS = 16
CONFIGS: dict[str, dict[str, Any]] = {
    "A": {
        "side": 4,
        "dim": 4,
        "width": 64,
        "depth": 2,
        "heads": 4,
        "class_tokens": 2,
        "head_width": 64,
        "classes": 10,
        "train_batch": 64,
        "sample_batch": 256,
        "repetitions": 9,
    },
    "B": {
        "side": 16,
        "dim": 16,
        "width": 448,
        "depth": 10,
        "heads": 8,
        "class_tokens": 64,
        "head_width": 1024,
        "classes": 1000,
        "train_batch": 4,
        "sample_batch": 4,
        "repetitions": 3,
    },
}
Work = Callable[[], object]


def moved(model: nn.Module) -> nn.Module:
    """The model with N(0, 0.01²) added to every parameter, as layers that start at zero do nothing."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    return model


def ours(sizes: dict[str, Any]) -> tuple[Work, Work, int]:
    """One batch of samples, one training step, and the number of parameters of the model here."""
    shape = {name: sizes[name] for name in ("width", "depth", "heads", "class_tokens")}
    parts = Parts(
        labels=True,
        process=Masked(),
        network=MAE(dropout=0.1, **shape),
        head=Diffusion(width=sizes["head_width"]),
        mask_schedule=Exp(),
        sampling_schedule=Exp(),
        masking=Shared(),
        loss_weighting=Uniform(),
        time_grid=Evenly(end=1e-5),
        sampler=AncestralShared(),
        reuse=Nothing(),
        guidance_schedule=Interval(0.1, 0.3, Constant(4.0)),
        solver=DPMSolver3S(),
    )
    space = TokenSpace(sizes["side"] ** 2, sizes["dim"])
    model: Any = moved(parts.process.build(parts, space, sizes["classes"]))
    recipe = Recipe.of(batch_size=sizes["train_batch"], learning_rate=1e-4, ema=0.9999, clip=3.0, weight_decay=0.02)
    training = Training(recipe, parts, model, torch.device("cpu"))
    tokens, labels = torch.randn(1024, space.length, space.dim), torch.arange(1024) % sizes["classes"]
    asked, generator = torch.arange(sizes["sample_batch"]) % sizes["classes"], torch.Generator()

    @torch.no_grad()
    def sample() -> object:
        model.eval()
        images = Streams.root(training.step, "images").fold(torch.arange(len(asked)))
        request = Request(asked, STEPS, images, Streams.root(training.step, "shared"))
        return list(parts.process.sample(model, parts, space, request))

    def train() -> object:
        model.train()
        return training.advance(tokens, labels, generator)

    return sample, train, sum(parameter.numel() for parameter in model.parameters())


def official(path: Path, sizes: dict[str, Any]) -> tuple[Work, Work, int]:
    """The same of the published code."""
    sys.path.insert(0, str(path))
    from models.emigm import eMIGM

    widths = {f"{half}coder_embed_dim": sizes["width"] for half in ("en", "de")}
    depths = {f"{half}coder_depth": sizes["depth"] for half in ("en", "de")}
    heads = {f"{half}coder_num_heads": sizes["heads"] for half in ("en", "de")}
    options = {"img_size": 16 * sizes["side"], "vae_stride": 16, "vae_embed_dim": sizes["dim"]}
    options |= {"class_num": sizes["classes"], "buffer_size": sizes["class_tokens"], "diffloss_w": sizes["head_width"]}
    options |= {"use_unsup_cfg": True, "cfg_t_min": 0.1, "cfg_t_max": 0.3, "mask_strategy": "exp", "clamp_t_min": 0.2}
    options |= {"num_sampling_steps": "8", "sampling_algo": "dpm-solver"}
    model = moved(eMIGM(**widths, **depths, **heads, **options))
    matrices = [one for one in model.parameters() if one.ndim > 1]
    others = [one for one in model.parameters() if one.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95))
    average = [parameter.detach().clone() for parameter in model.parameters()]
    images = torch.randn(sizes["train_batch"], sizes["dim"], sizes["side"], sizes["side"])
    labels = torch.arange(sizes["train_batch"]) % sizes["classes"]
    asked = torch.arange(sizes["sample_batch"]) % sizes["classes"]

    @torch.no_grad()
    def sample() -> object:
        model.eval()
        return model.sample_tokens(len(asked), num_iter=STEPS, cfg=4.0, labels=asked)

    def train() -> object:
        model.train()
        loss = model(images, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for kept, parameter in zip(average, model.parameters(), strict=True):
                kept.mul_(0.9999).add_(parameter, alpha=1e-4)
        return loss

    return sample, train, sum(parameter.numel() for parameter in model.parameters())


def on_a_cpu() -> None:
    """Make what the published code asks of a GPU happen on the CPU."""
    on_cpu, linspace = lambda tensor, *_, **__: tensor, torch.linspace

    def anywhere(*values: Any, device: object = None, **options: Any) -> Tensor:
        return linspace(*values, **options)

    Tensor.cuda = on_cpu  # type: ignore[method-assign]
    torch.linspace = anywhere  # type: ignore[assignment]


def serve(pipe: Connection, name: str, path: Path | None, keeps_memory: bool) -> None:
    """Serve a side, of the code here without a path: send its number of parameters, and the seconds of every work asked for."""
    if keeps_memory:
        set_up_process()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if path is not None:
        on_a_cpu()
    *works, parameters = ours(CONFIGS[name]) if path is None else official(path, CONFIGS[name])
    pipe.send(parameters)
    while (asked := pipe.recv()) is not None:
        started = time.process_time()
        works[asked]()
        pipe.send(time.process_time() - started)


@contextmanager
def side(*about: Any) -> Iterator[Connection]:
    """The pipe to a process with a side, as `serve` takes it."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve, args=(there, *about))
    process.start()
    try:
        yield here
        here.send(None)
    finally:
        process.join(10)
        process.terminate()


def medians(sides: tuple[Connection, ...], work: int, repetitions: int) -> list[float]:
    """The median seconds of a work of each of the sides, which take turns, after one turn that does not count."""
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(repetitions + 1):
        for pipe, taken in zip(sides, times, strict=True):
            pipe.send(work)
            seconds = pipe.recv()
            if turn:
                taken.append(seconds)
    return [statistics.median(taken) for taken in times]


def main() -> None:
    """Print the four ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--configs", default="A,B")
    parser.add_argument(
        "--repetitions", type=int, help="turns that count, instead of 9 (training 45) for A and 3 for B"
    )
    parser.add_argument("--same-memory", action="store_true", help="let the published code keep freed memory, too")
    options = parser.parse_args()
    for name in options.configs.split(","):
        with side(name, None, True) as here, side(name, options.path, options.same_memory) as there:
            print(f"{name}: {here.recv():,} parameters here, {there.recv():,} there", flush=True)
            for work, called in enumerate(("sampling", "training step")):
                repetitions = options.repetitions or CONFIGS[name]["repetitions"] * (5 if work and name == "A" else 1)
                mine, theirs = medians((here, there), work, repetitions)
                print(
                    f"{name} {called}: {mine:.3f} s here, {theirs:.3f} s there, ratio {theirs / mine:.2f}", flush=True
                )


if __name__ == "__main__":
    main()
