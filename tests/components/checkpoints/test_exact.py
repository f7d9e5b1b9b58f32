from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mgbench.components.checkpoints.exact import load_exactly
from mgbench.errors import UserError


class Versioned(nn.Linear):
    """A layer that loads only what says that it is of version 2, like torchvision's MNASNet."""

    _version = 2

    def _load_from_state_dict(self, state, prefix, metadata, *rest):
        if metadata.get("version") != 2:
            raise ValueError(f"version should be 2, not {metadata.get('version')}")
        super()._load_from_state_dict(state, prefix, metadata, *rest)


def net() -> nn.Module:
    return nn.Sequential(Versioned(3, 3), nn.BatchNorm1d(3))


def test_weights_of_a_file_that_keeps_no_versions_load(tmp_path: Path) -> None:
    made = net()
    save_file(made.state_dict(), tmp_path / "weights.safetensors")
    loaded = net()
    load_exactly(loaded, load_file(tmp_path / "weights.safetensors"), "weights.safetensors")
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in made.state_dict().items())


def test_a_file_from_before_counters_of_batches_lacks_nothing() -> None:
    state = {name: value for name, value in net().state_dict().items() if "num_batches" not in name}
    load_exactly(net(), dict(state), "old.safetensors")


def test_versions_that_a_file_keeps_are_read() -> None:
    state = net().state_dict()
    state._metadata["0"] = {"version": 1}
    with pytest.raises(UserError, match="version should be 2, not 1"):
        load_exactly(net(), state, "weights.pt")
