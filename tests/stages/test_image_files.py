from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mgbench.errors import UserError
from mgbench.stages.image_files import read_images, read_statistics

GENERATOR = np.random.default_rng(0)
COLOUR = GENERATOR.integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
GREY = GENERATOR.integers(0, 256, (6, 8, 10), dtype=np.uint8)


def picture(path: Path, pixels: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def first_axes(pixels: Any) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def test_a_folder_in_the_order_of_its_names(tmp_path: Path) -> None:
    for index, pixels in enumerate(COLOUR):
        picture(tmp_path / f"{index}.png", pixels)
    found = read_images(tmp_path)
    assert torch.equal(found.images, first_axes(COLOUR))
    assert (found.labels, found.class_names, found.notes) == (None, (), ())


def test_folders_are_classes(tmp_path: Path) -> None:
    for index, pixels in enumerate(GREY):
        picture(tmp_path / ("dog" if index % 2 else "cat") / f"{index}.png", pixels)
    found = read_images(tmp_path)
    assert found.images.shape == (6, 1, 8, 10)
    assert found.class_names == ("cat", "dog")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(found.images[:, 0], torch.from_numpy(GREY[[0, 2, 4, 1, 3, 5]]))


def test_grey_among_colour_is_shown_in_three_channels(tmp_path: Path) -> None:
    picture(tmp_path / "0.png", GREY[0])
    picture(tmp_path / "1.png", COLOUR[0])
    found = read_images(tmp_path)
    assert torch.equal(found.images[0], torch.from_numpy(GREY[0]).expand(3, -1, -1))


def test_what_is_opaque_needs_no_alpha_and_what_has_a_palette_is_what_it_looks_like(tmp_path: Path) -> None:
    opaque = np.concatenate([COLOUR[0], np.full((8, 10, 1), 255, np.uint8)], 2)
    picture(tmp_path / "0.png", opaque)
    flat = np.full((8, 10, 3), 77, np.uint8)
    Image.fromarray(flat).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "1.png")
    found = read_images(tmp_path)
    assert torch.equal(found.images, first_axes(np.stack([COLOUR[0], flat])))


def test_losses_are_noted(tmp_path: Path) -> None:
    picture(tmp_path / "0.jpg", COLOUR[0])
    picture(tmp_path / "1.png", COLOUR[1])
    assert read_images(tmp_path).notes == (
        f"1 of 2 pictures in {tmp_path} are JPEG or WebP, whose losses a distance sees; PNG has none",
    )


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(UserError, match="there is no picture in"):
        read_images(tmp_path)


def test_pictures_of_two_sizes(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", COLOUR[0])
    picture(tmp_path / "b.png", COLOUR[1].transpose(1, 0, 2))
    with pytest.raises(UserError, match=r"b\.png is 10x8 and a\.png 8x10|a\.png is 8x10 and b\.png 10x8"):
        read_images(tmp_path)


def test_a_picture_cut_short(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", COLOUR[0])
    whole = (tmp_path / "a.png").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not a picture"):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(UserError, match=r"a\.png is no picture that can be read"):
            read_images(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.concatenate([COLOUR[0], COLOUR[0, ..., :1]], 2), "partly transparent"),
        (GREY[0].astype(np.uint16) * 256, "of the mode I;16"),
    ],
)
def test_pictures_of_other_kinds(pixels: Any, sentence: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", pixels)
    with pytest.raises(UserError, match=f"{sentence}; write it as 8-bit grey or RGB"):
        read_images(tmp_path)


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
