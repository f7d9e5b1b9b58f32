"""Other feature networks for photographs: CLIP, DINOv2 and torchvision's classifiers.

Weights come from a given file or from the cache of `torch.hub`, and are downloaded only on request. Checksums are
verified before files are read. A Fréchet distance of these features carries the name of the extractor, and is not FID.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its name everywhere

from mgbench.components.checkpoints.exact import load_exactly, refuse_numbers
from mgbench.components.extractors.weight_files import checked, float32, library, located, ready, sha256, state_of
from mgbench.errors import UserError, in_brief, suggestion
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Extractor
from mgbench.interfaces.data import Features
from mgbench.recipes.spec import Count

DINO_HUB = "facebookresearch_dinov2_main"


@dataclass(frozen=True)
class Clip:
    """The image features of CLIP (Radford et al., arXiv:2103.00020), in the port of torch-fidelity.

    `model` is for example vit-b-32 or vit-l-14; `path` is OpenAI's TorchScript archive; `checksum` is the start of its
    SHA-256, if it differs from that of the official file.
    """

    model: str = "vit-b-32"
    path: str = ""
    download: bool = False
    checksum: str = ""

    def build(self) -> "Borrowed":
        """The network in evaluation mode; raises as `inception.Inception`."""
        file, found = self._verified(self.download)
        module, name = self._module(), f"clip-{self.model}"
        with _whole(file):
            network = module.FeatureExtractorCLIP(
                name, ["clip"], feature_extractor_weights_path=str(file), verbose=False
            )
        refuse_numbers(str(file), network.state_dict())
        return ready(Borrowed(network), name.replace("-", "_"), found)

    def fetch(self) -> None:
        """Download the weights, unless they are there, and verify them; raises as `inception.Inception.fetch`."""
        self._verified(download=True)

    def _module(self) -> Any:
        return library("torch_fidelity.feature_extractor_clip", "clip")

    def _verified(self, download: bool) -> tuple[Path, str]:
        """The file of the weights and its SHA-256."""
        module, name = self._module(), f"clip-{self.model}"
        known = module.MODEL_METADATA
        if name not in known:
            raise UserError(
                f"clip: no model is called {self.model!r}; "
                f"{suggestion(self.model, (other.removeprefix('clip-') for other in known))}"
            )
        published = known[name]["hash"]
        url = module.MODEL_URLS[name] if download else ""
        file = located("clip", self.path, f"{name}-{published}.pt", url)
        return file, checked(file, self.checksum or published, "clip")


@dataclass(frozen=True)
class Dinov2:
    """The image features of DINOv2 (Oquab et al., arXiv:2304.07193), with torch-fidelity and the authors' hub
    repository.

    Code and weights come from the cache of `torch.hub`, and are downloaded with `download`. Published distances use
    ViT-L/14, `size=l` (Stein et al., arXiv:2306.04675); other sizes give other numbers.
    """

    size: Literal["s", "b", "l", "g"] = "s"
    download: bool = False

    def build(self) -> "Borrowed":
        """The network in evaluation mode; raises as `inception.Inception`."""
        module = library("torch_fidelity.feature_extractor_dinov2", "dinov2")
        hub, missing = Path(torch.hub.get_dir()), self._missing()
        if missing and not self.download:
            raise UserError(
                f"dinov2 needs {missing[0]}, which is not there; copy it from a machine where torch.hub has it, or have it "
                "fetched by 'mgbench prepare' or with download=true"
            )
        name = f"dinov2-vit-{self.size}-14"
        source = nullcontext() if self.download else _cached(hub / DINO_HUB)
        with source, _whole(hub):
            network = module.FeatureExtractorDinoV2(name, ["dinov2"])
        refuse_numbers(str(hub), network.state_dict())
        hashed = hashlib.sha256()
        for part in network.state_dict().values():
            hashed.update(part.contiguous().numpy().tobytes())
        return ready(Borrowed(network), name.replace("-", "_"), hashed.hexdigest())

    def fetch(self) -> None:
        """Let `torch.hub` download code and weights into its cache, unless they are there.

        Raises:
            UserError: if they cannot be downloaded, or do not fit.
        """
        try:
            replace(self, download=bool(self._missing())).build()
        except OSError as error:
            raise UserError(
                f"cannot fetch dinov2 ({error}); copy {DINO_HUB} and its weights from a machine where torch.hub has them"
            ) from None

    def _missing(self) -> list[Path]:
        """The paths in the cache of `torch.hub` that are not there."""
        hub = Path(torch.hub.get_dir())
        needed = (hub / DINO_HUB, hub / "checkpoints" / f"dinov2_vit{self.size}14_pretrain.pth")
        return [path for path in needed if not path.exists()]


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    """Turn errors of a library about weights that do not fit into a sentence about the file."""
    try:
        yield
    except (RuntimeError, KeyError, AssertionError) as error:
        said = f"{type(error).__name__}: {in_brief(error)}"
        raise UserError(f"{file} does not fit: {said}; get the weights again") from None


@contextmanager
def _cached(repository: Path) -> Iterator[None]:
    """Context in which `torch.hub` uses its cache without asking GitHub for the branch."""
    hub: Any = torch.hub
    load = hub.load
    hub.load = lambda repo, name: load(str(repository), name, source="local")
    try:
        yield
    finally:
        hub.load = load


class Borrowed(nn.Module):
    """A network of another library as an extractor."""

    id: str

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Features:
        """Features [B,F] of images uint8 [B,3,H,W] of any size, which the library resizes."""
        with float32(images):
            return Features(self.network(images)[0])


@dataclass(frozen=True)
class Torchvision:
    """The input of the last layer of a torchvision classifier, and the logits if the file has that layer.

    `path` is a state dict of `model`. Images are resized to `size` (bicubic, antialiased) and normalised as for
    ImageNet.
    """

    model: str
    path: str
    size: Count = 224

    def build(self) -> "Classifier":
        """The network in evaluation mode; raises as `inception.Inception`."""
        models = library("torchvision.models", "torchvision")
        if self.model not in models.list_models():
            raise UserError(f"torchvision has no model {self.model!r}; {suggestion(self.model, models.list_models())}")
        file = located("torchvision", self.path, "")
        network = models.get_model(self.model, weights=None)
        last = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)][-1:]
        if not last:
            raise UserError(f"torchvision's {self.model} ends in no linear layer; take a classifier that does")
        # Files without the classification layer still give features.
        absent = load_exactly(
            network, state_of(file), f"{file}, as a {self.model},", (f"{last[0]}.weight", f"{last[0]}.bias")
        )
        return ready(Classifier(network, last[0], not absent, self.size), self.model, sha256(file))


class Classifier(nn.Module):
    """A classifier that returns the input of its last layer."""

    id: str
    classes: tuple[str, ...] = ()

    def __init__(self, network: nn.Module, last: str, whole: bool, side: int) -> None:
        super().__init__()
        self.network, self.whole, self.side = network, whole, side
        self._entered: list[Tensor] = []
        network.get_submodule(last).register_forward_pre_hook(lambda layer, inputs: self._entered.append(inputs[0]))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None] * 255, persistent=False)
        self.register_buffer("spread", torch.tensor([0.229, 0.224, 0.225])[:, None, None] * 255, persistent=False)

    def forward(self, images: Tensor) -> Features:
        """Features [B,F] and, if known, logits [B,K] of images uint8 [B,3,H,W], or float [B,3,size,size] in [0, 255]."""
        with float32(images):
            x, size = images.float(), (self.side, self.side)
            if x.shape[2:] != size:
                x = F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
            logits = self.network((x - self.get_buffer("mean")) / self.get_buffer("spread"))
            return Features(self._entered.pop().flatten(1), logits if self.whole else None)


@hookimpl
def mgbench_extractors() -> Mapping[str, type[Extractor]]:
    return {"clip": Clip, "dinov2": Dinov2, "torchvision": Torchvision}
