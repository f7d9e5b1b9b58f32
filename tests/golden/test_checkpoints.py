"""Checkpoints as the published trainers write them, held to what the published loader makes of them."""

from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from mgbench.components.checkpoints.mar import read_released, released_model
from mgbench.errors import UserError
from mgbench.interfaces.data import UNLABELLED
from tests.golden.official import HEADS, SPACE, Z_AND_HEAD, assert_near, golden

NAMES = ("emigm_ckpt_tiny", "mar_ckpt_tiny")
Weights = Literal["model", "model_ema"]
EVERY = pytest.mark.parametrize("name", NAMES)
BOTH = pytest.mark.parametrize("weights", ["model", "model_ema"])


def path(name: str) -> Path:
    return Path(__file__).parent / f"{name}.pth"


def z_of(model: Any, name: str, labelled: bool = True) -> torch.Tensor:
    file = golden(f"{name}_expected")
    labels = file["labels"] if labelled else torch.full_like(file["labels"], UNLABELLED)
    z: torch.Tensor = model.network(file["x"], file["mask"].bool(), labels)
    return z


@BOTH
@EVERY
def test_a_loaded_model_is_what_the_published_loader_makes(name: str, weights: Weights) -> None:
    file = golden(f"{name}_expected")
    model = released_model(read_released(path(name), weights), HEADS, SPACE.grid)
    assert_near(z_of(model, name), file[f"{weights}.z_cond"], Z_AND_HEAD)
    assert_near(z_of(model, name, labelled=False), file[f"{weights}.z_uncond"], Z_AND_HEAD)
    eps, value = model.head(file["head_x"], file["head_t"], file["head_c"])
    assert_near(torch.cat([eps, value], 1), file[f"{weights}.head_out"], Z_AND_HEAD)


def test_the_tied_vector_of_the_average_is_the_entry_that_is_no_average() -> None:
    file, state = golden("emigm_ckpt_tiny_expected"), read_released(path("emigm_ckpt_tiny"))
    assert not torch.equal(state["mask_token"], state["fake_latent"])
    model = released_model(state, HEADS, SPACE.grid)
    assert torch.equal(model.network.mask_token, file["model_ema.loaded_fake_latent"][0])
    other = released_model({**state, "mask_token": state["fake_latent"]}, HEADS, SPACE.grid)
    assert_near(z_of(other, "emigm_ckpt_tiny"), file["model_ema.alt_fake_latent_entry.z_cond"], Z_AND_HEAD)
    with pytest.raises(AssertionError, match="differs by"):
        assert_near(z_of(other, "emigm_ckpt_tiny"), file["model_ema.z_cond"], Z_AND_HEAD)


@EVERY
def test_the_average_is_what_is_read_unless_told_otherwise(name: str) -> None:
    read = read_released(path(name))
    average, online = (read_released(path(name), weights) for weights in ("model_ema", "model"))  # type: ignore[arg-type]
    assert all(torch.equal(read[entry], average[entry]) for entry in average)
    assert not torch.equal(average["z_proj.weight"], online["z_proj.weight"])


def test_a_checkpoint_of_the_average_alone_can_be_read(tmp_path: Path) -> None:
    state = read_released(path("mar_ckpt_tiny"))
    torch.save({"model_ema": state}, tmp_path / "only.pth")
    assert read_released(tmp_path / "only.pth").keys() == state.keys()
    with pytest.raises(UserError, match="holds no 'model' of MAR or eMIGM"):
        read_released(tmp_path / "only.pth", "model")


@pytest.mark.parametrize("content", [torch.zeros(3), {"model_ema": {"weight": torch.zeros(3)}}, {"model_ema": 1}])
def test_another_file_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match="give a checkpoint as their trainers write it"):
        read_released(tmp_path / "other.pth")


def test_what_is_no_checkpoint_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="give a checkpoint as their trainers write it"):
        read_released(tmp_path / "broken.pth")
    with pytest.raises(UserError, match="give a checkpoint as their trainers write it"):
        read_released(tmp_path / "missing.pth")


def test_no_code_of_a_checkpoint_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"model_ema": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError):
        read_released(tmp_path / "evil.pth")
    assert not (tmp_path / "touched").exists()
