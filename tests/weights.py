"""Files of weights that no training made, of the shapes that the published ones have: for extractors that read a file."""

import contextlib
import hashlib
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="mgbench-weights-"))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def stirred(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights that keep the size of what passes through them, so that images stay apart."""
    generator = torch.Generator().manual_seed(0)
    for name, part in state.items():
        if part.ndim > 1:
            part.normal_(0, (2 / part[0].numel()) ** 0.5, generator=generator)
        elif name.endswith("bias"):
            part.normal_(0, 0.1, generator=generator)
    return state


@cache
def inception() -> Path:
    """Weights for torch-fidelity's Inception."""
    module: Any = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="it has the network")
    file = _folder() / "inception.pth"
    # The network reads a file when it is made, so the first time it is made of nothing.
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(RuntimeError):
        patch.setattr(module, "load_state_dict_from_url", lambda *args, **options: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(stirred(network.state_dict()), file)
    return file


@cache
def clip() -> Path:
    """A small vision transformer of CLIP, as the TorchScript archive in which OpenAI publishes them."""
    module: Any = pytest.importorskip("torch_fidelity.feature_extractor_clip", reason="it has the network")
    network = module.CLIPVisual(16, 32, 1, 64, 16)
    state = stirred({**network.state_dict(), "text_projection": torch.zeros(8, 16)})
    file = _folder() / "clip.pt"
    torch.jit.script(holder(state)).save(str(file))
    return file


def holder(state: dict[str, Tensor]) -> nn.Module:
    """A module that does nothing but hold weights by their names."""
    root = nn.Module()
    for name, part in state.items():
        *path, last = name.split(".")
        inner = root
        for step in path:
            if not hasattr(inner, step):
                inner.add_module(step, nn.Module())
            inner = getattr(inner, step)
        inner.register_parameter(last, nn.Parameter(part))
    return root


@cache
def squeezed() -> Path:
    """Weights for torchvision's smallest classifier with a linear layer at its end."""
    models: Any = pytest.importorskip("torchvision.models", reason="it has the network")
    file = _folder() / "shufflenet.pt"
    torch.save(stirred(models.get_model("shufflenet_v2_x0_5", weights=None).state_dict()), file)
    return file


# What the authors' hub has, at a hundredth of the size: a network by its name, whose weights are a cached checkpoint.
_HUBCONF = """
from pathlib import Path

import torch


def dinov2_vits14():
    network = torch.nn.Sequential(torch.nn.AvgPool2d(28), torch.nn.Flatten(), torch.nn.Linear(192, 24))
    file = Path(torch.hub.get_dir()) / "checkpoints" / "dinov2_vits14_pretrain.pth"
    network.load_state_dict(torch.load(file, weights_only=True))
    return network
"""


@cache
def torch_home() -> Path:
    """A folder for TORCH_HOME in which the hub has DINOv2, code and weights."""
    home = _folder() / "torch"
    repository, checkpoints = home / "hub" / "facebookresearch_dinov2_main", home / "hub" / "checkpoints"
    repository.mkdir(parents=True)
    checkpoints.mkdir()
    (repository / "hubconf.py").write_text(_HUBCONF)
    state = stirred({"2.weight": torch.empty(24, 192), "2.bias": torch.empty(24)})
    torch.save(state, checkpoints / "dinov2_vits14_pretrain.pth")
    return home
