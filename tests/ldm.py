"""The autoencoder of latent diffusion (arXiv:2112.10752) under its own names: a second writing of it, and random weights."""

import re

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]
LATENT, BLOCKS = 4, 2


class Net:
    """The network that a state dict describes, by its names."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.levels = 1 + max(int(found[1]) for name in state if (found := re.match(r"encoder\.down\.(\d+)", name)))

    def conv(self, name: str, x: Tensor, **how: int) -> Tensor:
        return F.conv2d(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], **how)

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, self.state[f"{name}.weight"], self.state[f"{name}.bias"], 1e-6)

    def residual(self, name: str, x: Tensor) -> Tensor:
        h = self.conv(f"{name}.conv1", F.silu(self.norm(f"{name}.norm1", x)), padding=1)
        h = self.conv(f"{name}.conv2", F.silu(self.norm(f"{name}.norm2", h)), padding=1)
        return h + (self.conv(f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in self.state else x)

    def attend(self, name: str, x: Tensor) -> Tensor:
        if f"{name}.norm.weight" not in self.state:
            return x
        h = self.norm(f"{name}.norm", x)
        q, k, v = (self.conv(f"{name}.{part}", h).flatten(2) for part in "qkv")
        weights = (q.transpose(1, 2) @ k / q.shape[1] ** 0.5).softmax(-1)
        return x + self.conv(f"{name}.proj_out", (v @ weights.transpose(1, 2)).reshape(x.shape))

    def middle(self, name: str, x: Tensor) -> Tensor:
        return self.residual(
            f"{name}.mid.block_2", self.attend(f"{name}.mid.attn_1", self.residual(f"{name}.mid.block_1", x))
        )

    def level(self, name: str, x: Tensor, blocks: int) -> Tensor:
        for block in range(blocks):
            x = self.attend(f"{name}.attn.{block}", self.residual(f"{name}.block.{block}", x))
        return x

    def encode(self, x: Tensor) -> Tensor:
        """The mean of the posterior."""
        return self.latents(x).chunk(2, 1)[0]

    def latents(self, x: Tensor) -> Tensor:
        """All that the encoder says."""
        x = self.conv("encoder.conv_in", x, padding=1)
        for level in range(self.levels):
            x = self.level(f"encoder.down.{level}", x, BLOCKS)
            if level < self.levels - 1:
                x = self.conv(f"encoder.down.{level}.downsample.conv", F.pad(x, (0, 1, 0, 1)), stride=2)
        x = F.silu(self.norm("encoder.norm_out", self.middle("encoder", x)))
        return self.conv("quant_conv", self.conv("encoder.conv_out", x, padding=1))

    def decode(self, z: Tensor) -> Tensor:
        x = self.middle("decoder", self.conv("decoder.conv_in", self.conv("post_quant_conv", z), padding=1))
        for level in reversed(range(self.levels)):
            x = self.level(f"decoder.up.{level}", x, BLOCKS + 1)
            if level:
                larger = F.interpolate(x, scale_factor=2.0)
                x = self.conv(f"decoder.up.{level}.upsample.conv", larger, padding=1)
        return self.conv("decoder.conv_out", F.silu(self.norm("decoder.norm_out", x)), padding=1)


def put(state: State, name: str, after: int, before: int, side: int) -> None:
    """Set the random weights of a convolution."""
    made = torch.Generator().manual_seed(len(state))
    state[f"{name}.weight"] = 0.1 * torch.randn(after, before, side, side, generator=made)
    state[f"{name}.bias"] = 0.1 * torch.randn(after, generator=made)


class _Weights:
    """Random weights by name, made one layer after the other."""

    def __init__(self) -> None:
        self.state: State = {}
        self.made = torch.Generator().manual_seed(0)

    def conv(self, name: str, after: int, before: int, side: int = 3) -> None:
        self._put(name, 0.1 * torch.randn(after, before, side, side, generator=self.made))

    def norm(self, name: str, width: int) -> None:
        self._put(name, 1 + 0.1 * torch.randn(width, generator=self.made))

    def residual(self, name: str, before: int, after: int) -> int:
        self.norm(f"{name}.norm1", before)
        self.conv(f"{name}.conv1", after, before)
        self.norm(f"{name}.norm2", after)
        self.conv(f"{name}.conv2", after, after)
        if before != after:
            self.conv(f"{name}.nin_shortcut", after, before, 1)
        return after

    def attention(self, name: str, width: int) -> None:
        self.norm(f"{name}.norm", width)
        for part in ("q", "k", "v", "proj_out"):
            self.conv(f"{name}.{part}", width, width, 1)

    def middle(self, half: str, width: int) -> None:
        for block in (1, 2):
            self.residual(f"{half}.mid.block_{block}", width, width)
        self.attention(f"{half}.mid.attn_1", width)

    def _put(self, name: str, weight: Tensor) -> None:
        self.state[f"{name}.weight"] = weight
        self.state[f"{name}.bias"] = 0.1 * torch.randn(len(weight), generator=self.made)


def layout(widths: tuple[int, ...] = (32, 32, 64), latent: int = LATENT) -> State:
    """Random weights in the layout of `kl16.ckpt`, smaller: attention in the last level of the encoder only."""
    weights = _Weights()
    _encoder(weights, widths, latent)
    _decoder(weights, widths, latent)
    weights.conv("quant_conv", 2 * latent, 2 * latent, 1)
    weights.conv("post_quant_conv", latent, latent, 1)
    return weights.state


def _encoder(weights: _Weights, widths: tuple[int, ...], latent: int) -> None:
    before, last = widths[0], len(widths) - 1
    weights.conv("encoder.conv_in", before, 3)
    for level, width in enumerate(widths):
        for block in range(BLOCKS):
            before = weights.residual(f"encoder.down.{level}.block.{block}", before, width)
            if level == last:
                weights.attention(f"encoder.down.{level}.attn.{block}", width)
        if level < last:
            weights.conv(f"encoder.down.{level}.downsample.conv", width, width)
    weights.middle("encoder", before)
    weights.norm("encoder.norm_out", before)
    weights.conv("encoder.conv_out", 2 * latent, before)


def _decoder(weights: _Weights, widths: tuple[int, ...], latent: int) -> None:
    before = widths[-1]
    weights.conv("decoder.conv_in", before, latent)
    weights.middle("decoder", before)
    for level in reversed(range(len(widths))):
        for block in range(BLOCKS + 1):
            before = weights.residual(f"decoder.up.{level}.block.{block}", before, widths[level])
        if level:
            weights.conv(f"decoder.up.{level}.upsample.conv", before, before)
    weights.norm("decoder.norm_out", before)
    weights.conv("decoder.conv_out", 3, before)
