"""torch-fidelity run for real: it agrees with our core, and what is wrong with it harms nobody."""

import builtins
import dataclasses
import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mgbench_plugins.fidelity import TorchFidelity

from mgbench.components.metrics.classifier import InceptionScore
from mgbench.components.metrics.distances import Fid, Kid
from mgbench.components.metrics.neighbours import Prdc
from mgbench.errors import Partly, Unfit, UserError
from mgbench.interfaces.data import Features, Statistics
from mgbench.recipes.spec import Spec
from mgbench.registry.loading import load
from mgbench.stages.evaluate import compute_scores
from mgbench.stages.extracted import Extracted
from tests.plugins.second_opinions import digits

installed = pytest.mark.skipif(
    importlib.util.find_spec("torch_fidelity") is None, reason="torch-fidelity is not installed"
)


@pytest.fixture(scope="module")
def said() -> dict[str, float]:
    return TorchFidelity(isc_splits=1, kid_subsets=3)(*digits())


@installed
def test_it_agrees_with_our_core(said: dict[str, float]) -> None:
    ours = {**Fid()(*digits()), **InceptionScore()(*digits()), **Prdc()(*digits())}
    for name in ("fid", "inception_score", "precision", "recall"):
        assert ours[name] == pytest.approx(said[f"torch_fidelity_{name}"], rel=1e-6)
    assert set(said) == {f"torch_fidelity_{name}" for name in ("fid", "kid", "inception_score", "precision", "recall")}


@installed
def test_it_agrees_on_kid() -> None:
    generated, real = digits()
    # One subset that holds every image: the only draw that does not depend on whose random numbers it uses.
    real = real.first(500)
    theirs = TorchFidelity(("kid",), kid_subsets=1)(generated, real)["torch_fidelity_kid"]
    for ours in (Kid(), Kid(subsets=1, subset_size=500)):
        assert ours(generated, real)["kid"] == pytest.approx(theirs, rel=1e-6)


@installed
def test_it_agrees_on_kid_of_subsets() -> None:
    theirs = TorchFidelity(("kid",), kid_subsets=60, kid_subset_size=200)(*digits())["torch_fidelity_kid"]
    values = [Kid(subsets=1, subset_size=200, seed=seed)(*digits())["kid"] for seed in range(60)]
    # The subsets differ, so the means agree as far as means of 60 draws do.
    tolerance = 5 * float(torch.tensor(values).std()) * (2 / 60) ** 0.5
    assert sum(values) / 60 == pytest.approx(theirs, abs=tolerance)
    assert Kid(subsets=60, subset_size=200)(*digits())["kid"] == pytest.approx(theirs, abs=tolerance)


@installed
def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    TorchFidelity(("fid",))(*digits())
    assert list(tmp_path.iterdir()) == []


@installed
def test_the_batch_does_not_matter(said: dict[str, float]) -> None:
    again = TorchFidelity(("fid", "prc"), batch=7)(*digits())
    assert again == pytest.approx({name: said[name] for name in again}, rel=1e-6)


@installed
def test_other_images_of_one_extractor_are_other_images(said: dict[str, float]) -> None:
    generated, real = digits()
    flipped = dataclasses.replace(generated, images=generated.images.flip(3))  # type: ignore[union-attr]
    assert TorchFidelity(("fid",))(flipped, real)["torch_fidelity_fid"] > said["torch_fidelity_fid"] + 0.1


@installed
def test_without_logits_there_is_no_inception_score() -> None:
    generated, real = (dataclasses.replace(part.first(60), logits=None) for part in digits())
    assert set(TorchFidelity(("isc", "fid"))(generated, real)) == {"torch_fidelity_fid"}
    with pytest.raises(Unfit, match="needs class logits"):
        TorchFidelity(("isc",))(generated, real)


@installed
def test_an_option_it_does_not_know_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch_fidelity.defaults

    monkeypatch.delitem(torch_fidelity.defaults.DEFAULTS, "prc")
    with pytest.raises(Unfit, match="this torch-fidelity does not know prc"):
        TorchFidelity()(*digits())


@installed
@pytest.mark.parametrize(
    ("count", "names", "left_out"),
    [
        (2, {"fid", "kid"}, ("isc needs 20 images, and there are 2", "prc needs 4 images, and there are 2")),
        (3, {"fid", "kid"}, ("isc needs 20", "prc needs 4 images, and there are 3")),
        (4, {"fid", "kid", "precision", "recall"}, ("isc needs 20 images, and there are 4",)),
        (19, {"fid", "kid", "precision", "recall"}, ("isc needs 20 images, and there are 19",)),
        (20, {"fid", "kid", "precision", "recall", "inception_score"}, ()),
    ],
)
def test_few_images_give_what_they_are_enough_for(count: int, names: set[str], left_out: tuple[str, ...]) -> None:
    generated, real = digits()
    found = compute_scores(
        (TorchFidelity(kid_subsets=2),), Extracted.of(generated.first(count)), Extracted.of(real), ""
    )
    assert set(found.scores) == {f"torch_fidelity_{name}" for name in names}
    assert all(math.isfinite(value) for value in found.scores.values())
    assert all(said in "; ".join(found.left_out) for said in left_out)
    assert bool(found.left_out) == bool(left_out)
    assert found.scores.get("torch_fidelity_inception_score", 2) > 1


def test_one_image_is_enough_for_nothing() -> None:
    with pytest.raises(Unfit, match="fid needs 2 images, and there are 1"):
        TorchFidelity().check_counts(1, 500)
    with pytest.raises(Partly, match="isc needs 20 images"):
        TorchFidelity().check_counts(19, 500)
    TorchFidelity().check_counts(20, 500)


def test_statistics_are_no_images() -> None:
    generated, real = digits()
    known = Features(real.features[:0], statistics=Statistics(torch.zeros(48), torch.eye(48)))
    with pytest.raises(Unfit, match="looks at images itself"):
        TorchFidelity()(generated, known)


def test_a_broken_library_is_a_metric_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def broken(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("torch_fidelity"):
            raise RuntimeError("operator torchvision::nms does not exist\nand more")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(
        Unfit, match=r"does not import \(RuntimeError: operator torchvision::nms does not exist\); pip install"
    ):
        TorchFidelity()(*digits())


def test_it_is_asked_for_by_name() -> None:
    registry = load()
    built = registry.build("metric", Spec.parse("torch_fidelity(metrics=[fid, kid], kid_subsets=3)"))
    assert built == TorchFidelity(("fid", "kid"), kid_subsets=3)
    with pytest.raises(UserError, match="option 'metrics' is"):
        registry.build("metric", Spec.parse("torch_fidelity(metrics=[fidd])"))
