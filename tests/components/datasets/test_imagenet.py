"""ImageNet from its archives, which are laid into a folder by hand: tiny ones in their layout, of two classes."""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import imagenet as published

from mgbench.components.datasets import imagenet
from mgbench.components.datasets.imagenet import ImageNet
from mgbench.errors import UserError

WNIDS = ("n01440764", "n01443537")
DEVKIT, TRAIN, VAL = "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


def picture(grey: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (grey, grey, grey)).save(content, "JPEG")
    return content.getvalue()


def archive(files: Mapping[str, bytes], mode: Any = "w") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as made:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            made.addfile(about, io.BytesIO(data))
    return content.getvalue()


def meta() -> bytes:
    """The table of classes in MATLAB's format: two classes, and one above them."""
    savemat = pytest.importorskip("scipy.io", reason="torchvision reads the devkit with it").savemat
    names = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")
    rows = [
        (1, WNIDS[0], "tench", "a fish", 0),
        (2, WNIDS[1], "goldfish", "a fish", 0),
        (3, "n00001740", "fish", "", 2),
    ]
    table = np.array(rows, dtype=[(name, object) for name in names])
    content = io.BytesIO()
    savemat(content, {"synsets": table})
    return content.getvalue()


@pytest.fixture
def laid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the three archives: three training pictures a class, and two held-out ones."""
    inner = {
        f"{name}.tar": archive({f"{name}_{index}.JPEG": picture(50 * place + index) for index in range(3)})
        for place, name in enumerate(WNIDS)
    }
    data = "ILSVRC2012_devkit_t12/data"
    devkit = {f"{data}/meta.mat": meta(), f"{data}/ILSVRC2012_validation_ground_truth.txt": b"2\n1\n"}
    held_out = {f"ILSVRC2012_val_0000000{number}.JPEG": picture(200 + number) for number in (1, 2)}
    content = {DEVKIT: archive(devkit, "w:gz"), TRAIN: archive(inner), VAL: archive(held_out)}
    kinds = dict(zip((DEVKIT, TRAIN, VAL), ("devkit", "train", "val"), strict=True))
    known = {kinds[name]: (name, hashlib.md5(made).hexdigest()) for name, made in content.items()}
    monkeypatch.setattr(published, "ARCHIVE_META", known)
    monkeypatch.setattr(imagenet, "CLASSES", len(WNIDS))
    for name, made in content.items():
        (tmp_path / name).write_bytes(made)
    return tmp_path


def test_archives_are_unpacked_once_and_read(laid: Path) -> None:
    found = ImageNet(str(laid), size=16)
    with pytest.raises(UserError, match=r"there is no folder train in .*which 'mgbench prepare' unpacks"):
        found.load()
    found.fetch()
    data = found.load()
    assert (data.train.shape, data.test.shape) == ((6, 3, 16, 16), (2, 3, 16, 16))
    assert data.train_labels is not None
    assert data.test_labels is not None
    assert (data.class_names, data.train_labels.tolist()) == (WNIDS, [0, 0, 0, 1, 1, 1])
    # The first held-out picture is of the second class, as the ground truth of the devkit says.
    assert [int(image.float().mean()) for image in data.test[:]] == [202, 201]
    assert data.test_labels.tolist() == [0, 1]
    for name in (DEVKIT, TRAIN, VAL):
        (laid / name).unlink()
    found.fetch()


@pytest.mark.parametrize(("name", "damage"), [(DEVKIT, b""), (TRAIN, b"cut short"), (VAL, None)])
def test_archives_that_are_missing_or_damaged_are_named(laid: Path, name: str, damage: bytes | None) -> None:
    (laid / name).unlink() if damage is None else (laid / name).write_bytes(damage)
    with pytest.raises(UserError, match=rf"archives in .* cannot be unpacked: .*{name}"):
        ImageNet(str(laid)).fetch()


@pytest.mark.parametrize(("half", "left"), [("train", f"{WNIDS[0]}.tar"), ("val", "ILSVRC2012_val_00000001.JPEG")])
def test_a_folder_whose_unpacking_was_interrupted_is_not_taken_for_whole(laid: Path, half: str, left: str) -> None:
    ImageNet(str(laid)).fetch()
    (laid / half / left).write_bytes(b"")
    with pytest.raises(UserError, match=rf"unpacking .*{half} was interrupted; remove that folder"):
        ImageNet(str(laid)).fetch()


def test_a_part_of_imagenet_is_pointed_to_the_folder_that_it_is(laid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ImageNet(str(laid)).fetch()
    monkeypatch.setattr(imagenet, "CLASSES", 1000)
    with pytest.raises(UserError, match=r"holds 2 classes, and ImageNet has 1000; .* take image_folder"):
        ImageNet(str(laid)).load()
