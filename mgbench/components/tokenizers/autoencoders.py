"""Tokenizers that train a small convolutional autoencoder, with a code or a vector for each patch.

Encoder and decoder are those of latent diffusion (Rombach et al., arXiv:2112.10752) from `diffusers`: residual blocks
with group norm, and downsampling by factors of 2. They have no attention and constant width, which is enough at these
sizes. `vq`, `fsq` and `kl` differ only in the bottleneck.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge, Len
from torch import Tensor, nn

from mgbench.components.tokenizers.bottlenecks import Bottleneck, NearestVector, NormalLaw, RoundedNumbers
from mgbench.components.tokenizers.patches import to_bytes, to_unit
from mgbench.errors import Diverged, Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.images import Images, batches
from mgbench.interfaces.modules import Fitting
from mgbench.interfaces.randomness import derive
from mgbench.recipes.spec import Count, NotNegative, Positive, Share

LevelCounts = Annotated[tuple[Annotated[int, Ge(2)], ...], Len(1)]

# Steps between reports of the loss and checks for a stop request.
TELL_EVERY = 20
WARM_UP = 50
BATCH = 256
GROUPS = 8


@dataclass(frozen=True)
class Budget:
    """Training settings of an autoencoder: `batch` images per step, and a cosine decay of the learning rate to 0."""

    steps: int
    batch: int
    learning_rate: float


class AutoencoderModule(nn.Module):
    """Encoder, bottleneck and decoder for images of one shape, which are scaled to [-1, 1]."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        factor: int,
        width: int,
        bottleneck: Bottleneck,
        budget: Budget,
        drop: float = 0.0,
    ) -> None:
        from diffusers.models.autoencoders.vae import Decoder, Encoder

        super().__init__()
        self.bottleneck, self.budget, self.grid = bottleneck, budget, tiled(shape, factor)
        self.drop = drop
        channels, blocks = shape[0], factor.bit_length()
        common: dict[str, Any] = {
            "block_out_channels": (width,) * blocks,
            "layers_per_block": 1,
            "norm_num_groups": math.gcd(width, GROUPS),
            "mid_block_add_attention": False,
        }
        down, up = ("DownEncoderBlock2D",) * blocks, ("UpDecoderBlock2D",) * blocks
        self.encoder = Encoder(channels, bottleneck.inputs, down, double_z=False, **common)
        self.decoder = Decoder(bottleneck.outputs, channels, up, **common)
        self.space = TokenSpace(math.prod(self.grid), bottleneck.outputs, bottleneck.codes, self.grid)
        self.eval()

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        return self.bottleneck.tokens(self._vectors(images))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        return to_bytes(self._pixels(self.bottleneck.vectors(tokens)))

    def fit(self, images: Images, seed: int) -> Fitting:
        """Train with AdamW on the mean squared error of images uint8 [M,C,H,W'].

        Random numbers of step k depend only on (seed, k).

        Raises:
            Diverged: if the loss stops being a number.
        """
        steps, device = self.budget.steps, next(self.parameters()).device
        with _seeded(derive(seed, "autoencoder"), device):
            self.apply(_begin)
        optimizer = torch.optim.AdamW(self.parameters(), self.budget.learning_rate, (0.9, 0.99), weight_decay=1e-4)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
        for step in range(1, steps + 1):
            with _seeded(derive(seed, f"autoencoder/{step}"), device):
                loss = self._loss(images[torch.randint(len(images), (self.budget.batch,))].to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            optimizer.step()
            rate.step()
            if step % TELL_EVERY == 0 or step == steps:
                yield step, steps, _sound(loss.item())
        with torch.no_grad():
            self.bottleneck.finish(self._vectors(batch.to(device)) for batch in batches(images, BATCH))

    def _vectors(self, images: Tensor) -> Tensor:
        return raster(self.encoder(to_unit(images)))

    def _pixels(self, vectors: Tensor) -> Tensor:
        pixels: Tensor = self.decoder(unraster(vectors, self.grid))
        return pixels

    def _loss(self, images: Tensor) -> Tensor:
        # Only the codebook behaves differently in training mode, where it is updated.
        self.bottleneck.train()
        vectors, extra = self.bottleneck(self._vectors(dropped(images, self.grid, self.drop)))
        self.bottleneck.eval()
        loss: Tensor = nn.functional.mse_loss(self._pixels(vectors), to_unit(images)) + extra
        return loss


def raster(grids: Tensor) -> Tensor:
    """Flatten grids [B,D,h,w] to vectors [B,N,D] in raster order."""
    return grids.flatten(2).transpose(1, 2)


def unraster(vectors: Tensor, grid: tuple[int, int]) -> Tensor:
    """Arrange vectors [B,N,D] in raster order as grids [B,D,h,w]."""
    return vectors.transpose(1, 2).reshape(len(vectors), -1, *grid)


def dropped(images: Tensor, grid: tuple[int, int], most: float) -> Tensor:
    """Images uint8 [B,C,H,W'] with random patches of a `grid` set to mid-grey; the share in each image is uniform up to
    `most`.
    """
    if not most:
        return images
    batch, (rows, columns) = len(images), grid
    shares = most * torch.rand(batch, 1, 1, device=images.device)
    gone = torch.rand(batch, rows, columns, device=images.device) < shares
    side = images.shape[-1] // columns
    covered = gone.repeat_interleave(side, 1).repeat_interleave(side, 2)[:, None]
    return images.masked_fill(covered, 128)


def tiled(shape: tuple[int, int, int], factor: int) -> tuple[int, int]:
    """The token grid of images downsampled by a factor.

    Raises:
        Unfit: if the factor is not a power of two or does not divide both sides.
    """
    _, height, width = shape
    if factor & (factor - 1):
        raise Unfit(f"an autoencoder halves its grid, so that a factor of {factor} cannot be; take 1, 2, 4, 8, …")
    if height % factor or width % factor:
        raise Unfit(f"a factor of {factor} does not tile images of {height}x{width}")
    return height // factor, width // factor


def _begin(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear | nn.GroupNorm):
        module.reset_parameters()


def _rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / min(WARM_UP, steps))
    return warm * (1 + math.cos(math.pi * step / steps)) / 2


