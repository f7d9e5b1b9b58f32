"""Readers of external images: folders of pictures, NumPy arrays, and published statistics."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mgbench.errors import UserError
from mgbench.interfaces.data import Statistics
from mgbench.interfaces.images import Images, batches
from mgbench.stages.picture_folders import Pictures, read_folder

# Conversions of floats to uint8: round; round with halves up; truncate.
Floats = Literal["round", "half_up", "cut"]
_ROUND = "round them to 0 … 255 and write them as uint8, or choose a conversion with --floats"
# Larger than rounding errors in float32 statistics of fewer images than features.
_ASYMMETRY, _NEGATIVE = 1e-4, 1e-3


def read_images(path: Path, floats: Floats | None = None) -> Pictures:
    """The images of a folder, an `.npz` or an `.npy`.

    Of a folder, all pictures in it and below (`read_folder`). Of an `.npz`, `arr_0` [M,H,W,C] and perhaps `arr_1`, as
    ADM writes them, or `images` [M,C,H,W] and `labels`, as we do. Floats in [0, 1] or [-1, 1] become uint8 as `floats`
    says.

    Raises:
        UserError: if there are none, or they are not uint8, of different sizes, wrongly cast or cannot be read.
    """
    if path.is_dir():
        found = read_folder(path)
        _refuse_wrong_casts(found.images, path)
        return found
    if path.suffix in (".npz", ".npy") and path.is_file():
        arrays = _arrays(path)
        pixels, last = _pixels(arrays, path)
        if pixels.dtype.kind == "f" and floats is not None:
            pixels = to_uint8(pixels, floats, path)
            return Pictures(_as_images(pixels, last, path), _as_labels(arrays, path), pixels=f"uint8-{floats}")
        return Pictures(_as_images(pixels, last, path), _as_labels(arrays, path))
    what = "is neither a folder nor an .npz or .npy file" if path.exists() else "does not exist"
    raise UserError(f"{path} {what}; give a folder of pictures, or an array of uint8 images")


def to_uint8(values: np.ndarray, how: Floats, path: Path) -> np.ndarray:
    """An array of floats in [0, 1], or in [-1, 1] where one is negative, as uint8.

    Published evaluations differ: MAR and eMIGM round; DiT rounds halves up (127.5 x + 128, truncated); RAE, DeTok,
    MaskBit and Halton truncate, which makes images half a grey level darker.

    Raises:
        UserError: if values are outside these ranges or not finite.
    """
    low, high = float(values.min()), float(values.max())
    if not (low >= -1 and high <= 1):
        raise UserError(
            f"{path} holds floats from {low:g} to {high:g}, and images are in [0, 1] or [-1, 1]; scale them"
        )
    levels = (values.astype(np.float64) * 255) if low >= 0 else (values.astype(np.float64) + 1) * 127.5
    rounded = {"round": np.round(levels), "half_up": np.floor(levels + 0.5), "cut": np.floor(levels)}[how]
    return rounded.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class StoredStatistics:
    """Statistics of a data set in a file: of features, and perhaps of spatial ones, and some of its images.

    `protocol` describes how they were computed, if the file has that.
    """

    features: Statistics
    spatial: Statistics | None = None
    pictures: Pictures | None = None
    protocol: str = ""

    @property
    def extractor(self) -> str:
        """The id of the extractor, with which a protocol ends; empty without one."""
        return self.protocol.rpartition("/")[2]


def read_statistics(path: Path) -> StoredStatistics | None:
    """The mean and covariance in an `.npz` of ADM's or of pytorch-fid's; None if there are none.

    `mu`, `sigma`, perhaps `mu_s`, `sigma_s` of spatial features; `N`, the number of images, and `protocol`, a text.

    Raises:
        UserError: if they are no mean and covariance.
    """
    if path.suffix != ".npz" or not path.is_file():
        return None
    arrays = _arrays(path)
    if "mu" not in arrays:
        return None
    count = int(arrays["N"]) if "N" in arrays else 0
    spatial = _statistics(arrays, "mu_s", "sigma_s", count, path) if "mu_s" in arrays else None
    pictures = read_images(path) if "arr_0" in arrays else None
    protocol = str(arrays["protocol"]) if "protocol" in arrays else ""
    return StoredStatistics(_statistics(arrays, "mu", "sigma", count, path), spatial, pictures, protocol)


def _statistics(arrays: Mapping[str, Any], mean: str, covariance: str, count: int, path: Path) -> Statistics:
    mu, sigma = (arrays.get(name, np.empty(0)) for name in (mean, covariance))
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise UserError(
            f"{path}: {mean} of shape {mu.shape} and {covariance} of shape {sigma.shape} are no mean and covariance"
        )
    # Files have either precision; computations use float64.
    found = torch.from_numpy(sigma.astype(np.float64))
    _refuse_no_covariance(found, f"{path}: {covariance}")
    return Statistics(torch.from_numpy(mu.astype(np.float64)), (found + found.T) / 2, count)


def _refuse_no_covariance(sigma: Tensor, what: str) -> None:
    largest = float(sigma.abs().max()) if sigma.numel() else 0.0
    apart = float((sigma - sigma.T).abs().max()) if sigma.numel() else 0.0
    if apart > _ASYMMETRY * largest:
        raise UserError(
            f"{what} is not symmetric (two elements that should be equal are {apart:.3g} apart), so it is no covariance; "
            "write it again"
        )
    values = torch.linalg.eigvalsh((sigma + sigma.T) / 2)
    if float(values[0]) < -_NEGATIVE * float(values[-1].abs()):
        raise UserError(
            f"{what} has the eigenvalue {float(values[0]):.3g}, and the variances of a covariance are not negative; "
            "write it again"
        )


def _arrays(path: Path) -> Mapping[str, Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
        return {"arr_0": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as NumPy arrays ({error}); write it again") from None


def _pixels(arrays: Mapping[str, Any], path: Path) -> tuple[Any, bool]:
    """The array of images, and whether its channels are last."""
    if "images" in arrays:
        return arrays["images"], False
    if "arr_0" in arrays:
        return arrays["arr_0"], channels_last(arrays["arr_0"])
    raise UserError(f"{path} holds {', '.join(arrays) or 'nothing'}, and should hold arr_0 or images")


def channels_last(pixels: np.ndarray) -> bool:
    """Whether the last axis of an array of images [M,H,W,C] or [M,C,H,W] is that of the channels."""
    shape = pixels.shape
    return not (len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3))


def _as_images(pixels: np.ndarray, channels_last: bool, path: Path) -> Tensor:
    if pixels.dtype != np.uint8:
        raise UserError(f"{path} holds {pixels.dtype} numbers, and images are uint8; {_ROUND}")
    if pixels.ndim == 3:
        pixels, channels_last = pixels[..., None], True
    if pixels.ndim != 4 or not len(pixels) or pixels.shape[3 if channels_last else 1] not in (1, 3):
        raise UserError(
            f"{path} has the shape {pixels.shape}, and should have [images, height, width, channels] with 1 or 3 channels"
        )
    images = torch.from_numpy(np.ascontiguousarray(pixels))
    images = images.permute(0, 3, 1, 2).contiguous() if channels_last else images
    _refuse_wrong_casts(images, path)
    return images


def _refuse_wrong_casts(images: Images, path: Path) -> None:
    """Refuse images that come from casting unscaled floats: only levels 0 and 1, or 255, which is a cast -1.

    Raises:
        UserError: if no other level occurs, and 1 does.
    """
    found: set[int] = set()
    for part in batches(images, 256):
        found |= set(torch.unique(part).tolist())
        if not found <= {0, 1, 255}:
            return
    if 1 in found:
        levels = ", ".join(map(str, sorted(found)))
        raise UserError(
            f"all pixels of {path} are {levels}, as if floats had been cast to uint8 unscaled; "
            "bring them to 0 … 255 before the cast (times 255 from [0, 1]; times 127.5 plus 127.5 from [-1, 1])"
        )


def _as_labels(arrays: Mapping[str, Any], path: Path) -> Tensor | None:
    name = "labels" if "images" in arrays else "arr_1"
    found = arrays.get(name)
    if found is None:
        return None
    count = len(arrays["images" if "images" in arrays else "arr_0"])
    if found.shape != (count,) or found.dtype.kind not in "iu":
        raise UserError(
            f"{path}: {name} is {found.dtype} {found.shape}, and should be {count} whole numbers, one an image"
        )
    labels = torch.from_numpy(found.astype(np.int64))
    return None if (labels < 0).all() else labels
