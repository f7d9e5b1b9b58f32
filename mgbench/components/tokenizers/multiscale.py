"""Multi-scale residual quantisation: codes of a coarse image and of residuals, on grids of increasing size.

This is the multi-scale residual quantiser of VAR (Tian et al., arXiv:2404.02905, Algorithms 1 and 2) on patches of
pixels. Symbols: f [B,D,h,h] is the grid of patches; z_k the codes of scale k, a grid of s_k × s_k; D_k downsamples a
grid to that size by area, U_k upsamples it (bicubic); φ_k is a 3×3 convolution. z_k are the codes nearest to D_k(f −
f̂_{k−1}), f̂_k = f̂_{k−1} + φ_k(U_k z_k).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgbench.components.tokenizers.lloyd import first_centres, lloyd_step
from mgbench.components.tokenizers.patches import cut, join, to_bytes, to_unit
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.images import Images
from mgbench.interfaces.modules import Fitting
from mgbench.recipes.spec import Count

ROUNDS = 6
# k-means steps per round.
STEPS = 5
FITTED_ON = 4096
# Regularisation for singular least-squares problems, such as that of black images.
RIDGE = 1e-3


def shrink(grid: Tensor, side: int) -> Tensor:
    """Downsample a grid [B,D,h,h] by area to [B,D,side,side]."""
    return functional.interpolate(grid, (side, side), mode="area")


def grow(grid: Tensor, side: int) -> Tensor:
    """Upsample a grid [B,D,s,s] bicubically to [B,D,side,side]."""
    return functional.interpolate(grid, (side, side), mode="bicubic")


def split(tokens: Tensor, scales: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Split tokens [B,N,…] by scale: [B,s_k²,…] each."""
    return torch.split(tokens, [side**2 for side in scales], 1)


