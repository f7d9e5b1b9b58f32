"""`mgbench evaluate`: foreign images under our protocol, and a sentence for everything that cannot be judged."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mgbench.components.datasets.embedded import Digits, Shapes
from mgbench.components.extractors.embedded import DigitsCnn, ShapesCnn
from mgbench.components.metrics.frechet import frechet_distance
from mgbench.registry.loading import load
from mgbench.stages.labels import by_turns
from mgbench.trials.image_scores import score_images
from mgbench.trials.real_features import reference_of
from tests import weights
from tests.cli.conftest import Command

DIGITS = Digits().load()
SHAPES = Shapes(train=300, test=100).load()


def features(network: Any, images: torch.Tensor) -> torch.Tensor:
    said: torch.Tensor = network(images.expand(-1, 3, -1, -1)).features
    return said


def save(folder: Path, images: torch.Tensor, labels: torch.Tensor | None = None) -> None:
    for index, image in enumerate(images):
        place = folder if labels is None else folder / SHAPES.class_names[int(labels[index])]
        place.mkdir(parents=True, exist_ok=True)
        pixels = image.permute(1, 2, 0).numpy()
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(place / f"{index:04}.png")


def said(mgbench: Command, *arguments: str) -> dict[str, Any]:
    answer = mgbench("evaluate", *arguments, "--json")
    assert answer.code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found


def test_an_array_is_scored_as_our_own_images_are(mgbench: Command, tmp_path: Path) -> None:
    assert DIGITS.test_labels is not None
    flipped = DIGITS.test.flip(3)
    np.savez("ours.npz", images=flipped.numpy(), labels=DIGITS.test_labels.numpy())
    found = said(mgbench, "ours.npz", "--reference", "digits")
    registry, device = load(), torch.device("cpu")
    names = ("fid", "kid", "accuracy")
    metrics = [registry.build("metric", spec) for spec in map(_spec, names)]
    reference = reference_of(DIGITS, "digits", DigitsCnn(), device, tmp_path / "elsewhere")
    ours = score_images(metrics, reference, flipped, DIGITS.test_labels, device)
    assert found["scores"] == pytest.approx(ours.scores)
    assert found["floors"] == pytest.approx(ours.floors)
    assert (found["protocol"], found["warnings"], found["count"]) == (ours.protocol, ours.warnings, 500)


def _spec(name: str) -> Any:
    from mgbench.recipes.spec import Spec

    return Spec(name)


def test_it_is_shown_with_its_floor_and_how_it_was_obtained(mgbench: Command) -> None:
    np.save("digits.npy", DIGITS.test[by_turns(DIGITS.test_labels, len(DIGITS.test))[:100], 0].numpy())
    answer = mgbench("evaluate", "digits.npy", "--reference", "digits")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == "digits.npy: 100 images, 8x8, grey"
    assert lines[1].split() == ["images", "real", "ones"]
    assert lines[2].startswith("FID[digits_cnn]")
    # These are the images of the floor itself.
    assert lines[2].split()[1] == lines[2].split()[2]
    assert lines[-1].startswith("protocol: digits@8356ded8/train1297/n100/unlabelled/uint8/8x8/digits_cnn@")
    assert "100 images for 48 features: the Fréchet distance is biased upward" in answer.err


def test_folders_and_arrays_of_the_same_images_agree(mgbench: Command) -> None:
    save(Path("generated"), SHAPES.test, SHAPES.test_labels)
    save(Path("real"), SHAPES.train, SHAPES.train_labels)
    last = ("--extractor", "shapes_cnn", "--metrics", "fid,prdc,accuracy,fid_infinity")
    by_folder = said(mgbench, "generated", "--reference", "real", *last)
    assert SHAPES.test_labels is not None
    np.savez("generated.npz", arr_0=SHAPES.test.permute(0, 2, 3, 1).numpy(), arr_1=SHAPES.test_labels.numpy())
    by_array = said(mgbench, "generated.npz", "--reference", "shapes(train=300, test=100)", *last)
    assert set(by_folder["scores"]) == {
        f"{name}[shapes_cnn]" for name in ("fid", "precision", "recall", "density", "coverage", "fid_infinity")
    }
    network = ShapesCnn().build()
    expected = frechet_distance(features(network, SHAPES.test), features(network, SHAPES.train))
    for found in (by_folder, by_array):
        assert found["scores"]["fid[shapes_cnn]"] == pytest.approx(expected, rel=1e-5)
    # A folder's classes come in the order of their names, which is not that of the extractor, so nothing is said of them.
    assert set(by_array["scores"]) - set(by_folder["scores"]) == {"accuracy[shapes_cnn]"}
    assert "/n100/balanced/" in by_array["protocol"]
    assert by_folder["floors"] == {}
    assert by_array["floors"]["fid[shapes_cnn]"] == pytest.approx(by_array["scores"]["fid[shapes_cnn]"])


def test_further_real_images_are_the_floor(mgbench: Command) -> None:
    for name, images in (("a", DIGITS.test.flip(3)), ("b", DIGITS.train), ("c", DIGITS.test)):
        np.save(f"{name}.npy", images[:, 0].numpy())
    arguments = ("a.npy", "--reference", "b.npy", "--extractor", "digits_cnn", "--metrics", "fid")
    assert said(mgbench, *arguments)["floors"] == {}
    found = said(mgbench, *arguments, "--held-out", "c.npy")
    assert found["floors"]["fid[digits_cnn]"] < found["scores"]["fid[digits_cnn]"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_published_statistics_are_a_reference(dtype: Any, mgbench: Command) -> None:
    network = DigitsCnn().build()
    real, generated = (features(network, part).double() for part in (DIGITS.train, DIGITS.test))
    np.savez("reference.npz", mu=real.mean(0).numpy().astype(dtype), sigma=real.T.cov().numpy().astype(dtype))
    np.save("digits.npy", DIGITS.test[:, 0].numpy())
    found = said(mgbench, "digits.npy", "--reference", "reference.npz", "--extractor", "digits_cnn")
    assert found["scores"] == pytest.approx({"fid[digits_cnn]": frechet_distance(generated, real)}, rel=1e-4)
    assert any("kid compares images one by one" in warning for warning in found["warnings"])
    assert "/statistics/n500/" in found["protocol"]


def test_published_statistics_with_some_images_beside_them(mgbench: Command) -> None:
    network, some = DigitsCnn().build(), DIGITS.train[:300]
    real, generated = (features(network, part).double() for part in (DIGITS.train, DIGITS.test))
    pixels = some.permute(0, 2, 3, 1).numpy()
    np.savez("reference.npz", arr_0=pixels, mu=real.mean(0).numpy(), sigma=real.T.cov().numpy())
    np.savez("images.npz", arr_0=pixels)
    np.save("digits.npy", DIGITS.test[:, 0].numpy())
    last = ("--extractor", "digits_cnn", "--metrics", "fid,prdc,kid")
    found = said(mgbench, "digits.npy", "--reference", "reference.npz", *last)
    # The distance is from all that the statistics are of, and neighbours are looked for among the images.
    few = said(mgbench, "digits.npy", "--reference", "images.npz", *last)["scores"]
    expected = {**few, "fid[digits_cnn]": frechet_distance(generated, real)}
    assert found["scores"] == pytest.approx(expected, rel=1e-4)
    assert few["fid[digits_cnn]"] > expected["fid[digits_cnn]"]


def test_statistics_that_were_written_are_read_on_both_sides(mgbench: Command) -> None:
    np.save("digits.npy", DIGITS.test[:, 0].numpy())
    np.save("real.npy", DIGITS.train[:, 0].numpy())
    last = ("--extractor", "digits_cnn", "--metrics", "fid")
    whole = said(mgbench, "digits.npy", "--reference", "real.npy", *last)
    for name in ("digits", "real"):
        said(mgbench, f"{name}.npy", "--reference", "digits", *last, "--statistics", f"{name}.npz")
    with np.load("digits.npz") as written:
        assert set(written) == {"mu", "sigma", "N", "protocol"}
        assert int(written["N"]) == 500
        assert str(written["protocol"]).endswith(DigitsCnn().build().id)
    for ours in ("digits.npy", "digits.npz"):
        found = said(mgbench, ours, "--reference", "real.npz", *last)
        assert found["scores"] == pytest.approx(whole["scores"], rel=1e-6)
        assert found["count"] == 500
    assert "/n500/statistics/digits_cnn@" in found["protocol"]
    kid = said(mgbench, "digits.npz", "--reference", "digits", "--metrics", "fid,kid,accuracy")
    assert set(kid["scores"]) == {"fid[digits_cnn]"}
    other = mgbench("evaluate", "digits.npz", "--reference", "shapes")
    assert "says that its statistics are of digits_cnn@" in other.err
    # Without --extractor, files are compared by the one that they name.
    for files in (("digits.npz", "real.npz"), ("digits.npy", "real.npz"), ("digits.npz", "real.npy")):
        found = said(mgbench, files[0], "--reference", files[1], "--metrics", "fid")
        assert found["scores"] == pytest.approx(whole["scores"], rel=1e-6)
    none = mgbench("evaluate", "digits.npy", "--reference", "digits", "--metrics", "kid", "--statistics", "x.npz")
    assert (none.code, "ask for fid" in none.err) == (2, True)


@pytest.mark.parametrize(
    ("protocol", "sentence"),
    [
        ("n500/other@12ab", "a.npz has those of digits_cnn@12ab and b.npz has those of other@12ab"),
        ("n500/digits_cnn@34cd", "a.npz has those of digits_cnn@12ab and b.npz has those of digits_cnn@34cd"),
        ("n500/digits_cnn@12ab", "b.npz says that its statistics are of digits_cnn@12ab, and the extractor here is"),
    ],
)
def test_statistics_of_other_extractors_are_refused(protocol: str, sentence: str, mgbench: Command) -> None:
    for name, of in (("a", "n500/digits_cnn@12ab"), ("b", protocol)):
        np.savez(f"{name}.npz", mu=np.zeros(48), sigma=np.eye(48), N=500, protocol=of)
    answer = mgbench("evaluate", "a.npz", "--reference", "b.npz", "--metrics", "fid")
    assert (answer.code, sentence in answer.err) == (2, True), answer.err
    np.savez("b.npz", mu=np.zeros(48), sigma=np.eye(48), N=500, protocol="n500/other@12ab")
    np.save("digits.npy", DIGITS.test[:, 0].numpy())
    answer = mgbench("evaluate", "digits.npy", "--reference", "b.npz", "--metrics", "fid")
    assert "b.npz holds statistics of other@12ab; say which extractor that is with --extractor" in answer.err


def test_statistics_without_a_number_of_images(mgbench: Command) -> None:
    np.savez("few.npz", mu=np.zeros(48), sigma=np.eye(48))
    found = said(mgbench, "few.npz", "--reference", "digits", "--metrics", "fid")
    assert "/nunknown/statistics/" in found["protocol"]
    assert any("does not say of how many images" in warning for warning in found["warnings"])


def test_each_class_has_its_own_distance(mgbench: Command) -> None:
    np.savez("digits.npz", arr_0=DIGITS.test[:, 0].numpy()[..., None], arr_1=DIGITS.test_labels)
    found = said(mgbench, "digits.npz", "--reference", "digits", "--metrics", "class_fid")
    network = DigitsCnn().build()
    assert DIGITS.test_labels is not None
    assert DIGITS.train_labels is not None
    threes = (
        features(network, DIGITS.test[DIGITS.test_labels == 3]),
        features(network, DIGITS.train[DIGITS.train_labels == 3]),
    )
    assert found["scores"]["class_fid_3[digits_cnn]"] == pytest.approx(frechet_distance(*threes), rel=1e-6)
    assert len(found["scores"]) == len(found["floors"]) == 11
    mean = sum(found["scores"][f"class_fid_{label}[digits_cnn]"] for label in range(10)) / 10
    assert found["scores"]["class_fid[digits_cnn]"] == pytest.approx(mean)


def test_floats_are_judged_when_it_is_said_how(mgbench: Command) -> None:
    np.save("floats.npy", DIGITS.test[:, 0].numpy() / np.float32(255))
    found = said(mgbench, "floats.npy", "--reference", "digits", "--metrics", "fid", "--floats", "round")
    np.save("digits.npy", DIGITS.test[:, 0].numpy())
    assert found["scores"] == said(mgbench, "digits.npy", "--reference", "digits", "--metrics", "fid")["scores"]
    assert "/uint8-round/" in found["protocol"]
    wrong = mgbench("evaluate", "floats.npy", "--reference", "digits", "--floats", "cutt")
    assert "--floats cannot be 'cutt'; did you mean 'cut'?" in wrong.err


def test_images_far_darker_than_the_real_ones_are_noted(mgbench: Command) -> None:
    np.save("dark.npy", DIGITS.test[:, 0].numpy() // 4)
    found = said(mgbench, "dark.npy", "--reference", "digits", "--metrics", "fid")
    assert any("grey levels bright on average" in warning for warning in found["warnings"])


def test_a_second_opinion_is_a_metric_like_any(mgbench: Command) -> None:
    if not all(importlib.util.find_spec(name) for name in ("torch_fidelity", "cleanfid")):
        pytest.skip("torch-fidelity or clean-fid is not installed")
    np.save("digits.npy", DIGITS.test[:, 0].numpy())
    metrics = "fid,torch_fidelity(metrics=[fid]),clean_fid"
    scores = said(mgbench, "digits.npy", "--reference", "digits", "--metrics", metrics)["scores"]
    assert len(scores) == 3
    assert list(scores.values()) == pytest.approx([scores["fid[digits_cnn]"]] * 3, rel=1e-4)


@pytest.mark.slow
def test_inception_from_a_file(mgbench: Command) -> None:
    file = weights.inception()
    np.save("some.npy", SHAPES.test[:6].permute(0, 2, 3, 1).numpy())
    extractor = f"inception(path='{file}', checksum='{weights.digest(file)[:8]}')"
    arguments = ("--extractor", extractor, "--metrics", "fid,sfid,inception_score")
    found = said(mgbench, "some.npy", "--reference", "some.npy", *arguments)
    assert found["scores"]["fid[inception]"] < 1e-8
    assert found["scores"]["sfid[inception]"] < 1e-8
    assert found["scores"]["inception_score[inception]"] >= 1


def test_what_was_seen_of_the_reference_is_kept(mgbench: Command) -> None:
    np.save("digits.npy", DIGITS.test[:, 0].numpy())
    said(mgbench, "digits.npy", "--reference", "digits", "--results", "kept")
    files = sorted(Path("kept").rglob("features.safetensors"))
    before = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 2
    reference_of.cache_clear()
    said(mgbench, "digits.npy", "--reference", "digits", "--results", "kept")
    assert [file.stat().st_mtime_ns for file in files] == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "--reference", "digits"], "nowhere does not exist; give a folder of pictures"),
        (["float.npy", "--reference", "digits"], "holds float32 numbers, and images are uint8"),
        (["one.npy", "--reference", "digits"], "fid needs at least 2 images in each set, and one has 1"),
        (["digits.npy", "--reference", "shapes"], "the images are 8x8 and those of the reference 16x16"),
        (["digits.npy", "--reference", "digit"], "neither a data set nor a file or folder; did you mean 'digits'?"),
        (["digits.npy", "--reference", "digits(seed=1)"], "has no option 'seed'"),
        (["digits.npy", "--reference", "digits.npy"], "weights of inception are not at"),
        (["digits.npy", "--reference", "digits.npy"], "or choose another extractor with --extractor …"),
        (["digits.npy", "--reference", "digits", "--metrics", "fod"], "no metric is called 'fod'; did you mean 'fid'?"),
        (["digits.npy", "--reference", "digits", "--extractor", "eye"], "no extractor is called 'eye'"),
        (["digits.npy", "--reference", "digits", "--held-out", "digits.npy"], "digits has held-out images of its own"),
        (
            ["labels.npz", "--reference", "digits"],
            "a label of the images is 10, and the reference has the classes 0 to 9",
        ),
        (
            ["digits.npy", "--reference", "digits", "--metrics", "kid(subsets=2)"],
            "subset_size is 1000, and should be from",
        ),
        (["digits.npy", "--reference", "digits", "--device", "gpu"], "cannot run on 'gpu'"),
        (
            ["digits.npy", "--reference", "statistics.npz", "--extractor", "digits_cnn"],
            "features of 48 and of 3 numbers",
        ),
    ],
)
def test_what_cannot_be_judged_gets_a_sentence(
    arguments: list[str], sentence: str, mgbench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if "inception" in sentence and importlib.util.find_spec("torch_fidelity") is None:
        pytest.skip("torch-fidelity is not installed")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    digits = DIGITS.test[:60, 0].numpy()
    np.save("digits.npy", digits)
    np.save("one.npy", digits[:1])
    np.save("float.npy", digits.astype(np.float32))
    np.savez("labels.npz", arr_0=digits[..., None], arr_1=np.arange(60) % 11)
    np.savez("statistics.npz", mu=np.zeros(3), sigma=np.eye(3))
    answer = mgbench("evaluate", *arguments)
    assert answer.code == 2
    assert sentence in answer.err
    assert "Traceback" not in answer.err


def test_a_real_network_and_real_images(mgbench: Command) -> None:
    folder = os.environ.get("MGBENCH_DATA")
    if not folder:
        pytest.skip("MGBENCH_DATA does not say where real images are")
    import gzip

    raw = (Path(folder) / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte.gz").read_bytes()
    images = np.frombuffer(gzip.decompress(raw), np.uint8, offset=16).reshape(-1, 28, 28)
    np.save("one.npy", images[:40])
    np.save("other.npy", images[40:100])
    network = f"torchvision(mobilenet_v2, '{folder}/mobilenet_v2-onnxzoo-features.pt', size=32)"
    found = said(mgbench, "one.npy", "--reference", "other.npy", "--extractor", network, "--metrics", "fid,kid")
    assert set(found["scores"]) == {"fid[mobilenet_v2]", "kid[mobilenet_v2]"}
    same = said(mgbench, "one.npy", "--reference", "one.npy", "--extractor", network, "--metrics", "fid")
    assert same["scores"]["fid[mobilenet_v2]"] < 1e-6 < found["scores"]["fid[mobilenet_v2]"]
