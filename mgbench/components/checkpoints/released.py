"""The released models of MAR and eMIGM: their sizes, and their settings of training and sampling.

Sources: `README.md` and `models/mar.py` of LTH14/mar at fe470ac (arXiv:2406.11838), and `bash/train`,
`bash/evaluate` and `main_emigm.py` of ML-GSAI/eMIGM at de78623 (arXiv:2503.07197, Tables 6 and 7).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

# The number of ImageNet's training images; each of 32 GPUs drops its last incomplete batch (`drop_last`).
IMAGES, GPUS = 1_281_167, 32


@dataclass(frozen=True)
class Trunk:
    """Width, depth of the encoder (equal to that of the decoder), and attention heads."""

    width: int
    depth: int
    heads: int


@dataclass(frozen=True)
class Sampling:
    """Sampling steps, solver evaluations per step, and the time interval of eMIGM's guidance."""

    steps: int
    evaluations: int
    low: float
    high: float


TRUNKS = {
    "xs": Trunk(448, 10, 8),
    "s": Trunk(512, 12, 8),
    "b": Trunk(768, 12, 12),
    "l": Trunk(1024, 16, 16),
    "h": Trunk(1280, 20, 16),
}
# Width and depth of the head by image size.
_HEADS = {
    256: {"xs": (1024, 3), "s": (1024, 3), "b": (1024, 6), "l": (1280, 8), "h": (1536, 12)},
    512: {"xs": (1280, 6), "s": (1280, 6), "b": (1280, 8), "l": (1280, 8)},
}
_TOKENIZERS = {
    256: "pretrained_kl(path=weights/kl16, scale=0.2325, form=f16c16, latent=sample)",
    512: "dc_ae(path=weights/dc-ae-f32c32-in-1.0, scale=0.3189, form=f32c32)",
}
# Dimensions of a token by image size; both sizes have 256 tokens.
_SIDES = {16: 256, 32: 512}

_EMIGM = {
    "mask_schedule": "exp(rate=5.0)",
    "masking": "shared(t_min=0.2)",
    "time_grid": "uniform(end=1e-05)",
    "sampler": "ancestral_shared",
}
_MAR = {
    "mask_schedule": "cosine",
    "masking": "truncnorm(mean=1, std=0.25, low=0.7, high=1, draws=shared)",
    "sampler": "random_order",
    "solver": "ddpm(steps=100)",
}
_MAR_STEPS = 256
# MAR's guidance scale by model size (README.md: `--cfg`); that of the base model for sizes that were not released.
_MAR_SCALES = {"b": 2.9, "l": 3.0, "h": 3.2}


def heads_of(width: int) -> int | None:
    """The attention heads of the released model of this width; None if there is none."""
    size = _size_of(width)
    return TRUNKS[size].heads if size else None


def sampling_of(emigm: bool, width: int, dim: int) -> dict[str, Any]:
    """The sampling settings of a checkpoint of this width and token dimension: eMIGM's first script, or MAR's."""
    size = _size_of(width)
    return _emigm(short(size or "s", _SIDES.get(dim, 256))) if emigm else _mar(size or "b")


def released_emigm() -> dict[str, dict[str, Any]]:
    """The recipe fields of every released model of eMIGM, by name; each also has a variant with more steps."""
    return dict(_released_emigm())


def _released_emigm() -> Iterator[tuple[str, dict[str, Any]]]:
    for side, sizes in _HEADS.items():
        for size in sizes:
            common = _model("mask_token", side, size) | _training(1024 if size in ("xs", "s") else 2048)
            for ways in (short(size, side), long(size, side)):
                more = "" if ways.steps == 16 else f"-{ways.steps}steps"
                yield f"emigm-{size}-{side}{more}", common | _emigm(ways)


def released_mar() -> dict[str, dict[str, Any]]:
    """The recipe fields of every released model of MAR, by name."""
    return {f"mar-{size}-256": _model("class_token", 256, size) | _training(2048) | _mar(size) for size in _MAR_SCALES}


def short(size: str, side: int) -> Sampling:
    """The settings of eMIGM's first evaluation script."""
    if side == 512:
        return Sampling(16, 8, 0.15, 0.35)
    return Sampling(16, 8, 0.2, 0.4) if size == "h" else Sampling(16, 8, 0.1, 0.3)


def long(size: str, side: int) -> Sampling:
    """The settings of eMIGM's second evaluation script."""
    if side == 512:
        return Sampling(64, 14, 0.25, 0.5)
    usual = Sampling(128, 14, 0.18, 0.6)
    return {"b": replace(usual, low=0.05, high=0.4), "h": replace(usual, low=0.3, high=0.7)}.get(size, usual)


def _emigm(ways: Sampling) -> dict[str, Any]:
    guidance = f"interval(low={ways.low}, high={ways.high}, inner=constant(scale=4.0))"
    solver = f"dpmpp_3s(steps={ways.evaluations})"
    return {**_EMIGM, "guidance_schedule": guidance, "solver": solver, "sampling_steps": ways.steps}


def _mar(size: str) -> dict[str, Any]:
    scale = _MAR_SCALES.get(size, _MAR_SCALES["b"])
    return {**_MAR, "guidance_schedule": f"linear(scale={scale})", "sampling_steps": _MAR_STEPS}


def _model(unconditional: str, side: int, size: str) -> dict[str, Any]:
    trunk, (width, depth) = TRUNKS[size], _HEADS[side][size]
    return {
        "dataset": f"image_folder(path=data/imagenet, size={side})",
        "tokenizer": _TOKENIZERS[side],
        "network": f"mae(width={trunk.width}, depth={trunk.depth}, heads={trunk.heads}, class_tokens=64, dropout=0.1, "
        f"unconditional={unconditional})",
        "head": f"diffusion(width={width}, depth={depth}, noise_samples=4)",
        "loss_weighting": "uniform",
        "metrics": "fid, inception_score(splits=10)",
        "samples": 50_000,
    }


def _training(batch: int) -> dict[str, Any]:
    """Training settings: 800 epochs, of which 100 are warm-up."""
    steps = -(-IMAGES // GPUS) // (batch // GPUS)
    return {
        "train_steps": 800 * steps,
        "warmup_steps": 100 * steps,
        "batch_size": batch,
        "learning_rate": 1e-4 * batch / 256,
        "ema": 0.9999,
        "seed": 1,
    }


def _size_of(width: int) -> str | None:
    return next((size for size, trunk in TRUNKS.items() if trunk.width == width), None)
