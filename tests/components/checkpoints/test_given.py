"""A path that is no file of weights is answered with what there is."""

from pathlib import Path

import pytest

from mgbench.components.checkpoints.container import read_container
from mgbench.components.checkpoints.given import existing_file
from mgbench.components.extractors.weight_files import located
from mgbench.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mar_base").mkdir()
    for name in ("kl16.ckpt", "notes.txt", "mar_base/checkpoint-last.pth"):
        (tmp_path / name).touch()
    return tmp_path


def test_of_a_folder_the_files_in_it_are_named(folder: Path) -> None:
    said = (
        f"{folder} is a folder; give one of the files in it: {folder}/kl16.ckpt, {folder}/mar_base/checkpoint-last.pth"
    )
    for asked in (existing_file, read_container):
        with pytest.raises(UserError) as caught:
            asked(folder)
        assert str(caught.value) == said
    with pytest.raises(UserError, match=r"^inception: .* is a folder; .*kl16\.ckpt"):
        located("inception", str(folder), "usual.pth")


def test_of_many_files_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.pt").touch()
    with pytest.raises(UserError, match=r"3\.pt and 5 more$"):
        existing_file(tmp_path)


def test_of_a_folder_without_weights_or_of_diffusers_it_is_said(folder: Path) -> None:
    (folder / "kl16.ckpt").unlink()
    with pytest.raises(UserError, match=r"mar_base/checkpoint-last\.pth$"):
        existing_file(folder)
    (folder / "mar_base" / "checkpoint-last.pth").unlink()
    with pytest.raises(UserError, match=r"is a folder without such a file \(\.pth, "):
        existing_file(folder)
    for name in ("config.json", "diffusion_pytorch_model.safetensors"):
        (folder / name).touch()
    with pytest.raises(UserError, match=r"is a folder of diffusers, which is used as it is.*pretrained_kl\(path="):
        existing_file(folder)


def test_a_misspelt_name_is_answered_with_the_nearest(folder: Path) -> None:
    with pytest.raises(UserError, match=r"there is no file .*k116\.ckpt; did you mean .*kl16\.ckpt\?"):
        existing_file(folder / "k116.ckpt")
    with pytest.raises(UserError, match=r"there is no file .*nowhere/at/all; give the path of one"):
        existing_file(folder / "nowhere" / "at" / "all")
