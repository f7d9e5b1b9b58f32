from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgbench.errors import UserError
from mgbench.stages.image_files import read_images, read_statistics

GENERATOR = np.random.default_rng(0)
COLOUR = GENERATOR.integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
GREY = GENERATOR.integers(0, 256, (6, 8, 10), dtype=np.uint8)


def first_axes(pixels: Any) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


LABELS = np.arange(6) % 2


@pytest.mark.parametrize(
    "arrays",
    [
        {"arr_0": COLOUR, "arr_1": LABELS},
        {"images": COLOUR.transpose(0, 3, 1, 2), "labels": LABELS},
        {"arr_0": COLOUR.transpose(0, 3, 1, 2), "arr_1": LABELS.astype(np.int32)},
    ],
)
def test_arrays_as_adm_and_as_we_write_them(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    found = read_images(tmp_path / "a.npz")
    assert torch.equal(found.images, first_axes(COLOUR))
    assert found.labels is not None
    assert found.labels.tolist() == LABELS.tolist()


def test_bare_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "colour.npy", COLOUR)
    np.save(tmp_path / "grey.npy", GREY)
    assert torch.equal(read_images(tmp_path / "colour.npy").images, first_axes(COLOUR))
    assert torch.equal(read_images(tmp_path / "grey.npy").images[:, 0], torch.from_numpy(GREY))


def test_labels_that_say_nothing_are_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=COLOUR.transpose(0, 3, 1, 2), labels=np.full(6, -1))
    assert read_images(tmp_path / "a.npz").labels is None


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"arr_0": COLOUR / 255}, "holds float64 numbers, and images are uint8; round them"),
        ({"arr_0": COLOUR.astype(np.int64)}, "holds int64 numbers"),
        ({"arr_0": COLOUR[0, 0]}, r"has the shape \(10, 3\)"),
        ({"arr_0": COLOUR[:0]}, r"has the shape \(0, 8, 10, 3\)"),
        ({"arr_0": np.concatenate([COLOUR, COLOUR], 3)}, "with 1 or 3 channels"),
        ({"pictures": COLOUR}, "holds pictures, and should hold arr_0 or images"),
        ({"arr_0": COLOUR, "arr_1": LABELS[:3]}, r"arr_1 is int64 \(3,\), and should be 6 whole numbers"),
        ({"arr_0": COLOUR, "arr_1": LABELS / 2}, "should be 6 whole numbers"),
        ({"arr_0": np.array([object()])}, "cannot be read as NumPy arrays"),
    ],
)
def test_arrays_that_are_no_images(arrays: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=sentence):
        read_images(tmp_path / "a.npz")


def test_files_that_are_not_what_they_are_called(tmp_path: Path) -> None:
    for name, content in {"a.npz": b"not a zip", "b.npy": b"", "c.txt": b"text"}.items():
        (tmp_path / name).write_bytes(content)
    for name in ("a.npz", "b.npy"):
        with pytest.raises(UserError, match="cannot be read as NumPy arrays"):
            read_images(tmp_path / name)
    with pytest.raises(UserError, match="neither a folder nor"):
        read_images(tmp_path / "c.txt")
    with pytest.raises(UserError, match="does not exist"):
        read_images(tmp_path / "nowhere")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_of_either_precision(dtype: Any, tmp_path: Path) -> None:
    mu, sigma = np.arange(3, dtype=dtype), np.eye(3, dtype=dtype)
    np.savez(tmp_path / "a.npz", mu=mu, sigma=sigma, mu_s=mu[:2], sigma_s=sigma[:2, :2])
    found = read_statistics(tmp_path / "a.npz")
    assert found is not None
    assert found.features.mean.dtype == found.features.covariance.dtype == torch.float64
    assert found.features.mean.tolist() == [0, 1, 2]
    assert found.spatial is not None
    assert found.spatial.covariance.shape == (2, 2)
    assert found.pictures is None
    np.savez(tmp_path / "b.npz", mu=mu, sigma=sigma.astype(np.float64))
    assert read_statistics(tmp_path / "b.npz") is not None


