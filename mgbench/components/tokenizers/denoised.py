"""The tokenizer of l-DeTok, a transformer that was trained to denoise, from its published file."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgbench.components.checkpoints.container import read_container
from mgbench.components.checkpoints.exact import load_exactly, refuse_differences
from mgbench.components.tokenizers.autoencoders import raster, unraster
from mgbench.components.tokenizers.patches import to_bytes, to_unit
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.images import Images, batches, taken
from mgbench.interfaces.modules import Fitting
from mgbench.recipes.spec import Count, Index

EPS = 1e-6
# The highest and the lowest frequency of positions.
_HIGH, _LOW = 7.0, 7e-4
# Attention heads of the official sizes, by width.
_HEADS = {512: 8, 768: 12, 1024: 16, 1152: 16, 1280: 16}
_BATCH = 64
_PATCHES, _PLACES, _LATENTS = (
    "encoder.patch_embed.0.weight",
    "encoder.positional_embedding",
    "encoder.latent_head.weight",
)
_SIGNS = (_PATCHES, _PLACES, _LATENTS, "decoder.decoder_embed.weight", "decoder.conv_out.weight")


def rotation(width: int, side: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [N,width] of the places of a square grid in raster order.

    Half of the numbers turn with the row and half with the column, by frequencies that fall geometrically; each half has them
    twice, one after the other.
    """
    falling = _HIGH * (_HIGH / _LOW) ** torch.linspace(0, -1, width // 4).repeat(2)
    turns = 2 * math.pi * torch.linspace(0, 1, side)[:, None] * falling
    angles = torch.cat([turns.repeat_interleave(side, 0), turns.repeat(side, 1)], 1)
    return angles.cos(), angles.sin()


def turned(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate adjacent pairs of numbers of x float [B,heads,N,·] by the angles of each place [N,·]."""
    first, second = x[..., 0::2], x[..., 1::2]
    return x * cosines + torch.stack([-second, first], -1).flatten(-2) * sines


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(turned(q, cosines, sines), turned(k, cosines, sines), v)
        out: Tensor = self.proj(y.transpose(1, 2).flatten(2))
        return out


class _Gated(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = int(2 / 3 * width * 4.0)
        self.w12, self.w3 = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.w12(x).chunk(2, -1)
        out: Tensor = self.w3(functional.silu(gate) * up)
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width, eps=EPS), nn.RMSNorm(width, eps=EPS)
        self.attn, self.mlp = _Attention(width, heads), _Gated(width)

    def forward(self, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), cosines, sines)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _Half(nn.Module):
    """The blocks that encoder and decoder have, between two norms; `places` are the number of tokens."""

    def __init__(self, width: int, depth: int, heads: int, places: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(1, places, width))
        self.ln_pre, self.ln_post = nn.RMSNorm(width, eps=EPS), nn.RMSNorm(width, eps=EPS)
        self.transformer = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self._angles = rotation(width // heads, math.isqrt(places))

    def through(self, x: Tensor) -> Tensor:
        x = self.ln_pre(x + self.positional_embedding)
        cosines, sines = (part.to(x) for part in self._angles)
        for block in self.transformer:
            x = block(x, cosines, sines)
        out: Tensor = self.ln_post(x)
        return out


class _Encoder(_Half):
    def __init__(self, sizes: "_Sizes") -> None:
        super().__init__(sizes.widths[0], sizes.depths[0], sizes.heads[0], sizes.places)
        width = sizes.widths[0]
        self.patch_embed = nn.Sequential(nn.Conv2d(3, width, sizes.patch, sizes.patch))
        self.latent_head = nn.Linear(width, 2 * sizes.dim)

    def forward(self, pixels: Tensor) -> Tensor:
        """Means [B,N,D] of the latents of pixels [B,3,H,W']."""
        moments: Tensor = self.latent_head(self.through(raster(self.patch_embed(pixels))))
        return moments.chunk(2, -1)[0]


class _Decoder(_Half):
    def __init__(self, sizes: "_Sizes") -> None:
        super().__init__(sizes.widths[1], sizes.depths[1], sizes.heads[1], sizes.places)
        width = sizes.widths[1]
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))  # for patches that training leaves out
        self.decoder_embed = nn.Linear(sizes.dim, width)
        self.ffn = nn.Sequential(nn.Identity(), nn.Conv2d(width, 3 * sizes.patch**2, 1))
        self.conv_out = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Pixels [B,3,H,W'] of latents [B,N,D]."""
        x, side = self.through(self.decoder_embed(latents)), math.isqrt(latents.shape[1])
        patches = self.ffn(unraster(x, (side, side)))
        size = math.isqrt(patches.shape[1] // 3)
        # A patch has its pixels row by row, and the three channels of a pixel side by side.
        split = patches.reshape(len(x), size, size, 3, side, side).permute(0, 3, 4, 1, 5, 2)
        pixels = split.reshape(len(x), 3, side * size, side * size)
        out: Tensor = self.conv_out(pixels)
        return out


@dataclass(frozen=True)
class _Sizes:
    """Side of a patch, number of tokens, numbers of each; of encoder and decoder the width, depth and attention heads."""

    patch: int
    places: int
    dim: int
    widths: tuple[int, int]
    depths: tuple[int, int]
    heads: tuple[int, int]

    @classmethod
    def of(cls, state: Mapping[str, Tensor], source: str, heads: int) -> "_Sizes":
        refuse_differences(source, set(_SIGNS) - state.keys())
        widths = (len(state[_PATCHES]), len(state["decoder.decoder_embed.weight"]))
        odd = [width for width in widths if not heads and width not in _HEADS]
        if odd:
            raise UserError(
                f"{source} is {odd[0]} wide, which is no published size; give the number of heads, detok(heads=N)"
            )
        found = [heads or _HEADS[width] for width in widths]
        depths = [_depth(state, half) for half in ("encoder", "decoder")]
        sizes = (state[_PATCHES].shape[2], state[_PLACES].shape[1], len(state[_LATENTS]) // 2)
        return cls(*sizes, widths, (depths[0], depths[1]), (found[0], found[1]))


def _depth(state: Mapping[str, Tensor], half: str) -> int:
    numbers = [int(found[1]) for name in state if (found := re.match(rf"{half}\.transformer\.(\d+)\.", name))]
    return 1 + max(numbers, default=-1)


class DeTokModule(nn.Module):
    """Latents of l-DeTok, normalised by their mean and standard deviation on training images, in each channel."""

    def __init__(self, shape: tuple[int, int, int], sizes: _Sizes, count: int) -> None:
        super().__init__()
        side = math.isqrt(sizes.places)
        if shape != (3, side * sizes.patch, side * sizes.patch):
            wanted = side * sizes.patch
            raise Unfit(f"this l-DeTok takes images of 3x{wanted}x{wanted}, and these are {'x'.join(map(str, shape))}")
        self.space, self.count = TokenSpace(sizes.places, sizes.dim, None, (side, side)), count
        self.encoder, self.decoder = _Encoder(sizes), _Decoder(sizes)
        self.register_buffer("mean", torch.zeros(sizes.dim))
        self.register_buffer("std", torch.ones(sizes.dim))

    @torch.no_grad()
    def fit(self, images: Images, seed: int) -> Fitting:
        """Take the mean and the standard deviation of latents of images uint8 [M,3,H,W'], drawn by the seed if there are more
        than `count`.
        """
        made, mean = torch.Generator().manual_seed(seed), self.get_buffer("mean")
        chosen = torch.randperm(len(images), generator=made)[: self.count].sort().values
        total, seen = torch.zeros(2, len(mean), dtype=torch.float64), 0
        for batch in batches(taken(images, chosen), _BATCH):
            latents = self.encoder(to_unit(batch.to(mean.device))).double().flatten(0, 1).cpu()
            total += torch.stack([latents.sum(0), latents.square().sum(0)])
            seen += len(batch)
            first, second = total / (seen * self.space.length)
            mean.copy_(first)
            self.get_buffer("std").copy_((second - first.square()).clamp_min(1e-12).sqrt())
            yield seen, len(chosen), float(self.get_buffer("std").mean())

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Encode images uint8 [B,3,H,W'] as tokens float32 [B,N,D], the normalised means of their latents."""
        latents: Tensor = self.encoder(to_unit(images))
        return (latents - self.get_buffer("mean")) / self.get_buffer("std")

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Decode tokens float [B,N,D] to images uint8 [B,3,H,W']."""
        return to_bytes(self.decoder(tokens * self.get_buffer("std") + self.get_buffer("mean")))


@dataclass(frozen=True)
class DeTok:
    """The published tokenizer of l-DeTok (Yang et al., arXiv:2507.15856), from its file, such as `detok-BB-gamm3.0-m0.7.pth`.

    Tokens are normalised with statistics that the file does not have: those of `count` training images are taken. `heads` of
    attention are known for published sizes (0). Weights are the averaged ones if the file has these.
    """

    path: str
    count: Count = 50_000
    heads: Index = 0

    @property
    def files(self) -> tuple[Path, ...]:
        """The file of the weights, on which the tokens depend."""
        file = Path(self.path).expanduser()
        return (file,) if file.is_file() else ()

    def build(self, shape: tuple[int, int, int]) -> DeTokModule:
        """The tokenizer for images of shape (3, H, W').

        Raises:
            Unfit: if images have another size.
            UserError: if the file cannot be read, or does not fit.
        """
        state = dict(next(iter(read_container(Path(self.path).expanduser()).trees.values())))
        module = DeTokModule(shape, _Sizes.of(state, self.path, self.heads), self.count)
        load_exactly(module, state, self.path, ("mean", "std"))
        return module.eval().requires_grad_(False)


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {"detok": DeTok}
