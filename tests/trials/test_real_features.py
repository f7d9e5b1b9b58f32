"""What scores are measured against: seen once, kept, checked; and what is said with every score."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from mgbench.components.datasets.embedded import Digits, Shapes
from mgbench.components.extractors.embedded import DigitsCnn
from mgbench.components.metrics.classifier import Accuracy, InceptionScore
from mgbench.components.metrics.distances import Fid, Kid
from mgbench.components.metrics.memorisation import Copied, Gap
from mgbench.errors import Unfit
from mgbench.interfaces.data import Features, ImageData
from mgbench.recipes.recipe import LabelDistribution
from mgbench.results.store import Store
from mgbench.stages.extracted import Extracted
from mgbench.stages.labels import by_turns, labels_for
from mgbench.trials import real_features as references
from mgbench.trials.image_scores import score_images
from mgbench.trials.real_features import Reference, reference_of

CPU = torch.device("cpu")
DATA = Shapes(train=64, test=32).load()
LOOKED: list[int] = []


class Means(nn.Module):
    """Five numbers an image, and logits of two classes."""

    id = "means@12ab"

    def forward(self, images: Tensor) -> Features:
        LOOKED.append(len(images))
        numbers = images.double().mean(3)[:, :, :5].flatten(1)[:, :5]
        return Features((numbers / 64 - 2).float(), numbers[:, :2].float(), spatial=numbers.float())


class Plain(Means):
    plain = True


class ClassesOfItsOwn(Means):
    classes = ("cat", "dog")


@dataclass(frozen=True)
class Eye:
    module: type[Means] = Means

    def build(self) -> Means:
        return self.module().eval()


def reference(root: Path, eye: Eye | None = None, data: ImageData = DATA) -> Reference:
    LOOKED.clear()
    reference_of.cache_clear()
    return reference_of(data, "shapes(train=64)", eye or Eye(), CPU, root)


def same(one: Extracted | None, other: Extracted | None) -> bool:
    assert one is not None
    assert other is not None
    names = ("features", "logits", "labels", "spatial", "images")
    return all(torch.equal(getattr(one.features, name), getattr(other.features, name)) for name in names)


def test_what_was_seen_is_not_looked_at_again(tmp_path: Path) -> None:
    first = reference(tmp_path)
    assert sum(LOOKED) == 96
    again = reference(tmp_path)
    assert LOOKED == []
    assert same(first.real, again.real)
    assert same(first.held_out, again.held_out)
    assert first.name == f"shapes(train=64)@{DATA.fingerprint[:8]}/train64"


def test_what_is_kept_says_what_it_is_of(tmp_path: Path) -> None:
    reference(tmp_path)
    facts = [json.loads(path.read_text()) for path in (tmp_path / "references").glob("*/reference.json")]
    assert {fact["split"] for fact in facts} == {"train", "test"}
    assert all(fact["data"] == DATA.fingerprint and fact["extractor"][1] == "means@12ab" for fact in facts)


def test_other_images_other_code_and_other_weights_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference(tmp_path)
    reference(tmp_path, data=dataclasses.replace(DATA, test=DATA.test.flip(3)))
    assert sum(LOOKED) == 96
    monkeypatch.setattr(Means, "id", "means@ffff")
    reference(tmp_path)
    assert sum(LOOKED) == 96
    monkeypatch.setattr(references, "fingerprint", lambda maker: "another code")
    reference(tmp_path)
    assert sum(LOOKED) == 96


def test_what_is_broken_is_looked_at_again(tmp_path: Path) -> None:
    first = reference(tmp_path)
    for path in (tmp_path / "references").glob("*/features.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    again = reference(tmp_path)
    assert sum(LOOKED) == 96
    assert same(first.real, again.real)
    assert len(list((tmp_path / "references").glob("*/*.corrupt"))) == 2
    assert all(Store(tmp_path).complete(path) for path in (tmp_path / "references").iterdir())


def test_numbers_that_float32_cannot_hold_are_kept_whole() -> None:
    exact = torch.tensor([1 + 2**-40], dtype=torch.float64)
    assert references._shortest(exact).dtype == torch.float64
    assert references._shortest(exact.float().double()).dtype == torch.float32


def test_a_score_says_how_it_was_obtained(tmp_path: Path) -> None:
    labels = torch.arange(20) % 8
    found = score_images((Fid(), Kid()), reference(tmp_path), DATA.test[:20], labels, CPU)
    assert found.protocol == f"shapes(train=64)@{DATA.fingerprint[:8]}/train64/n20/balanced/uint8/16x16/means@12ab"
    assert set(found.scores) == set(found.floors) == {"fid[means]", "kid[means]"}
    # They are held-out images, so the floor is themselves.
    assert found.floors == found.scores
    assert found.warnings == [
        "20 images for 5 features: the Fréchet distance is biased upward; use at least 50, and compare equal numbers only"
    ]
    drawn = score_images((), reference(tmp_path), DATA.test[:20], labels, CPU, "uniform")
    assert "/n20/uniform/" in drawn.protocol


def test_more_images_than_are_held_out_are_said_to_have_an_unequal_floor(tmp_path: Path) -> None:
    found = score_images((Fid(),), reference(tmp_path), DATA.train, None, CPU)
    assert found.warnings == ["the floor is of 32 held-out images, the scores of 64"]


def test_the_part_of_a_metric_about_real_images_is_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    of_reference = Kid.of_reference
    monkeypatch.setattr(Kid, "of_reference", lambda *args: asked.append(1) or of_reference(*args))
    for rows in (slice(0, 20), slice(5, 30), slice(20)):
        # Read from the store, as by another process.
        found = score_images((Kid(),), reference(tmp_path), DATA.test[rows], None, CPU)
        assert asked == [1]
    seen, real = (Means()(images.expand(-1, 3, -1, -1)) for images in (DATA.test[:20], DATA.train))
    sets = (Features(part.features.double()) for part in (seen, real))
    assert found.scores == {"kid[means]": Kid()(*sets)["kid"]}


def test_a_scarce_reference_is_warned_about(tmp_path: Path) -> None:
    data = dataclasses.replace(DATA, train=DATA.train[:30], train_labels=DATA.train_labels[:30])  # type: ignore[index]
    found = score_images((Fid(),), reference(tmp_path, data=data), DATA.test, None, CPU)
    assert any(warning.startswith("the reference: 30 images for 5 features") for warning in found.warnings)


def test_a_metric_named_for_its_extractor_needs_no_suffix(tmp_path: Path) -> None:
    found = score_images((Fid(),), reference(tmp_path, Eye(Plain)), DATA.test, None, CPU)
    assert set(found.scores) == {"fid"}


def test_logits_of_other_classes_judge_no_labels(tmp_path: Path) -> None:
    labels = torch.arange(32) % 8
    told = score_images((Accuracy(), InceptionScore()), reference(tmp_path), DATA.test, labels, CPU)
    silent = score_images(
        (Accuracy(), InceptionScore()), reference(tmp_path, Eye(ClassesOfItsOwn)), DATA.test, labels, CPU
    )
    assert set(told.scores) == {"accuracy[means]", "inception_score[means]"}
    assert set(silent.scores) == {"inception_score[means]"}


def test_a_metric_that_cannot_is_left_out_with_its_reason(tmp_path: Path) -> None:
    def cannot(generated: Features, reference: Features) -> dict[str, float]:
        raise Unfit("cannot: its library is not installed")

    found = score_images((cannot, Fid()), reference(tmp_path), DATA.train[:60], None, CPU)
    assert set(found.scores) == {"fid[means]"}
    assert "cannot: its library is not installed" in found.warnings


def test_generated_images_are_compared_with_held_out_ones_and_those_not_with_themselves(tmp_path: Path) -> None:
    metrics = (Fid(), Copied(), Gap())
    copies = score_images(metrics, reference(tmp_path), DATA.train[:32], None, CPU)
    fresh = score_images(metrics, reference(tmp_path), Shapes(train=1, test=32, seed=1).load().test, None, CPU)
    assert set(copies.scores) == {"fid[means]", "copied[means]", "gap[means]"}
    assert set(copies.floors) == {"fid[means]"}
    assert copies.scores["copied[means]"] == 1
    assert copies.scores["gap[means]"] > fresh.scores["gap[means]"]
    alone = score_images(metrics, dataclasses.replace(reference(tmp_path), held_out=None), DATA.train, None, CPU)
    assert set(alone.scores) == {"fid[means]"}
    assert [warning for warning in alone.warnings if "needs held-out images" in warning]


CALLS: list[str] = []


@dataclass(frozen=True)
class Counted(Fid):
    """FID that tells when it works."""

    option: int = 0

    def update(self, state: Any, seen: Features) -> Any:
        CALLS.append("update")
        return super().update(state, seen)

    def compute(self, generated: Any, reference: Any) -> dict[str, float]:
        CALLS.append("compute")
        return super().compute(generated, reference)


def test_states_of_the_reference_and_floors_are_computed_once(tmp_path: Path) -> None:
    def row(metric: Fid, root: Path = tmp_path) -> Any:
        found = reference(root)
        CALLS.clear()
        return score_images((metric,), found, DATA.test[:20].flip(3), None, CPU)

    first = row(Counted())
    # The images, the reference and the held-out images; the score and the floor.
    assert (CALLS.count("update"), CALLS.count("compute")) == (3, 2)
    again = row(Counted())
    assert (CALLS.count("update"), CALLS.count("compute")) == (1, 1)
    assert again == first
    other = row(Counted(option=1))
    assert (CALLS.count("update"), CALLS.count("compute")) == (3, 2)
    assert other == first
    plain = row(Fid(), tmp_path / "elsewhere")
    assert plain == first


def test_a_floor_that_is_broken_is_computed_again(tmp_path: Path) -> None:
    first = score_images((Fid(),), reference(tmp_path), DATA.test, None, CPU)
    (file,) = (tmp_path / "references").glob("*/floors.json")
    file.write_text("{}")
    assert score_images((Fid(),), reference(tmp_path), DATA.test, None, CPU) == first


def test_the_floor_of_a_folder_in_class_order_is_of_all_classes(tmp_path: Path) -> None:
    order = torch.argsort(DATA.test_labels, stable=True)  # type: ignore[arg-type]
    ordered = dataclasses.replace(DATA, test=DATA.test[order], test_labels=DATA.test_labels[order])  # type: ignore[index]
    metrics = (Fid(), Kid(), Accuracy())
    found = [
        score_images(metrics, reference(tmp_path, data=data), DATA.test[:16], None, CPU) for data in (DATA, ordered)
    ]
    assert found[0].floors == pytest.approx(found[1].floors)
    assert found[0].floors["fid[means]"] > 0


def unequal() -> ImageData:
    """Digits of which the training and the held-out set have half as many of each class as of the one before."""
    digits = Digits().load()
    assert digits.train_labels is not None
    assert digits.test_labels is not None

    def some(labels: Tensor, most: int) -> Tensor:
        return torch.cat([(labels == label).nonzero()[: max(1, most >> label), 0] for label in range(5)])

    train, test = some(digits.train_labels, 128), some(digits.test_labels, 48)
    names = digits.class_names[:5]
    return ImageData(
        digits.train[train], digits.train_labels[train], digits.test[test], digits.test_labels[test], names
    )


@pytest.mark.parametrize("metric", [Fid(), Kid()], ids=["fid", "kid"])
def test_real_images_in_the_shares_of_the_data_score_far_below_equal_shares(tmp_path: Path, metric: Any) -> None:
    """Images that no model was trained on, asked by their class as a model would be."""
    data, digits = unequal(), Digits().load()
    assert digits.test_labels is not None
    found = {}
    for distribution in get_args(LabelDistribution):
        asked = labels_for(torch.arange(75), data.class_counts, distribution, seed=0)
        rows = by_turns(digits.test_labels, 500, asked)[:75]
        assert torch.equal(digits.test_labels[rows], asked) or distribution != "balanced"
        reference_of.cache_clear()
        against = reference_of(data, "unequal", DigitsCnn(), CPU, tmp_path, distribution)
        told = score_images((metric,), against, digits.test[rows], asked, CPU, distribution)
        (found[distribution],) = told.scores.values()
    assert 4 * found["data"] < min(found["balanced"], found["uniform"])


def test_a_floor_is_of_the_labels_that_are_asked(tmp_path: Path) -> None:
    """Of the first images in each order; both are kept, each under its own name."""
    data = unequal()
    floors = {}
    for _ in range(2):
        for distribution in ("balanced", "data"):
            reference_of.cache_clear()
            against = reference_of(data, "unequal", DigitsCnn(), CPU, tmp_path, distribution)
            floor = against.floors((Fid(),), 15).scores["fid[digits_cnn]"]
            assert floors.setdefault(distribution, floor) == floor
    assert floors["data"] < floors["balanced"]


def test_features_that_do_not_fit_pass_once_and_score_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = (Fid(), Accuracy(), InceptionScore())
    held = scored_against(reference(tmp_path / "held"), metrics)
    # 64 images of five float64 numbers are 2,560 bytes.
    monkeypatch.setattr(references, "FEATURE_BYTES", 2559)
    streamed = reference(tmp_path / "streamed")
    assert not streamed.real.is_whole
    assert sum(LOOKED) == 64 + 32
    LOOKED.clear()
    found = scored_against(streamed, metrics)
    assert sum(LOOKED) == 64 + 20
    assert found.scores == pytest.approx(held.scores, rel=1e-9)
    assert found.floors == pytest.approx(held.floors, rel=1e-9)
    assert found.warnings == held.warnings
    assert found.protocol == held.protocol
    # States are read again, and the images are not.
    again = reference(tmp_path / "streamed")
    LOOKED.clear()
    assert scored_against(again, metrics).scores == found.scores
    assert sum(LOOKED) == 20
    stored = [path.name for path in (tmp_path / "streamed").glob("references/*/*.safetensors")]
    assert stored.count("features.safetensors") == 1
    assert set(stored) == {"features.safetensors", "state.safetensors"}


def test_what_compares_single_images_is_left_out_where_they_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "FEATURE_BYTES", 2559)
    found = scored_against(reference(tmp_path), (Fid(), Copied()))
    assert set(found.scores) == {"fid[means]"}
    assert any("the features of all 64 real images are" in warning for warning in found.warnings)


def scored_against(known: Reference, metrics: tuple[Any, ...]) -> Any:
    generated = Shapes(train=20, test=8, seed=3).load()
    return score_images(metrics, known, generated.train, generated.train_labels, CPU)
