"""The Inception-v3 network of 2015 that defines FID, read from a local file.

Weights come from a given file or from the cache of `torch.hub`, and are downloaded only on request. The checksum of the
file is verified before it is read.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mgbench.components.checkpoints.exact import load_exactly
from mgbench.components.extractors.weight_files import checked, float32, library, located, ready, state_of
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Extractor
from mgbench.interfaces.data import Features

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION}"
INCEPTION_HASH = "6726825d"


@dataclass(frozen=True)
class Inception:
    """The Inception-v3 of FID (Heusel et al., arXiv:1706.08500), in the port of torch-fidelity.

    2,048 pooled features, 1,008 logits without their bias for the Inception score, and 2,023 spatial features for sFID,
    the first seven channels of the sixth mixed block. Images are resized as TensorFlow 1 did; with `pixels="pytorch"`
    they are scaled to [-1, 1] as pytorch-fid does, rather than to (x − 128)/128. `checksum` is the start of the SHA-256
    of the file; with that of other weights, scores carry the name of the extractor.
    """

    path: str = ""
    download: bool = False
    pixels: Literal["tensorflow", "pytorch"] = "tensorflow"
    checksum: str = INCEPTION_HASH

    def build(self) -> "InceptionNetwork":
        """The network in evaluation mode.

        Raises:
            UserError: if torch-fidelity or the weights are missing, or the checksum differs.
        """
        module = library("torch_fidelity.feature_extractor_inceptionv3", "inception")
        file = self._located(self.download)
        found = checked(file, self.checksum, "inception")
        name = "inception" if self.pixels == "tensorflow" else f"inception_{self.pixels}"
        layers = _empty(module)
        load_exactly(layers, state_of(file), str(file))
        network = InceptionNetwork(layers, 128.0 if self.pixels == "tensorflow" else 127.5)
        network.plain = self.pixels == "tensorflow" and self.checksum == INCEPTION_HASH
        return ready(network, name, found)

    def fetch(self) -> None:
        """Download the weights into the cache of `torch.hub`, unless they are there, and verify them.

        Raises:
            UserError: if they cannot be downloaded, a given file is missing, or the checksum differs.
        """
        checked(self._located(download=True), self.checksum, "inception")

    def _located(self, download: bool) -> Path:
        return located("inception", self.path, INCEPTION, INCEPTION_URL if download else "")


class InceptionNetwork(nn.Module):
    """The layers of torch-fidelity, with features, logits and spatial features as output."""

    id: str
    plain: bool
    side = 299
    # Its classes are those of ImageNet in a different order.
    classes: tuple[str, ...] = ()
    _LAYERS = (
        *(
            "Conv2d_1a_3x3",
            "Conv2d_2a_3x3",
            "Conv2d_2b_3x3",
            "MaxPool_1",
            "Conv2d_3b_1x1",
            "Conv2d_4a_3x3",
            "MaxPool_2",
        ),
        *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
        *("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
    )
    # In TensorFlow's graph mixed_6/conv:0.
    _SPATIAL, _CHANNELS = "Mixed_6d", 7

    # Any: type checkers do not know the layers of torch-fidelity.
    def __init__(self, layers: Any, middle: float) -> None:
        super().__init__()
        self.layers = layers
        self.middle = middle

    def forward(self, images: Tensor) -> Features:
        """Features [B,2048], logits [B,1008] and spatial features [B,2023] of images uint8 [B,3,H,W] or float
        [B,3,299,299].
        """
        with float32(images):
            x = (self._resized(images) - self.middle) / self.middle
            spatial = x
            for name in self._LAYERS:
                if name == self._SPATIAL:
                    spatial = self.layers.get_submodule(name).branch1x1(x)[:, : self._CHANNELS]
                x = self.layers.get_submodule(name)(x)
            features = x.flatten(1)
            return Features(features, features @ self.layers.fc.weight.T, spatial=channels_last(spatial))

    def _resized(self, images: Tensor) -> Tensor:
        if images.is_floating_point():
            return images.float()
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

        resize: Callable[..., Tensor] = interpolate_bilinear_2d_like_tensorflow1x
        return resize(images.float(), size=(self.side, self.side), align_corners=False)


def channels_last(maps: Tensor) -> Tensor:
    """Flatten maps [B,C,H,W] to rows [B,H·W·C], channels last.

    This is the order of ADM's published `mu_s` and `sigma_s`.
    """
    return maps.movedim(1, -1).flatten(1)


def _empty(module: ModuleType) -> Any:
    """torch-fidelity's Inception without weights, because its own loading would unpickle any object in the file."""

    class Layers(module.FeatureExtractorInceptionV3):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            nothing = io.BytesIO()
            torch.save({}, nothing)
            nothing.seek(0)
            super().__init__("inception-v3-compat", ["2048"], feature_extractor_weights_path=nothing)

        def load_state_dict(self, state: Mapping[str, Tensor], *args: object, **options: object) -> object:
            return super().load_state_dict(state, *args, **options) if state else None

    return Layers()


@hookimpl
def mgbench_extractors() -> Mapping[str, type[Extractor]]:
    return {"inception": Inception}
