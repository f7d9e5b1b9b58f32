"""clean-fid run for real: it agrees with our core, resizes as it does by itself, and what is wrong with it harms nobody."""

import builtins
import dataclasses
import importlib.util
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from mgbench_plugins import cleanfid_metric
from mgbench_plugins.cleanfid_metric import CleanFid
from PIL import Image

from mgbench.components.datasets.embedded import Shapes
from mgbench.components.extractors.embedded import ShapesCnn
from mgbench.components.metrics.distances import Fid, Kid
from mgbench.errors import Unfit
from mgbench.interfaces.data import Features, Statistics
from tests.plugins.second_opinions import Blind, digits, seen

Mode = Literal["clean", "legacy_pytorch", "legacy_tensorflow"]
MODES = pytest.mark.parametrize("mode", ["clean", "legacy_pytorch", "legacy_tensorflow"])
installed = pytest.mark.skipif(importlib.util.find_spec("cleanfid") is None, reason="clean-fid is not installed")


@installed
@MODES
def test_where_nothing_is_resized_it_agrees_with_our_core(mode: Mode) -> None:
    said = CleanFid(mode)(*digits())
    assert list(said.values()) == pytest.approx([Fid()(*digits())["fid"]], rel=1e-6)


@installed
def test_it_agrees_on_kid() -> None:
    generated, real = digits()
    real = real.first(500)
    said = CleanFid(kid=True, kid_subsets=1)(generated, real)
    assert said["clean_kid"] == pytest.approx(Kid()(generated, real)["kid"], rel=1e-6)


@installed
def test_its_random_numbers_are_seeded_and_ours_again_afterwards() -> None:
    sets = [part.first(200) for part in digits()]
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    metric = CleanFid(kid=True, kid_subsets=3, kid_subset_size=50)
    first = metric(*sets)
    assert np.random.rand() == expected
    assert first == metric(*sets)
    assert first != dataclasses.replace(metric, seed=1)(*sets)


@pytest.fixture(scope="module")
def large() -> tuple[Features, Features]:
    """Shapes twice as large as their extractor sees them."""
    data, network = Shapes(size=32, train=150, test=100).load(), ShapesCnn().build()
    return seen(network, data.test), seen(network, data.train)


def save(images: Any, folder: Path) -> str:
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{index:04}.png")
    return str(folder)


@installed
@MODES
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_resizes_as_it_does_by_itself(mode: Mode, large: tuple[Features, Features], tmp_path: Path) -> None:
    from cleanfid import fid
    from cleanfid.resize import make_resizer

    network = ShapesCnn().build()
    resizers = {
        "clean": make_resizer("PIL", False, "bicubic", (16, 16)),
        "legacy_pytorch": make_resizer("PyTorch", False, "bilinear", (16, 16)),
        "legacy_tensorflow": lambda pixels: pixels,
    }
    folders = [save(part.images, tmp_path / name) for part, name in zip(large, ("generated", "real"), strict=True)]
    with cleanfid_metric._matrix_root(fid):
        theirs = fid.compute_fid(
            *folders,
            mode=mode,
            num_workers=0,
            device=torch.device("cpu"),
            use_dataparallel=False,
            verbose=False,
            custom_feat_extractor=lambda images: network(images).features.double(),
            custom_fn_resize=resizers[mode],
        )
    ours = next(iter(CleanFid(mode)(*large).values()))
    assert ours == pytest.approx(theirs, rel=1e-6)


@installed
def test_how_images_are_resized_matters(large: tuple[Features, Features]) -> None:
    generated, real = large
    names = {}
    for mode in ("clean", "legacy_pytorch", "legacy_tensorflow"):
        names |= CleanFid(mode)(generated, real)  # type: ignore[arg-type]
    assert set(names) == {"clean_fid", "clean_fid_legacy_pytorch", "clean_fid_legacy_tensorflow"}
    assert len({round(value, 3) for value in names.values()}) == 3


@installed
def test_warnings_stay_switched_on(large: tuple[Features, Features]) -> None:
    before = list(warnings.filters)
    CleanFid("legacy_pytorch")(*(part.first(80) for part in large))
    assert list(warnings.filters) == before


def test_what_it_cannot_do_it_says() -> None:
    generated, real = digits()
    known = Features(real.features[:0], statistics=Statistics(torch.zeros(48), torch.eye(48)))
    with pytest.raises(Unfit, match="resizes images itself"):
        CleanFid()(generated, known)
    with pytest.raises(Unfit, match="blind@0000 does not say to which size; take mode=legacy_tensorflow"):
        CleanFid()(dataclasses.replace(generated, extractor=Blind()), real)  # type: ignore[arg-type]


@installed
def test_a_root_that_it_gives_up_on_is_a_metric_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def imaginary(*moments: Any) -> float:
        raise ValueError("Imaginary component 0.3")

    monkeypatch.setattr(cleanfid_metric, "_library", lambda: SimpleNamespace(fid=_Fid(imaginary), resize=_resize()))
    with pytest.raises(Unfit, match=r"gives up \(Imaginary component 0.3\); use more images"):
        CleanFid()(*digits())


class _Fid:
    def __init__(self, distance: Any) -> None:
        self.frechet_distance, self.linalg = distance, None


def _resize() -> Any:
    from cleanfid import resize

    return resize


def test_a_broken_library_is_a_metric_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def broken(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("cleanfid"):
            raise ModuleNotFoundError("No module named 'cleanfid'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(
        Unfit, match=r"clean-fid does not import \(ModuleNotFoundError: No module.*pip install clean-fid"
    ):
        CleanFid()(*digits())