class MultiscaleModule(nn.Module):
    """A codebook shared by all scales, fitted by k-means on its own residuals, and filters φ_k fitted by least squares."""

    def __init__(self, options: "Multiscale", shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape, self.size, self.scales = shape, options.size, options.scales
        self.side, dim = _side(shape, options), shape[0] * options.size**2
        self.space = TokenSpace(sum(side**2 for side in self.scales), dim, options.codes)
        # [K,D] and [S,D,D,3,3].
        self.codebook = nn.Parameter(torch.zeros(options.codes, dim), requires_grad=False)
        self.filters = nn.Parameter(torch.zeros(len(self.scales), dim, dim, 3, 3), requires_grad=False)

    def fit(self, images: Images, seed: int) -> Fitting:
        """Run k-means on the residuals of images uint8 [M,C,H,W'] in all scales, then fit the filters.

        This is repeated, because residuals depend on the codes.

        Raises:
            UserError: if the images have fewer different patches than there are codes.
        """
        some = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:FITTED_ON]]
        f, codes, total = self._grid(some.to(self.codebook.device)), len(self.codebook), ROUNDS * STEPS
        self._fit_filters(f, exact=True)
        centres = torch.empty(0)
        for done in range(ROUNDS):
            residuals = self._residuals(f, exact=not done)
            different = len(torch.unique(residuals, dim=0))
            if different < codes:
                raise UserError(
                    f"multiscale: {codes} codes, but the images have only {different} different patches; take fewer codes"
                )
            centres = centres if done else first_centres(residuals, codes, seed)
            for step in range(1, STEPS):
                centres, error = lloyd_step(residuals, centres)
                yield done * STEPS + step, total, error
            # Code 0 is the one nearest to zero, because unfinished images have it where no code was drawn yet.
            centres = centres[centres.square().sum(1).argsort()]
            self.codebook.copy_(centres)
            yield (done + 1) * STEPS, total, self._fit_filters(f)

    def _residuals(self, f: Tensor, exact: bool) -> Tensor:
        """The vectors to quantise at all scales, [M,D]; with `exact`, as if earlier scales were lossless."""
        rest, found = f, []
        for scale, side in enumerate(self.scales):
            small = shrink(rest, side)
            found.append(small.permute(0, 2, 3, 1).reshape(-1, f.shape[1]))
            rest = rest - self._contribution(scale, small if exact else self._lookup(self._nearest(small), side))
        return torch.cat(found)

    def _fit_filters(self, f: Tensor, exact: bool = False) -> float:
        """Fit φ_k scale by scale, so that f̂_k is closest to f; the squared error after the last scale."""
        rest = f
        for scale, side in enumerate(self.scales):
            small = shrink(rest, side)
            coded = grow(small if exact else self._lookup(self._nearest(small), side), self.side)
            seen = functional.unfold(coded, 3, padding=1).transpose(1, 2).flatten(0, 1).double()
            wanted = rest.permute(0, 2, 3, 1).reshape(len(seen), -1).double()
            ridge = RIDGE * len(seen) * torch.eye(seen.shape[1], dtype=torch.float64, device=f.device)
            weights = torch.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted)
            self.filters[scale] = weights.T.reshape(self.filters[scale].shape)
            rest = rest - functional.conv2d(coded, self.filters[scale], padding=1)
        return float(rest.square().mean())

    def _grid(self, images: Tensor) -> Tensor:
        return torch.unflatten(cut(to_unit(images), self.size).transpose(1, 2), 2, (self.side, self.side))

    def _nearest(self, small: Tensor) -> Tensor:
        """The codes int64 [B,s²] nearest to a grid [B,D,s,s]."""
        return torch.cdist(small.flatten(2).transpose(1, 2), self.codebook).argmin(-1)

    def _lookup(self, codes: Tensor, side: int) -> Tensor:
        return torch.unflatten(self.codebook[codes].transpose(1, 2), 2, (side, side))

    def _contribution(self, scale: int, small: Tensor) -> Tensor:
        """φ_k(U_k z) [B,D,h,h], the contribution of a grid of scale k."""
        return functional.conv2d(grow(small, self.side), self.filters[scale], padding=1)

    def contributions(self, tokens: Tensor) -> Iterator[Tensor]:
        """The contribution [B,D,h,h] of each scale of tokens int64 [B,N]; their sum is decoded."""
        for scale, (side, codes) in enumerate(zip(self.scales, split(tokens, self.scales), strict=True)):
            yield self._contribution(scale, self._lookup(codes, side))

    def encode(self, images: Tensor) -> Tensor:
        rest, found = self._grid(images), []
        for scale, side in enumerate(self.scales):
            found.append(self._nearest(shrink(rest, side)))
            rest = rest - self._contribution(scale, self._lookup(found[-1], side))
        return torch.cat(found, 1)

    def decode(self, tokens: Tensor) -> Tensor:
        grid = sum(self.contributions(tokens), torch.zeros((), device=tokens.device))
        return to_bytes(join(grid.flatten(2).transpose(1, 2), self.shape, self.size))


def _side(shape: tuple[int, int, int], options: "Multiscale") -> int:
    _, height, width = shape
    if height != width or height % options.size:
        raise Unfit(f"square grids of patches of {options.size} pixels do not tile images of {height}x{width}")
    side = height // options.size
    if options.scales[-1] != side:
        raise Unfit(
            f"the last scale must be all {side}x{side} patches of {options.size} pixels; end scales with {side}"
        )
    return side


@dataclass(frozen=True)
class Multiscale:
    """Multi-scale codes (VAR, arXiv:2404.02905): `codes` codes on square grids with side lengths `scales`; the last
    grid has all patches of `size` pixels.
    """

    codes: Count = 128
    scales: tuple[Count, ...] = (1, 2, 3, 4)
    size: Count = 2

    def __post_init__(self) -> None:
        if not self.scales or any(after <= before for before, after in pairwise(self.scales)):
            raise ValueError(f"scales ({', '.join(map(str, self.scales))}) must grow from one to the next")

    def build(self, shape: tuple[int, int, int]) -> MultiscaleModule:
        return MultiscaleModule(self, shape)


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {"multiscale": Multiscale}
