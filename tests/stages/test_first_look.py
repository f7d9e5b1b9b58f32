"""The first look at many pictures, and what is kept of it."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mgbench.interfaces import images
from mgbench.interfaces.images import LazyImages, in_memory
from mgbench.stages import first_look
from mgbench.stages.picture_folders import read_folder

GENERATOR = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight pictures, one of them grey, one lossy and one broken, which do not fit."""
    monkeypatch.setenv("MGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(images, "HELD_BYTES", 100)
    there = tmp_path / "pictures"
    there.mkdir()
    for index in range(6):
        Image.fromarray(GENERATOR.integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(there / f"{index}.png")
    Image.fromarray(GENERATOR.integers(0, 256, (6, 8), dtype=np.uint8)).save(there / "6.png")
    Image.fromarray(GENERATOR.integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(there / "7.jpg")
    (there / "8.png").write_bytes(b"broken")
    return there


def test_it_is_taken_once_and_again_for_what_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    one = first_look._one
    monkeypatch.setattr(first_look, "_one", lambda *given: (seen.append(given), one(*given))[1])
    first = read_folder(folder)
    assert len(seen) == 9
    again = read_folder(folder)
    assert len(seen) == 9
    assert isinstance(first.images, LazyImages)
    assert isinstance(again.images, LazyImages)
    assert torch.equal(first.images.digests, again.images.digests)
    assert torch.equal(in_memory(first.images), in_memory(again.images))
    assert first.notes == again.notes
    assert len(first.notes) == 2
    # Other pixels in a file of the same length, as uncompressed formats have them.
    os.utime(folder / "3.png", ns=(0, 1))
    read_folder(folder)
    assert len(seen) == 18
    (folder / "0.png").unlink()
    assert len(read_folder(folder).images) == 7
    assert len(seen) == 26


def test_a_damaged_or_missing_cache_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_folder(folder)
    for file in first_look.cache_folder().glob("looks/*"):
        file.write_bytes(file.read_bytes()[:200])
    assert torch.equal(in_memory(read_folder(folder).images), in_memory(first.images))
    # A cache that cannot be written only costs time.
    monkeypatch.setenv("MGBENCH_CACHE", str(folder / "0.png"))
    assert torch.equal(in_memory(read_folder(folder).images), in_memory(first.images))


def test_one_in_colour_gives_all_three_channels(folder: Path) -> None:
    found = read_folder(folder).images
    assert found.shape == (8, 3, 6, 8)
    grey = found[torch.tensor([6])][0]
    assert torch.equal(grey[0], grey[2])
    with Image.open(folder / "6.png") as picture:
        assert torch.equal(grey[0], torch.from_numpy(np.array(picture)))


def test_the_cache_lies_where_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MGBENCH_CACHE", str(tmp_path))
    assert first_look.cache_folder() == tmp_path
    monkeypatch.delenv("MGBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert first_look.cache_folder() == tmp_path / "mgbench"
