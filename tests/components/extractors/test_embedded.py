import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mgbench.components.datasets.embedded import Digits, Shapes
from mgbench.components.datasets.emoji import Emoji
from mgbench.components.datasets.mnist import Mnist
from mgbench.components.extractors import embedded as extractors
from mgbench.components.extractors.embedded import SHAPES, FeatureNetwork, mgbench_extractors
from mgbench.components.metrics.distances import Fid
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import Features, ImageData
from mgbench.stages.evaluate import IMAGES_PER_FEATURE

MAKERS = dict(mgbench_extractors())
# The share of held-out images whose class it names, at least.
RECOGNISED = {"digits_cnn": 0.98, "shapes_cnn": 0.98, "mnist_cnn": 0.98, "emoji_cnn": 0.5}
WEIGHTS = Path(extractors.__file__).parent / "weights"
NAMES = pytest.mark.parametrize("name", MAKERS)


@pytest.fixture(scope="module")
def datasets() -> dict[str, ImageData]:
    return {
        "digits_cnn": Digits().load(),
        "shapes_cnn": Shapes(train=64).load(),
        "mnist_cnn": Mnist().load(),
        "emoji_cnn": Emoji().load(),
    }


def some_images(size: int, count: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def judged(name: str, images: torch.Tensor) -> Features:
    said: Features = MAKERS[name]().build()(images.expand(-1, 3, -1, -1))
    return said


def accuracy(name: str, images: torch.Tensor, labels: torch.Tensor | None) -> float:
    said = judged(name, images)
    assert said.logits is not None
    assert labels is not None
    return float((said.logits.argmax(1) == labels).double().mean())


@NAMES
def test_shapes_and_types(name: str) -> None:
    said, shape = judged(name, some_images(SHAPES[name].side)), SHAPES[name]
    assert said.features.shape == (64, shape.features)
    assert said.logits is not None
    assert said.logits.shape == (64, shape.classes)
    assert said.features.dtype == said.logits.dtype == torch.float32


@NAMES
def test_it_is_ready_to_judge_and_nothing_else(name: str) -> None:
    network = MAKERS[name]().build()
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@NAMES
def test_the_id_is_a_hash_of_the_weights(name: str) -> None:
    digest = hashlib.sha256((WEIGHTS / f"{name}.safetensors").read_bytes()).hexdigest()
    assert MAKERS[name]().build().id == f"{name}@{digest[:4]}"


@NAMES
def test_weights_are_small_and_say_where_they_come_from(name: str, datasets: dict[str, ImageData]) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    assert path.stat().st_size < 300 * 1024
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["mgbench"])
    assert facts["command"].startswith("python scripts/train_extractors.py")
    assert float(facts["held_out_accuracy"]) >= RECOGNISED[name]
    # Shapes are drawn anew for every number of them.
    if name != "shapes_cnn":
        assert facts["fingerprint"] == datasets[name].fingerprint


@NAMES
@pytest.mark.parametrize("batch", [1, 7])
def test_features_do_not_depend_on_the_batch(name: str, batch: int) -> None:
    network, images = MAKERS[name]().build(), some_images(16)
    whole = network(images).features
    parts = torch.cat([network(part).features for part in torch.split(images, batch)])
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-6)


@NAMES
def test_autocast_changes_nothing(name: str) -> None:
    network, images = MAKERS[name]().build(), some_images(16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = network(images)
    assert torch.equal(cast.features, network(images).features)


@NAMES
def test_held_out_images_are_recognised(name: str, datasets: dict[str, ImageData]) -> None:
    data = datasets[name]
    assert accuracy(name, data.test, data.test_labels) >= RECOGNISED[name]


@pytest.mark.parametrize("size", [16, 24, 33, 64])
def test_shapes_of_any_size_are_recognised(size: int) -> None:
    data = Shapes(size=size, train=8, test=200).load()
    assert accuracy("shapes_cnn", data.test, data.test_labels) >= 0.97


@NAMES
def test_its_logits_are_of_the_classes_of_its_data(name: str, datasets: dict[str, ImageData]) -> None:
    assert MAKERS[name]().build().classes == datasets[name].class_names


@NAMES
def test_held_out_images_suffice_for_their_features(name: str, datasets: dict[str, ImageData]) -> None:
    assert len(datasets[name].test) >= IMAGES_PER_FEATURE * SHAPES[name].features


# Most emoji are as good in a mirror or a pixel aside.
@pytest.mark.parametrize(
    ("name", "times", "moved"), [("digits_cnn", 2, True), ("mnist_cnn", 2, True), ("emoji_cnn", 1.5, False)]
)
def test_held_out_images_are_nearer_than_anything_spoilt(
    name: str, times: float, moved: bool, datasets: dict[str, ImageData]
) -> None:
    data = datasets[name]
    test, noise = data.test.double(), torch.randn(data.test.shape, generator=torch.Generator().manual_seed(0))
    spoilt = [test + 30 * noise, test * 0.9, test[:1].expand_as(test) + noise]
    spoilt += [test.flip(3), test.roll(1, 3)] if moved else []
    reference = judged(name, data.train)
    floor, *distances = [
        Fid()(judged(name, images.round().clamp(0, 255).to(torch.uint8)), reference)["fid"]
        for images in (test, *spoilt)
    ]
    assert floor * times < min(distances)


@pytest.mark.parametrize(("name", "dataset"), [("shapes_cnn", Shapes(train=1000, test=1000)), ("emoji_cnn", Emoji())])
def test_a_distance_sees_the_loss_of_colour(name: str, dataset: Dataset) -> None:
    data = dataset.load()
    reference = judged(name, data.train)
    floor = Fid()(judged(name, data.test), reference)["fid"]
    grey = data.test.double().mean(1, keepdim=True).round().to(torch.uint8)
    assert Fid()(judged(name, grey), reference)["fid"] > 3 * floor


def test_standardising_keeps_the_logits() -> None:
    torch.manual_seed(0)
    network, images = FeatureNetwork(SHAPES["digits_cnn"]).double(), some_images(8)
    before = network(images)
    network.standardise(network.features(network.prepare(images)))
    after = network(images)
    torch.testing.assert_close(after.logits, before.logits)
    assert after.features.mean(0).abs().max() < 1e-5
    assert after.features.var(0).mean().item() == pytest.approx(1, rel=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@NAMES
def test_a_gpu_says_the_same(name: str) -> None:
    network, images = MAKERS[name]().build(), some_images(32)
    there = network.to("cuda")(images.to("cuda")).features.cpu()
    torch.testing.assert_close(there, network.cpu()(images).features, rtol=1e-6, atol=1e-6)
