"""Folders of pictures as people have them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from mgbench.errors import UserError
from mgbench.stages.image_files import read_images
from mgbench.stages.picture_folders import class_order
from mgbench.stages.pictures import EXTENSIONS

GENERATOR = np.random.default_rng(0)
COLOUR = GENERATOR.integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
GREY = GENERATOR.integers(0, 256, (6, 8, 10), dtype=np.uint8)
# What a lossy format keeps.
SMOOTH = np.stack([np.tile(np.linspace(40, 200, 10), (8, 1))] * 3, -1).round().astype(np.uint8)


def picture(path: Path, pixels: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def first_axes(pixels: Any) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def one(folder: Path) -> torch.Tensor:
    """The only picture of a folder, [C,H,W]."""
    images = read_images(folder).images
    assert len(images) == 1
    return images[0]


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
        f"1 of 2 pictures in {tmp_path} are JPEG or another lossy format, whose losses a distance sees; PNG has none",
    )


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(UserError, match="there is no picture in"):
        read_images(tmp_path)


def test_pictures_of_two_sizes(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", COLOUR[0])
    picture(tmp_path / "b.png", COLOUR[1].transpose(1, 0, 2))
    with pytest.raises(UserError, match=r"a\.png is 8x10 and b\.png is 10x8, and the pictures of .* have 2 sizes"):
        read_images(tmp_path)


def test_a_picture_cut_short(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", COLOUR[0])
    whole = (tmp_path / "a.png").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not a picture"):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(UserError, match=r"a\.png is no picture that can be read"):
            read_images(tmp_path)


LOSSLESS = ("png", "bmp", "tif", "tga", "ppm", "pcx")
LOSSY = ("jpg", "jpeg", "jfif", "jpe", "webp", "jp2", "avif")


@pytest.mark.parametrize("name", [*LOSSLESS, "gif", *LOSSY, "JPG", "PNG"])
def test_every_format_is_read(name: str, tmp_path: Path) -> None:
    assert f".{name.lower()}" in EXTENSIONS
    options = {"format": "JPEG"} if name.lower() in ("jfif", "jpe") else {}
    picture(tmp_path / f"a.{name}", SMOOTH, **options)
    found = read_images(tmp_path)
    channels = 1 if found.images.shape[1] == 1 else 3
    # A GIF has a palette of what is grey.
    assert (channels == 1) == (name == "gif")
    assert (found.images[0].expand(3, -1, -1).double() - first_axes(SMOOTH[None])[0]).abs().max() <= 8
    assert ("lossy" in "".join(found.notes)) == (name.lower() in LOSSY)


def test_the_format_is_what_the_file_says(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", COLOUR[0], format="PNG")
    picture(tmp_path / "without_suffix", COLOUR[1], format="PNG")
    found = read_images(tmp_path)
    assert torch.equal(found.images, first_axes(COLOUR[:2]))
    assert found.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(orientation: int, tmp_path: Path) -> None:
    # How the upright pixels lie in the file, by TIFF 6.0, tag 274.
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture(tmp_path / "a.png", np.ascontiguousarray(stored(COLOUR[0])), exif=exif)
    found = read_images(tmp_path)
    assert torch.equal(found.images, first_axes(COLOUR[:1]))
    assert ("turned" in "".join(found.notes)) == (orientation > 1)


def test_deep_pictures_are_rounded_to_eight_bits(tmp_path: Path) -> None:
    deep = GREY[0].astype(np.uint16) * 257
    deep[0, :3] = [65535, 128, 129]
    picture(tmp_path / "a.png", deep)
    expected = GREY[0].copy()
    expected[0, :3] = [255, 0, 1]
    assert torch.equal(one(tmp_path)[0], torch.from_numpy(expected))


def test_what_is_transparent_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.concatenate([COLOUR[0], np.full((8, 10, 1), 255, np.uint8)], 2)
    pixels[0, 0] = (10, 20, 30, 0)
    pixels[0, 1] = (0, 100, 200, 51)
    picture(tmp_path / "a.png", pixels)
    found = read_images(tmp_path)
    assert found.images[0, :, 0, 0].tolist() == [255, 255, 255]
    # 51 of 255 is a fifth.
    assert found.images[0, :, 0, 1].tolist() == [204, 224, 244]
    assert torch.equal(found.images[0, :, 1:], first_axes(COLOUR[:1])[0, :, 1:])
    assert found.notes == (f"1 of 1 pictures in {tmp_path} were laid on white, as they are partly transparent",)


def test_a_palette_with_a_transparent_colour_is_laid_on_white(tmp_path: Path) -> None:
    flat = Image.fromarray(np.full((8, 10, 3), 77, np.uint8)).convert("P", palette=Image.Palette.ADAPTIVE)
    flat.putpixel((0, 0), 1)
    flat.save(tmp_path / "a.gif", transparency=1)
    found = one(tmp_path)
    assert (found.shape, int(found[0, 0, 0]), int(found[0, 4, 4])) == ((1, 8, 10), 255, 77)


def test_a_grey_palette_is_grey(tmp_path: Path) -> None:
    Image.fromarray(GREY[0]).convert("P").save(tmp_path / "a.png")
    assert torch.equal(one(tmp_path), torch.from_numpy(GREY[:1]))


def test_black_and_white_is_grey(tmp_path: Path) -> None:
    Image.fromarray(GREY[0] > 127).save(tmp_path / "a.png")
    assert torch.equal(one(tmp_path)[0], torch.from_numpy((GREY[0] > 127) * np.uint8(255)))


def test_cmyk_is_brought_to_rgb(tmp_path: Path) -> None:
    Image.fromarray(SMOOTH).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    found = read_images(tmp_path)
    assert (found.images[0].double() - first_axes(SMOOTH[None])[0]).abs().max() <= 4
    assert any("brought from CMYK to RGB" in note for note in found.notes)


def swapped() -> bytes:
    """A colour profile whose red is blue and whose blue is red, under another name than sRGB's."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = range(132, 132 + 12 * int.from_bytes(content[128:132], "big"), 12)
    at = {bytes(content[entry : entry + 4]): entry for entry in entries}
    content[at[b"rXYZ"] : at[b"rXYZ"] + 4], content[at[b"bXYZ"] : at[b"bXYZ"] + 4] = b"bXYZ", b"rXYZ"
    return bytes(content).replace("sRGB".encode("utf-16-be"), "xBGR".encode("utf-16-be"))


