"""The training of eMIGM-L on ImageNet 256 on many GPUs, computed from rates: step times, their parts, and what binds first.

    python -m benchmarks.projection                    # the table of docs/scaling.md
    python -m benchmarks.projection --utilisation 0.3  # with another share of the peak

Operations, parameters and activations are counted by running the stages' own code on a model without content, as `mgbench plan`
does; the model of a step is `mgbench.stages.forecast`, which plans use too.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from mgbench.interfaces.data import TokenSpace
from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import load
from mgbench.registry.resolve import assemble
from mgbench.stages.cost import peak_flops
from mgbench.stages.dry_run import ModelCosts, image_costs, model_costs
from mgbench.stages.forecast import Devices, StepTime, sampling_seconds, training_step

METHOD, LONG = "emigm-l-256", "emigm-l-256-128steps"
SPACE, CLASSES, IMAGES, SAMPLES = TokenSpace(256, 16, None, (16, 16)), 1000, 1_281_167, 50_000
GPU, NODE = "H200", 8
# Bytes a second that a GPU sends: over NVLink 4 (900 GB/s both ways) in a node, over one 400 Gb/s adapter each between nodes.
NVLINK, NETWORK = 450e9, 50e9
# Bytes a second of random rows of the cache of tokens, read by one process of a node (docs/benchmarks: 2,048 rows in 143 ms).
READING_OF_A_NODE = 2048 * 8192 / 0.143
# Tokens of an image as they are stored: float16.
IMAGE_BYTES = SPACE.length * SPACE.dim * 2
COUNTS = (8, 64, 256)


@dataclass(frozen=True)
class Projection:
    """A training on so many GPUs: its step, days in all, bytes a GPU holds, and hours of 50,000 samples in 16 and 128 steps."""

    gpus: int
    step: StepTime
    days: float
    held: float
    sampling: tuple[float, ...]


def devices(count: int, utilisation: float) -> Devices:
    """So many GPUs, at this share of their peak."""
    peak = peak_flops(GPU) or 0.0
    nodes = -(-count // NODE)
    return Devices(utilisation * peak, count, NVLINK if nodes == 1 else NETWORK, nodes * READING_OF_A_NODE)


def recipe_of(method: str) -> Recipe:
    """The recipe of a method."""
    return next(found[method] for found in load().recipes.values() if method in found)


def costs() -> ModelCosts:
    """Parameters, operations and activations of the model."""
    return model_costs(assemble(load(), recipe_of(METHOD)).parts, SPACE, CLASSES)


def projections(utilisation: float, counts: tuple[int, ...] = COUNTS) -> Iterator[Projection]:
    """The training on each number of GPUs."""
    model, recipe = costs(), recipe_of(METHOD)
    drawn = [
        image_costs(assemble(load(), recipe_of(method)).parts, SPACE, CLASSES, recipe_of(method))["flops_per_image"]
        for method in (METHOD, LONG)
    ]
    for count in counts:
        on = devices(count, utilisation)
        step = training_step(model.training_flops, recipe.batch_size, on, model.parameters, IMAGE_BYTES)
        # Half of the activations in float32, as most of them are bfloat16.
        held = model.training_bytes + recipe.batch_size / count * model.activation_bytes / 2
        hours = tuple(sampling_seconds(SAMPLES * flops, on) / 3600 for flops in drawn)
        yield Projection(count, step, recipe.train_steps * step.seconds / 86400, held, hours)


def table(utilisation: float) -> str:
    """The projections as a table in Markdown."""
    columns = "GPUs", "images a GPU", "compute", "exchange", "reading", "binds", "training", "memory a GPU"
    head = f"| {' | '.join(columns)} | 50,000 samples: 16, 128 steps |"
    batch = recipe_of(METHOD).batch_size
    rows = [
        f"| {one.gpus} | {batch // one.gpus} | {1e3 * one.step.compute:.1f} ms | {1e3 * one.step.exchange:.1f} ms | "
        f"{1e3 * one.step.reading:.1f} ms | {one.step.binds} | {one.days:.2f} days | {one.held / 1e9:.0f} GB | "
        f"{3600 * one.sampling[0]:.0f} s, {3600 * one.sampling[1]:.0f} s |"
        for one in projections(utilisation)
    ]
    return "\n".join([head, "|" + "---|" * 9, *rows])


def crossing(utilisation: float) -> int:
    """The number of GPUs from which the exchange takes longer than the arithmetic."""
    model, batch, count = costs(), recipe_of(METHOD).batch_size, 1
    while training_step(model.training_flops, batch, devices(count, utilisation), model.parameters).binds == "compute":
        count += 1
    return count


def main() -> None:
    """Print the table and what it rests on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utilisation", type=float, default=0.4, help="share of the peak that training reaches")
    asked, model, recipe = parser.parse_args(), costs(), recipe_of(METHOD)
    print(f"{model.parameters / 1e6:.1f} M parameters, {model.training_flops / 1e12:.3f} TFLOP of training an image")
    print(
        f"{recipe.train_steps:,} steps of {recipe.batch_size:,}: {recipe.train_steps * recipe.batch_size / IMAGES:.0f} epochs"
    )
    print(f"{model.activation_bytes / 1e6:.0f} MB of activations an image, in float32")
    print(table(asked.utilisation))
    print(f"the exchange binds from {crossing(asked.utilisation)} GPUs on")


if __name__ == "__main__":
    main()
