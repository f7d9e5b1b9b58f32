"""Tokens that are patches of pixels, as vectors or quantised by k-means, or single quantised pixels."""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from mgbench.components.tokenizers.lloyd import first_centres, lloyd_step
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.images import Images
from mgbench.interfaces.modules import Fitting
from mgbench.recipes.spec import Count

Bits = Annotated[int, Ge(1), Le(8)]
# Number of patches for k-means; more of them change the centres less than another seed.
FITTED_ON = 250_000
# Maximum number of k-means steps, and the relative decrease of the error at which it stops.
MOST_STEPS = 100
SETTLED = 1e-3


def cut(images: Tensor, size: int) -> Tensor:
    """Cut images [B,C,H,W'] into patches [B,N,C·size·size] in raster order; within a patch by channel, row, column."""
    patches = images.unfold(2, size, size).unfold(3, size, size)
    batch, channels, rows, columns = patches.shape[:4]
    return patches.permute(0, 2, 3, 1, 4, 5).reshape(batch, rows * columns, channels * size * size)


def join(patches: Tensor, shape: tuple[int, int, int], size: int) -> Tensor:
    """Join patches [B,N,C·size·size] to images [B,C,H,W']."""
    channels, height, width = shape
    grid = patches.reshape(-1, height // size, width // size, channels, size, size)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, height, width)


def _space(shape: tuple[int, int, int], size: int, codes: int | None = None) -> TokenSpace:
    channels, height, width = shape
    if height % size or width % size:
        raise Unfit(f"patches of {size} pixels do not tile images of {height}x{width}")
    grid = (height // size, width // size)
    return TokenSpace(grid[0] * grid[1], channels * size * size, codes, grid)


def to_unit(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


def to_bytes(values: Tensor) -> Tensor:
    return ((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


class PatchModule(nn.Module):
    """Patches as vectors of pixels in [-1, 1], without fitting."""

    def __init__(self, shape: tuple[int, int, int], size: int) -> None:
        super().__init__()
        self.shape, self.size, self.space = shape, size, _space(shape, size)

    def fit(self, images: Images, seed: int) -> Fitting:
        return iter(())

    def encode(self, images: Tensor) -> Tensor:
        return cut(to_unit(images), self.size)

    def decode(self, tokens: Tensor) -> Tensor:
        return to_bytes(join(tokens, self.shape, self.size))


class KMeansModule(nn.Module):
    """Patches as the nearest of K codes, fitted by k-means."""

    def __init__(self, shape: tuple[int, int, int], size: int, codes: int) -> None:
        super().__init__()
        self.shape, self.size, self.space = shape, size, _space(shape, size, codes)
        # [K, C·size·size], pixels in [-1, 1].
        self.codebook = nn.Parameter(torch.zeros(codes, self.space.dim), requires_grad=False)

    def fit(self, images: Images, seed: int) -> Fitting:
        """Run k-means on about 250,000 random patches of images uint8 [M,C,H,W'], and yield the error after every step.

        Raises:
            UserError: if the images have fewer different patches than there are codes.
        """
        codes = len(self.codebook)
        patches = _some_patches(images, self.size, codes, seed)
        centres, before = first_centres(patches, codes, seed), float("inf")
        for step in range(1, MOST_STEPS + 1):
            centres, error = lloyd_step(patches, centres)
            settled = before - error <= SETTLED * error
            yield MOST_STEPS if settled else step, MOST_STEPS, error
            if settled:
                break
            before = error
        self.codebook.copy_(centres)

    def encode(self, images: Tensor) -> Tensor:
        return torch.cdist(cut(to_unit(images), self.size), self.codebook).argmin(-1)

    def decode(self, tokens: Tensor) -> Tensor:
        return to_bytes(join(self.codebook[tokens], self.shape, self.size))


def _some_patches(images: Images, size: int, codes: int, seed: int) -> Tensor:
    """Patches float32 [M,C·size·size] of random images; of all images if the random ones have too few distinct patches.

    Raises:
        UserError: if all images together have too few.
    """
    tiles = (images.shape[2] // size) * (images.shape[3] // size)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    for count in (max(1, FITTED_ON // tiles), len(images)):
        patches = cut(to_unit(images[order[:count]]), size).flatten(0, 1)
        different = len(torch.unique(patches, dim=0))
        if different >= codes:
            return patches
    raise UserError(f"kmeans: {codes} codes, but the images have only {different} different patches; take fewer codes")


class LevelsModule(nn.Module):
    """Every channel of every pixel as the nearest of 2^bits grey levels from black to white, without fitting."""

    def __init__(self, shape: tuple[int, int, int], bits: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.shape, self.highest = shape, (1 << bits) - 1
        grid = (height, width) if channels == 1 else None
        self.space = TokenSpace(channels * height * width, 1, self.highest + 1, grid)

    def fit(self, images: Images, seed: int) -> Fitting:
        return iter(())

    def encode(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 2, 3, 1).flatten(1).double()
        return (pixels * self.highest / 255).round().long()

    def decode(self, tokens: Tensor) -> Tensor:
        channels, height, width = self.shape
        pixels = (tokens.double() * 255 / self.highest).round().to(torch.uint8)
        return pixels.reshape(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Patch:
    """Square patches of pixels as continuous tokens."""

    size: Count = 2

    def build(self, shape: tuple[int, int, int]) -> PatchModule:
        return PatchModule(shape, self.size)


@dataclass(frozen=True)
class KMeans:
    """Square patches of pixels as the nearest of `codes` codes."""

    codes: Count = 64
    size: Count = 2

    def build(self, shape: tuple[int, int, int]) -> KMeansModule:
        return KMeansModule(shape, self.size, self.codes)


@dataclass(frozen=True)
class Levels:
    """Pixels as codes of `bits` bits, in raster order with the channels of a pixel adjacent.

    Tokens have a grid only for grey images, because with more channels neighbouring tokens are not neighbouring pixels.
    """

    bits: Bits = 4

    def build(self, shape: tuple[int, int, int]) -> LevelsModule:
        return LevelsModule(shape, self.bits)


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {"patch": Patch, "kmeans": KMeans, "levels": Levels}
