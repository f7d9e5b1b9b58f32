"""`mgbench sample`: images drawn from a trained model."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli.arguments import completion, options, values
from mgbench.results.wording import counted

if TYPE_CHECKING:
    from torch import Tensor

    from mgbench.stages.sample import Batch

ARCHIVE, GRID = ".npz", ".png"
# Pixels between the images of a grid.
GAP = 1


def sample(
    method: Annotated[
        str, typer.Argument(help="A method with finished rows, or the key of a row.", autocompletion=completion.method)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A folder for PNG files, one .png for a grid of all, or an .npz.")
    ],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of images.")] = 64,
    steps: Annotated[
        int, typer.Option(min=0, help="Number of sampling steps (default: as in the row).", show_default=False)
    ] = 0,
    set_: options.Set = None,
    plugins: options.Plugins = None,
    results: options.Results = Path("results"),
    device: options.Device = "auto",
    batch: options.Batch = 250,
) -> None:
    """Draw images from a model that 'mgbench run' trained, and write them as PNG files, as one grid, or as one .npz."""
    from mgbench.engines.devices import first_device
    from mgbench.registry.loading import find, load
    from mgbench.results.store import Store
    from mgbench.trials.stored_model import find_model

    changes = values.changes(set_)
    if steps:
        changes["sampling_steps"] = steps
    registry = load([find(name) for name in values.listed(plugins)])
    found = find_model(registry, Store(results), method, changes, first_device(device))
    batches = _shown(found.images(count, batch), count)
    if output.suffix == ARCHIVE:
        _write_archive(output, batches)
    elif output.suffix == GRID:
        _write_grid(output, batches)
    else:
        _write_pictures(output, batches, found.class_names)
    taken = found.row.spelled["sampling_steps"]
    at = "" if taken is None else f" at {counted(taken, 'step')}"
    typer.echo(f"{count} images of {found.row.method}{at}: {output}")


def _shown(batches: "Iterator[Batch]", count: int) -> "Iterator[Batch]":
    """The batches, with a progress bar on a terminal."""
    from mgbench.cli.output.progress import progress_bar

    drawn = 0
    with progress_bar("drawing") as advance:
        for batch in batches:
            drawn += len(batch.images)
            advance(drawn, count)
            yield batch


def _write_archive(path: Path, batches: "Iterable[Batch]") -> None:
    import torch

    from mgbench.results.files import write
    from mgbench.trials.score import images_writer

    drawn = list(batches)
    images, labels = (torch.cat([getattr(batch, name) for batch in drawn]) for name in ("images", "labels"))
    write(path, images_writer(images, labels.cpu()), "choose another file with -o")


def _write_pictures(folder: Path, batches: "Iterable[Batch]", classes: tuple[str, ...]) -> None:
    """Write PNG files 00000.png, 00001.png, … into a folder per class, the layout of `mgbench evaluate` and `image_folder`."""
    number = 0
    for batch in batches:
        for image, label in zip(batch.images, batch.labels.tolist(), strict=True):
            place = folder / classes[label] if classes and label >= 0 else folder
            _write_picture(place / f"{number:05}.png", image)
            number += 1


def _write_grid(path: Path, batches: "Iterable[Batch]") -> None:
    """Write all images as one picture, about as wide as high, in order along its rows."""
    import math

    import torch

    images = torch.cat([batch.images for batch in batches])
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    channels, height, width = images.shape[1:]
    board = torch.full((channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), 255, dtype=torch.uint8)
    for number, image in enumerate(images):
        top, left = (place * (side + GAP) for place, side in zip(divmod(number, columns), (height, width), strict=True))
        board[:, top : top + height, left : left + width] = image
    _write_picture(path, board)


def _write_picture(path: Path, image: "Tensor") -> None:
    """Picture of an image uint8 [C,H,W] with one or three channels."""
    import io

    from PIL import Image

    from mgbench.results.files import write_bytes

    pixels: Any = image.permute(1, 2, 0).numpy()
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
    write_bytes(path, content.getvalue(), "choose another folder with -o")
