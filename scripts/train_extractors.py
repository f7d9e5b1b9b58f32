"""Train the extractors for small images, and write their weights into the package.

    python scripts/train_extractors.py digits
    python scripts/train_extractors.py shapes
    python scripts/train_extractors.py mnist
    python scripts/train_extractors.py emoji

Run it again only for a reason: new weights have a new id, and results judged by different weights cannot be compared.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its name everywhere

from mgbench.components.datasets.embedded import Digits, Shapes
from mgbench.components.datasets.emoji import Emoji
from mgbench.components.datasets.mnist import Mnist
from mgbench.components.extractors import embedded as extractors
from mgbench.components.extractors.embedded import FeatureNetwork
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData

WEIGHTS = Path(extractors.__file__).parent / "weights"
BATCH = 64


@dataclass(frozen=True)
class Course:
    """What one extractor is trained on, and for how long."""

    extractor: str
    dataset: Dataset
    epochs: int
    dropout: float
    redraw: float  # how much drawing the image again counts next to naming its class


COURSES = {
    "digits": Course("digits_cnn", Digits(), epochs=120, dropout=0.2, redraw=0.5),
    # Drawn images cost nothing: more of them than the data set has by default, and from a seed that nobody uses, so
    # that nothing trained or tested with the data set was seen by its judge. Their classes are easy, their colours not.
    "shapes": Course("shapes_cnn", Shapes(train=20_000, seed=1_000_003), epochs=12, dropout=0.0, redraw=5.0),
    "mnist": Course("mnist_cnn", Mnist(), epochs=60, dropout=0.2, redraw=0.5),
    # So few pictures, of kinds that people tell apart by knowing them: the features are to keep the picture above all.
    "emoji": Course("emoji_cnn", Emoji(), epochs=25, dropout=0.3, redraw=10.0),
}
SEED = 0


def batches(images: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order, every image moved by at most one pixel each way: uint8 [B,3,H,W] and int64 [B]."""
    height, width = images.shape[2:]
    for rows in torch.split(torch.randperm(len(images), generator=generator), BATCH):
        down, right = torch.randint(0, 3, (2,), generator=generator).tolist()
        padded = F.pad(images[rows].float(), (1, 1, 1, 1), mode="replicate").to(torch.uint8)
        moved = padded[:, :, down : down + height, right : right + width]
        # Half the batches stay where they are: that is where images lie when they are judged.
        keep = torch.rand((), generator=generator) < 0.5
        yield (images[rows] if keep else moved), labels[rows]


def loss_of(network: FeatureNetwork, redraw: nn.Module, images: Tensor, labels: Tensor, course: Course) -> Tensor:
    """Naming the class plus drawing the image again, each straight from the features."""
    pixels = network.prepare(images)
    features = network.features(pixels)
    named = F.cross_entropy(network.logits(F.dropout(features, course.dropout)), labels, label_smoothing=0.05)
    drawn = F.mse_loss(redraw(features), pixels.flatten(1))
    return named + course.redraw * drawn


def train(course: Course, data: ImageData) -> FeatureNetwork:
    """A trained network in evaluation mode; prints a line for every tenth of the epochs."""
    assert data.train_labels is not None
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    network = FeatureNetwork(extractors.SHAPES[course.extractor])
    shape = network.shape
    redraw = nn.Linear(shape.features, shape.channels * shape.side**2)
    parameters = [*network.parameters(), *redraw.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.02)
    steps = course.epochs * -(-len(data.train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=steps)
    images = data.train.expand(-1, 3, -1, -1)
    for epoch in range(course.epochs):
        for batch, labels in batches(images, data.train_labels, generator):
            loss = loss_of(network, redraw, batch, labels, course)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        if (epoch + 1) % max(course.epochs // 10, 1) == 0:
            print(f"epoch {epoch + 1:4d}  loss {loss.item():.4f}", flush=True)
    with torch.no_grad():
        network.standardise(network.features(network.prepare(images)))
    return network.eval()


@torch.no_grad()
def accuracy(network: FeatureNetwork, images: Tensor, labels: Tensor) -> float:
    """The share of images uint8 [M,C,H,W] whose class the network names."""
    logits = network(images.expand(-1, 3, -1, -1)).logits
    return float((logits.argmax(1) == labels).double().mean())


def main(arguments: list[str]) -> None:
    """Train one extractor, print its held-out accuracy and write its weights."""
    parser = argparse.ArgumentParser(description="Train a network that judges small images.")
    parser.add_argument("data", choices=sorted(COURSES))
    name = parser.parse_args(arguments).data
    torch.set_num_threads(1)
    course = COURSES[name]
    data = course.dataset.load()
    assert data.test_labels is not None
    network = train(course, data)
    held_out = accuracy(network, data.test, data.test_labels)
    print(f"held-out accuracy {held_out:.4f} on {len(data.test)} images")
    facts = {
        "dataset": str(course.dataset),
        "fingerprint": data.fingerprint,
        "held_out_accuracy": f"{held_out:.4f}",
        "command": f"python scripts/train_extractors.py {name}",
    }
    path = WEIGHTS / f"{course.extractor}.safetensors"
    path.parent.mkdir(exist_ok=True)
    # One entry, because safetensors writes several in random order and the file's hash is the extractor's name.
    path.write_bytes(save(network.state_dict(), metadata={"mgbench": json.dumps(facts)}))
    print(f"wrote {path.name} ({path.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main(sys.argv[1:])