def test_statistics_may_have_images_beside_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "both.npz", arr_0=COLOUR, mu=np.zeros(3), sigma=np.eye(3))
    found = read_statistics(tmp_path / "both.npz")
    assert found is not None
    assert found.pictures is not None
    assert torch.equal(found.pictures.images, first_axes(COLOUR))


def test_what_holds_no_statistics(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", arr_0=COLOUR)
    assert read_statistics(tmp_path / "images.npz") is None
    assert read_statistics(tmp_path) is None
    for number, arrays in enumerate(
        ({"mu": np.zeros(3)}, {"mu": np.zeros(3), "sigma": np.eye(2)}, {"mu": np.full(3, np.nan), "sigma": np.eye(3)})
    ):
        np.savez(tmp_path / f"{number}.npz", **arrays)
        with pytest.raises(UserError, match="are no mean and covariance"):
            read_statistics(tmp_path / f"{number}.npz")


@pytest.mark.parametrize(
    ("values", "how", "expected"),
    [
        ([0.0, 0.5, 0.999, 1.0], "round", [0, 128, 255, 255]),
        ([0.0, 0.5, 0.999, 1.0], "cut", [0, 127, 254, 255]),
        ([-1.0, 0.0, 0.99, 1.0], "half_up", [0, 128, 254, 255]),
        ([-1.0, 0.0, 0.99, 1.0], "cut", [0, 127, 253, 255]),
    ],
)
def test_floats_become_uint8_as_is_said(values: list[float], how: Any, expected: list[int], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(values, dtype=np.float32).reshape(1, 2, 2))
    found = read_images(tmp_path / "a.npy", how)
    assert found.images.flatten().tolist() == expected
    assert found.pixels == f"uint8-{how}"


def test_floats_beyond_their_range_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", COLOUR.astype(np.float32))
    with pytest.raises(UserError, match=r"holds floats from 0 to 255, and images are in \[0, 1\] or \[-1, 1\]"):
        read_images(tmp_path / "a.npy", "round")


@pytest.mark.parametrize(
    ("levels", "said"),
    [([0, 1], "are 0, 1,"), ([0, 1, 255], "are 0, 1, 255,"), ([1], "are 1,"), ([0, 255], ""), ([0, 1, 7], "")],
)
def test_floats_that_were_cast_unscaled_are_said(levels: list[int], said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.resize(np.array(levels, np.uint8), (3, 8, 8)))
    if not said:
        assert len(read_images(tmp_path / "a.npy").images) == 3
        return
    with pytest.raises(UserError, match=f"{said} as if floats had been cast to uint8 unscaled"):
        read_images(tmp_path / "a.npy")


SYMMETRIC = np.array([[2.0, 0.5], [0.5, 1.0]])


@pytest.mark.parametrize(
    ("sigma", "said"),
    [
        (np.array([[2.0, 0.5], [0.4, 1.0]]), "sigma is not symmetric"),
        (np.array([[2.0, 3.0], [3.0, 1.0]]), "sigma has the eigenvalue -1.54"),
        (-SYMMETRIC, "sigma has the eigenvalue"),
        (SYMMETRIC + np.array([[0, 1e-6], [0, 0]]), ""),
        (np.array([[1.0, 1.0], [1.0, 1.0 - 1e-7]]), ""),
        (np.zeros((2, 2)), ""),
    ],
)
def test_a_sigma_that_is_no_covariance_is_said(sigma: Any, said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mu=np.zeros(2), sigma=sigma)
    if said:
        with pytest.raises(UserError, match=said):
            read_statistics(tmp_path / "a.npz")
    else:
        assert read_statistics(tmp_path / "a.npz") is not None


def test_a_sigma_of_fewer_images_than_features_in_float32_is_a_covariance(tmp_path: Path) -> None:
    few = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)
    np.savez(tmp_path / "a.npz", mu=few.mean(0), sigma=np.cov(few, rowvar=False).astype(np.float32))
    assert read_statistics(tmp_path / "a.npz") is not None