def _sound(loss: float) -> float:
    if not math.isfinite(loss):
        raise Diverged(f"the loss of the autoencoder became {loss}; take a lower learning_rate")
    return loss


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Context with a seeded random state, which is restored afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class Trained:
    """Options of tokenizers that are trained."""

    steps: Count
    batch_size: Count
    learning_rate: Positive

    @property
    def budget(self) -> Budget:
        """The training settings."""
        return Budget(self.steps, self.batch_size, self.learning_rate)


@dataclass(frozen=True)
class Vq(Trained):
    """A VQ autoencoder (arXiv:1711.00937): for every `factor` x `factor` patch, the nearest of `codes` vectors of size
    `dim`.

    With the defaults, held-out digits have a reconstruction error of 15 grey levels (root mean square; k-means of this
    size: 19.5), and a codebook perplexity of 51 of 64. Larger `dim` and lower learning rates are worse.
    """

    codes: Count = 64
    factor: Count = 2
    dim: Count = 4
    commitment: NotNegative = 0.25
    width: Count = 32
    steps: Count = 500
    batch_size: Count = 64
    learning_rate: Positive = 1e-2

    def build(self, shape: tuple[int, int, int]) -> AutoencoderModule:
        share = self.batch_size * math.prod(tiled(shape, self.factor)) / self.codes
        bottleneck = NearestVector(self.codes, self.dim, self.commitment, share)
        return AutoencoderModule(shape, self.factor, self.width, bottleneck, self.budget)


@dataclass(frozen=True)
class Fsq(Trained):
    """An FSQ autoencoder (arXiv:2309.15505): for every `factor` x `factor` patch, numbers rounded to `levels` levels
    each.

    With the defaults, held-out digits have a reconstruction error of 14 grey levels, and a codebook perplexity of 55 of
    64.
    """

    levels: LevelCounts = (8, 8)
    factor: Count = 2
    width: Count = 32
    steps: Count = 500
    batch_size: Count = 64
    learning_rate: Positive = 1e-2

    def build(self, shape: tuple[int, int, int]) -> AutoencoderModule:
        return AutoencoderModule(shape, self.factor, self.width, RoundedNumbers(self.levels), self.budget)


@dataclass(frozen=True)
class Kl(Trained):
    """A KL autoencoder (arXiv:2112.10752): a vector of `channels` numbers for every `factor` x `factor` patch.

    `kl_weight` is the weight of the KL divergence from N(0, 1). With the defaults, held-out digits have a
    reconstruction error of 5 grey levels. `denoise` and `drop` train it to denoise (l-DeTok, arXiv:2507.15856; there 3
    and 0.7): a latent z becomes (1 − u)·z + u·denoise·ε, with u uniform and ε normal, and up to a share `drop` of the
    patches is hidden from the encoder.
    """

    channels: Count = 4
    factor: Count = 2
    kl_weight: NotNegative = 1e-4
    denoise: NotNegative = 0.0
    drop: Share = 0.0
    width: Count = 32
    steps: Count = 500
    batch_size: Count = 64
    learning_rate: Positive = 1e-2

    def build(self, shape: tuple[int, int, int]) -> AutoencoderModule:
        bottleneck = NormalLaw(self.channels, self.kl_weight, self.denoise)
        return AutoencoderModule(shape, self.factor, self.width, bottleneck, self.budget, self.drop)


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {"vq": Vq, "fsq": Fsq, "kl": Kl}