def test_another_colour_profile_is_brought_to_srgb(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture(tmp_path / "a.png", COLOUR[0], icc_profile=srgb)
    picture(tmp_path / "b.png", COLOUR[1], icc_profile=b"no profile at all")
    picture(tmp_path / "c.png", COLOUR[2], icc_profile=swapped())
    found = read_images(tmp_path)
    assert torch.equal(found.images[:2], first_axes(COLOUR[:2]))
    assert (found.images[2].double() - first_axes(COLOUR[2:3])[0].flip(0)).abs().max() <= 4
    assert found.notes == (f"1 of 3 pictures in {tmp_path} were brought to sRGB from another colour profile",)


def test_only_the_first_page_is_shown(tmp_path: Path) -> None:
    pages = [Image.fromarray(part) for part in COLOUR[:3]]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    found = read_images(tmp_path)
    assert torch.equal(found.images, first_axes(COLOUR[:1]))
    assert found.notes == (f"1 of 1 pictures in {tmp_path} were reduced to the first of their pages or frames",)


def test_what_cannot_be_read_is_left_out_and_named_at_once(tmp_path: Path) -> None:
    for index in range(6):
        picture(tmp_path / f"{index}.png", COLOUR[index])
    for index in (1, 3, 4):
        whole = (tmp_path / f"{index}.png").read_bytes()
        (tmp_path / f"{index}.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "5.png").write_bytes(b"")
    Image.fromarray(GREY[0].astype(np.float32)).save(tmp_path / "6.tif")
    found = read_images(tmp_path)
    assert torch.equal(found.images, first_axes(COLOUR[[0, 2]]))
    (note,) = found.notes
    assert note.startswith(f"5 in {tmp_path} are left out, as they cannot be read: 1.png (")
    assert note.endswith("and 2 more")
    (tmp_path / "0.png").write_bytes(b"no picture")
    for index in (1, 3, 4):
        (tmp_path / f"{index}.png").unlink()
    (note,) = read_images(tmp_path).notes
    assert "0.png (its content is in no format of pictures), 5.png (it is empty), 6.tif (its pixels are floats" in note


def test_hidden_folders_are_no_classes(tmp_path: Path) -> None:
    for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "cat", "dog"):
        picture(tmp_path / name / "a.png", COLOUR[0])
    picture(tmp_path / "cat" / "._a.png", COLOUR[0])
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"0")
    (tmp_path / "bird").mkdir()
    found = read_images(tmp_path)
    assert found.class_names == ("cat", "dog")
    assert len(found.images) == 2
    assert [note.partition(":")[2].strip() for note in found.notes] == [
        ".ipynb_checkpoints, @eaDir, __MACOSX",
        "cat/Thumbs.db",
        "bird",
    ]


