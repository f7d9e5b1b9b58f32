"""Tokens of autoencoders from elsewhere, read from a folder or the hub's cache as `diffusers` saves them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import StringConstraints
from torch import Generator, Tensor, nn

from mgbench.components.tokenizers.autoencoders import raster, tiled, unraster
from mgbench.components.tokenizers.latents import Autoencoder, Encoded, Scaling, Taken
from mgbench.components.tokenizers.patches import to_bytes, to_unit
from mgbench.components.tokenizers.stored import content_of, read_autoencoder, stated
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.images import Images
from mgbench.interfaces.modules import Fitting
from mgbench.recipes.spec import NotNegative

# Factor and numbers of a latent as papers write them, f16c16; nothing where any will do.
Form = Annotated[str, StringConstraints(pattern=r"^(f\d+c\d+)?$")]


class PretrainedModule(nn.Module):
    """Scaled latents as tokens; grey images are shown in three equal channels, and come back as their mean.

    `latents` takes what the autoencoder says of images, and the images uint8 [B,C,H,W'], to latents float [B,D,h,w].
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        autoencoder: Autoencoder,
        factor: int,
        latents: Taken,
        scaling: Scaling,
    ) -> None:
        super().__init__()
        channels = shape[0]
        takes, dim = autoencoder.config.in_channels, autoencoder.config.latent_channels
        if channels not in (1, takes):
            raise Unfit(f"the autoencoder takes images of {takes} channels, and these have {channels}")
        self.grid = grid = tiled(shape, factor)
        self.shown, self.grey, self.latents, self.scaling = takes, channels < takes, latents, scaling
        self.space = TokenSpace(grid[0] * grid[1], dim, None, grid)
        self.autoencoder = autoencoder

    def fit(self, images: Images, seed: int) -> Fitting:
        """No steps: images uint8 [M,C,H,W'] are not looked at, since nothing is left to learn."""
        return iter(())

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images uint8 [B,C,H,W'] to tokens float32 [B,N,D], in raster order of the grid."""
        return self.scaling.tokens(raster(self._latents(images)))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens float [B,N,D] to images uint8 [B,C,H,W']."""
        return _images(self.autoencoder.decode(unraster(self.scaling.latents(tokens), self.grid)).sample, self.grey)

    def _latents(self, images: Tensor) -> Tensor:
        shown = to_unit(images).expand(-1, self.shown, -1, -1)
        return self.latents(self.autoencoder.encode(shown), images)


def _images(pixels: Tensor, grey: bool) -> Tensor:
    """Pixels float [B,C,H,W'] as images uint8, in one channel where they are `grey`."""
    return to_bytes(pixels.mean(1, keepdim=True) if grey else pixels)


class CodesModule(PretrainedModule):
    """The nearest vectors of a codebook as codes."""

    autoencoder: Any

    def __init__(self, shape: tuple[int, int, int], autoencoder: Autoencoder, factor: int, latents: Taken) -> None:
        super().__init__(shape, autoencoder, factor, latents, Scaling(1.0))
        codes, dim = self.autoencoder.quantize.embedding.weight.shape
        self.space = TokenSpace(self.space.length, dim, codes, self.grid)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images uint8 [B,C,H,W'] to codes int64 [B,N], in raster order of the grid."""
        found: Tensor = self.autoencoder.quantize(self._latents(images))[2][2]
        return found.reshape(len(images), -1)

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Codes int64 [B,N] to images uint8 [B,C,H,W']."""
        vectors = unraster(self.autoencoder.quantize.embedding(tokens), self.grid)
        # Through its layers: `decode` looks codes up itself in some configurations, and not in others.
        return _images(self.autoencoder.decoder(self.autoencoder.post_quant_conv(vectors), None), self.grey)


class Stored:
    """A tokenizer whose autoencoder lies at `path`, in a folder or on the hub."""

    path: str
    scale: NotNegative = 0.0
    form: Form = ""
    # The scale where neither the option nor the configuration says one.
    usual: ClassVar[float] = 1.0

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide the tokens beside the options."""
        return content_of(self.path)

    def expected_space(self, shape: tuple[int, int, int]) -> TokenSpace | None:
        """The tokens of images of shape (C, H, W'), as `form` has it; None where it says nothing."""
        said = re.fullmatch(r"f(\d+)c(\d+)", self.form)
        if not said:
            return None
        grid = tiled(shape, int(said[1]))
        return TokenSpace(grid[0] * grid[1], int(said[2]), None, grid)

    def build(self, shape: tuple[int, int, int]) -> PretrainedModule:
        """The tokenizer for images of shape (C, H, W').

        Raises:
            Unfit: if it cannot take such images.
            UserError: if there are not exactly these weights, or they are of another form.
        """
        autoencoder = read_autoencoder(self.kind(), self.path)
        factor = self.factor(autoencoder)
        found = f"f{factor}c{autoencoder.config.latent_channels}"
        if self.form not in ("", found):
            raise UserError(
                f"{self.path!r} holds an autoencoder {found}, and form={self.form} asks for another; name that"
            )
        return self.module(shape, autoencoder, factor)

    def kind(self) -> Any:
        """The class of `diffusers` that its autoencoder is of."""
        raise NotImplementedError

    def factor(self, autoencoder: Autoencoder) -> int:
        """The number of pixels that a side of a token has."""
        return int(2 ** (len(autoencoder.config.block_out_channels) - 1))

    def module(self, shape: tuple[int, int, int], autoencoder: Autoencoder, factor: int) -> PretrainedModule:
        """The tokenizer of an autoencoder."""
        scaling = Scaling.of(stated(self.path), self.scale, self.usual)
        return PretrainedModule(shape, autoencoder, factor, self.latents, scaling)

    def latents(self, encoded: Encoded, images: Tensor) -> Tensor:
        """Latents float [B,D,h,w] in what the autoencoder says of images uint8 [B,C,H,W']."""
        return encoded.latents


@dataclass(frozen=True)
class PretrainedKl(Stored):
    """The `AutoencoderKL` in a folder or on the hub (LDM, arXiv:2112.10752): its latents, scaled.

    A `scale` of 0 stands for the scaling that the autoencoder's own configuration states (and, where it states none, for
    0.18215 of Stable Diffusion's f8 autoencoder); MAR's f16 takes 0.2325. A latent is the `mean` of its posterior, or a
    `sample` of it, as MAR and eMIGM take it: its noise follows from the image, which so has the same tokens every time. With a
    `form`, such as f16c16, another autoencoder is refused, and a run can be planned without one.
    """

    path: str
    scale: NotNegative = 0.0
    form: Form = ""
    latent: Literal["mean", "sample"] = "mean"
    usual: ClassVar[float] = 0.18215

    def kind(self) -> Any:
        from diffusers import AutoencoderKL

        return AutoencoderKL

    def latents(self, encoded: Encoded, images: Tensor) -> Tensor:
        law = encoded.latent_dist
        mean = law.mean
        if self.latent == "mean":
            return mean
        noise = torch.stack([_noise(image, mean.shape[1:]) for image in images]).to(mean)
        return torch.addcmul(mean, law.std, noise)


@dataclass(frozen=True)
class DcAe(Stored):
    """The deep compression autoencoder (`AutoencoderDC`, arXiv:2410.10733) in a folder or on the hub; its latents are not random.

    A `scale` of 0 stands for the scaling that the autoencoder's own configuration states (and, where it states none, for
    0.3189, which eMIGM takes for the f32c32 model for ImageNet). `form` is as in `pretrained_kl`.
    """

    path: str
    scale: NotNegative = 0.0
    form: Form = ""
    usual: ClassVar[float] = 0.3189

    def kind(self) -> Any:
        from diffusers import AutoencoderDC

        return AutoencoderDC

    def factor(self, autoencoder: Autoencoder) -> int:
        return int(autoencoder.spatial_compression_ratio)

    def latents(self, encoded: Encoded, images: Tensor) -> Tensor:
        return encoded.latent


@dataclass(frozen=True)
class PretrainedTiny(Stored):
    """The `AutoencoderTiny` in a folder or on the hub: a small autoencoder for another one's latents, such as TAESD.

    Its latents are scaled already; a `scale` other than 0 takes the place of the one that its configuration states (1).
    `form` is as in `pretrained_kl`.
    """

    path: str
    scale: NotNegative = 0.0
    form: Form = ""

    def kind(self) -> Any:
        from diffusers import AutoencoderTiny

        return AutoencoderTiny

    def factor(self, autoencoder: Autoencoder) -> int:
        return int(2 ** (len(autoencoder.config.encoder_block_out_channels) - 1))


@dataclass(frozen=True)
class PretrainedVq(Stored):
    """The `VQModel` in a folder or on the hub: codes of its codebook (LDM, arXiv:2112.10752)."""

    path: str

    def kind(self) -> Any:
        from diffusers import VQModel

        return VQModel

    def module(self, shape: tuple[int, int, int], autoencoder: Autoencoder, factor: int) -> CodesModule:
        return CodesModule(shape, autoencoder, factor, self.latents)


def _noise(image: Tensor, shape: torch.Size) -> Tensor:
    """Normal numbers that follow from an image uint8 [C,H,W']."""
    content = hashlib.blake2b(image.cpu().contiguous().numpy().tobytes(), digest_size=8).digest()
    return torch.randn(shape, generator=Generator().manual_seed(int.from_bytes(content) >> 1))


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {
        "pretrained_kl": PretrainedKl,
        "dc_ae": DcAe,
        "pretrained_tiny": PretrainedTiny,
        "pretrained_vq": PretrainedVq,
    }
