"""Images made elsewhere: folders of pictures, NumPy arrays, and the statistics that others publish of theirs."""

import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from mgbench.errors import UserError
from mgbench.interfaces.data import Statistics

LOSSLESS = (".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff")
LOSSY = (".jpg", ".jpeg", ".webp")
_ROUND = "round them to 0 … 255 and write them as uint8"


@dataclass(frozen=True)
class Pictures:
    """Images uint8 [M,C,H,W] with C 1 or 3, their labels int64 [M] if they have any, and by which names; and what to note."""

    images: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_images(path: Path) -> Pictures:
    """The images of a folder, an `.npz` or an `.npy`.

    Of a folder, all pictures in it and below; where each lies in a folder of its own class, that is its label. Of an
    `.npz`, `arr_0` [M,H,W,C] and perhaps `arr_1`, as ADM writes them, or `images` [M,C,H,W] and `labels`, as we do.

    Raises:
        UserError: if there are none, or they are not uint8, of different sizes, transparent or cannot be read.
    """
    if path.is_dir():
        return read_folder(path)
    if path.suffix in (".npz", ".npy") and path.is_file():
        arrays = _arrays(path)
        return Pictures(_as_images(*_pixels(arrays, path), path), _as_labels(arrays, path))
    what = "is neither a folder nor an .npz or .npy file" if path.exists() else "does not exist"
    raise UserError(f"{path} {what}; give a folder of pictures, or an array of uint8 images")


@dataclass(frozen=True)
class Published:
    """What others took of a whole data set: statistics of features, and perhaps of spatial ones, and some of its images."""

    features: Statistics
    spatial: Statistics | None = None
    pictures: Pictures | None = None


def read_statistics(path: Path) -> Published | None:
    """The mean and covariance in an `.npz` of ADM's or of pytorch-fid's; None if there are none.

    Raises:
        UserError: if they are no mean and covariance.
    """
    if path.suffix != ".npz" or not path.is_file():
        return None
    arrays = _arrays(path)
    if "mu" not in arrays:
        return None
    spatial = _statistics(arrays, "mu_s", "sigma_s", path) if "mu_s" in arrays else None
    return Published(
        _statistics(arrays, "mu", "sigma", path), spatial, read_images(path) if "arr_0" in arrays else None
    )


def _statistics(arrays: Mapping[str, Any], mean: str, covariance: str, path: Path) -> Statistics:
    mu, sigma = (arrays.get(name, np.empty(0)) for name in (mean, covariance))
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise UserError(
            f"{path}: {mean} of shape {mu.shape} and {covariance} of shape {sigma.shape} are no mean and covariance"
        )
    # Files of either precision are found; sums are taken in the larger one.
    return Statistics(torch.from_numpy(mu.astype(np.float64)), torch.from_numpy(sigma.astype(np.float64)))


def _arrays(path: Path) -> Mapping[str, Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
        return {"arr_0": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as NumPy arrays ({error}); write it again") from None


def _pixels(arrays: Mapping[str, Any], path: Path) -> tuple[Any, bool]:
    """The array of images, and whether its channels come last."""
    if "images" in arrays:
        return arrays["images"], False
    if "arr_0" in arrays:
        shape = arrays["arr_0"].shape
        return arrays["arr_0"], not (len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3))
    raise UserError(f"{path} holds {', '.join(arrays) or 'nothing'}, and should hold arr_0 or images")


def _as_images(pixels: Any, channels_last: bool, path: Path) -> Tensor:
    if pixels.dtype != np.uint8:
        raise UserError(f"{path} holds {pixels.dtype} numbers, and images are uint8; {_ROUND}")
    if pixels.ndim == 3:
        pixels, channels_last = pixels[..., None], True
    if pixels.ndim != 4 or not len(pixels) or pixels.shape[3 if channels_last else 1] not in (1, 3):
        raise UserError(
            f"{path} has the shape {pixels.shape}, and should have [images, height, width, channels] with 1 or 3 channels"
        )
    images = torch.from_numpy(np.ascontiguousarray(pixels))
    return images.permute(0, 3, 1, 2).contiguous() if channels_last else images


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


def read_folder(folder: Path, change: Callable[[Any], Any] = lambda picture: picture) -> Pictures:
    """The pictures of a folder and below in the order of their names, each changed on the way; raises as `read_images`."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (*LOSSLESS, *LOSSY))
    if not files:
        raise UserError(f"there is no picture in {folder}; {', '.join((*LOSSLESS, *LOSSY))} are looked for")
    pixels = [np.asarray(change(_open(file))) for file in files]
    if any(part.ndim == 3 for part in pixels):
        # One in colour makes all of three channels.
        pixels = [np.repeat(part[..., None], 3, 2) if part.ndim == 2 else part for part in pixels]
    sizes = {part.shape[:2]: file for part, file in zip(reversed(pixels), reversed(files), strict=True)}
    if len(sizes) > 1:
        (one, first), (two, second) = list(sizes.items())[:2]
        raise UserError(
            f"{first.name} is {_size(one)} and {second.name} {_size(two)}; bring all of {folder} to one size, "
            "because how images are resized moves every distance"
        )
    labels, names = _classes(folder, files)
    lossy = sum(file.suffix.lower() in LOSSY for file in files)
    note = f"{lossy} of {len(files)} pictures in {folder} are JPEG or WebP, whose losses a distance sees; PNG has none"
    return Pictures(_as_images(np.stack(pixels), True, folder), labels, names, (note,) if lossy else ())


def _size(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))


def _classes(folder: Path, files: list[Path]) -> tuple[Tensor | None, tuple[str, ...]]:
    above = [file.relative_to(folder).parts[:-1] for file in files]
    if not all(above):
        return None, ()
    names = sorted({parts[0] for parts in above})
    return torch.tensor([names.index(parts[0]) for parts in above]), tuple(names)


def _open(file: Path) -> Any:
    try:
        picture: Any = Image.open(file)
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{file} is no picture that can be read ({error}); write it again or take it away") from None
    if picture.mode in ("L", "RGB"):
        return picture
    if picture.mode in ("1", "P") and "transparency" not in picture.info:
        return picture.convert("L" if picture.mode == "1" else "RGB")
    if picture.mode in ("RGBA", "LA") and picture.getchannel("A").getextrema() == (255, 255):
        return picture.convert(picture.mode.removesuffix("A"))
    what = "partly transparent" if picture.mode in ("RGBA", "LA", "P") else f"of the mode {picture.mode}"
    raise UserError(f"{file} is {what}; write it as 8-bit grey or RGB")