def test_links_to_class_folders_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "a.png", COLOUR[0])
    root = tmp_path / "root"
    picture(root / "cat" / "a.png", COLOUR[1])
    (root / "dog").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "cat" / "loop").symlink_to(root, target_is_directory=True)
    (root / "around").symlink_to(tmp_path, target_is_directory=True)
    (root / "cat" / "b.png").symlink_to(tmp_path / "gone.png")
    found = read_images(root)
    assert found.class_names == ("cat", "dog")
    assert torch.equal(found.images, first_axes(COLOUR[[1, 0]]))
    lost = "are left out, as the links lead nowhere or back to where they lie: around, cat/b.png, cat/loop"
    assert found.notes == (f"3 in {root} {lost}",)


def test_pictures_deeper_in_the_folder_of_a_class_are_of_that_class_and_said(tmp_path: Path) -> None:
    for name in ("cat/a.png", "cat/small/b.png", "dog/a.png"):
        picture(tmp_path / name, COLOUR[0])
    found = read_images(tmp_path)
    assert found.class_names == ("cat", "dog")
    assert found.notes == (
        f"1 in {tmp_path} lie deeper in the folder of a class, to which they belong: cat/small/b.png",
    )


def test_a_grid_beside_class_folders_is_no_sample(tmp_path: Path) -> None:
    picture(tmp_path / "grid.png", np.zeros((40, 40, 3), np.uint8))
    for name in ("cat", "dog"):
        picture(tmp_path / name / "a.png", COLOUR[0])
    found = read_images(tmp_path)
    assert found.class_names == ("cat", "dog")
    assert found.notes == (f"1 in {tmp_path} are left out, as they lie beside the folders of the classes: grid.png",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("10", "9", "1"), ("1", "9", "10")),
        (("n02", "n01", "n10"), ("n01", "n02", "n10")),
        (("10", "9", "a"), ("10", "9", "a")),
        (("002", "01", "1"), ("01", "1", "002")),
    ],
)
def test_classes_are_in_the_order_of_their_numbers_or_letters(names: Any, expected: Any) -> None:
    assert class_order(names) == expected


def test_an_accent_is_one_letter(tmp_path: Path) -> None:
    # File systems of macOS spell é as e and an accent.
    picture(tmp_path / "cafe\u0301" / "a.png", COLOUR[0])
    assert read_images(tmp_path).class_names == ("caf\u00e9",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "a.png", COLOUR[0])
    (tmp_path / "cat").chmod(0)
    with pytest.raises(UserError, match="cannot be looked into"):
        read_images(tmp_path)
    (tmp_path / "cat").chmod(0o700)
