"""Decode a picture file as a viewer does: upright, in sRGB, on white, with 8 bits per channel."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from mgbench.errors import in_brief

# Formats as detected by Pillow from the content; all other supported formats are lossless.
LOSSY = {"JPEG", "MPO", "WEBP", "JPEG2000", "AVIF"}
EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("png", "apng", "bmp", "dib", "pbm", "pgm", "ppm", "pnm", "tif", "tiff", "tga", "gif", "pcx", "qoi"),
        *("jpg", "jpeg", "jpe", "jfif", "webp", "jp2", "j2k", "jpx", "avif", "avifs"),
    )
)
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


Change = Callable[[Image.Image], Image.Image]


class Unreadable(Exception):
    """A file that is not a picture, or has no defined appearance; the message has the reason."""


@dataclass
class Shown:
    """Pixels uint8 [H,W] or [H,W,3] of a picture, and descriptions of conversions that complete "were …"."""

    pixels: np.ndarray
    lossy: bool
    changes: list[str] = field(default_factory=list)


def show(file: Path | io.BytesIO, change: Change = lambda picture: picture) -> Shown:
    """Decode the picture in a file, or in its content, as a viewer does, and apply `change`.

    It applies the EXIF orientation, takes the first of several pages, converts colour profiles and CMYK to sRGB,
    expands palettes, rounds 16 bits to 8, and composes transparent pixels on white.

    Raises:
        Unreadable: if it cannot be decoded completely, or its pixels are floats.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns above 90 million pixels, which is allowed here, and refuses twice as many.
            warnings.simplefilter("ignore")
            with Image.open(file) as picture:
                picture.load()
                shown = Shown(np.empty(0, np.uint8), picture.format in LOSSY)
                shown.pixels = np.asarray(change(_viewed(picture, shown.changes)))
    except Unreadable:
        raise
    except UnidentifiedImageError:
        empty = isinstance(file, Path) and not file.stat().st_size
        raise Unreadable("it is empty" if empty else "its content is in no format of pictures") from None
    except Exception as error:
        raise Unreadable(in_brief(error) or type(error).__name__) from None
    return shown


def _viewed(picture: Image.Image, changes: list[str]) -> Image.Image:
    if getattr(picture, "n_frames", 1) > 1:
        changes.append("reduced to the first of their pages or frames")
        picture.seek(0)
    upright = ImageOps.exif_transpose(picture)
    if upright.size != picture.size or picture.getexif().get(0x0112, 1) != 1:
        changes.append("turned as their EXIF orientation says")
    return _coloured(upright, picture.info.get("icc_profile"), changes)


def _coloured(picture: Image.Image, profile: bytes | None, changes: list[str]) -> Image.Image:
    if picture.mode in _DEEP:
        changes.append("rounded from 16 bits to 8")
        return Image.fromarray(_to_eight_bits(np.asarray(picture)))
    if picture.mode == "F":
        raise Unreadable("its pixels are floats with an unknown white level")
    if picture.mode in _ALPHA or "transparency" in picture.info:
        return _on_white(picture, changes)
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    if picture.mode == "P":
        return _without_colour(picture.convert("RGB"))
    return _in_srgb(picture, profile, changes)


def _to_eight_bits(deep: np.ndarray) -> np.ndarray:
    if deep.min() < 0 or deep.max() > 65535:
        raise Unreadable("its pixels are whole numbers beyond 16 bits")
    # White is 65,535 in 16 bits, and 255 in 8.
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _on_white(picture: Image.Image, changes: list[str]) -> Image.Image:
    whole = picture.convert("RGBA")
    if whole.getchannel("A").getextrema()[0] < 255:  # type: ignore[operator]
        changes.append("laid on white, as they are partly transparent")
    flat = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    return flat if picture.mode in ("RGBA", "RGBa", "RGB") else _without_colour(flat)


def _without_colour(picture: Image.Image) -> Image.Image:
    """Convert a colour picture to grey if all of its pixels are grey."""
    pixels = np.asarray(picture)
    grey = bool((pixels == pixels[..., :1]).all())
    return Image.fromarray(pixels[..., 0].copy()) if grey else picture


def _in_srgb(picture: Image.Image, profile: bytes | None, changes: list[str]) -> Image.Image:
    if picture.mode == "RGB" and (not profile or _is_srgb(profile)):
        return picture
    if picture.mode != "RGB":
        changes.append(f"brought from {picture.mode} to RGB")
    else:
        changes.append("brought to sRGB from another colour profile")
    if not profile:
        return picture.convert("RGB")
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, given, ImageCms.createProfile("sRGB"), outputMode="RGB")  # type: ignore[return-value]
    except (ImageCms.PyCMSError, OSError):
        # Viewers ignore invalid profiles.
        return picture.convert("RGB")


def _is_srgb(profile: bytes) -> bool:
    try:
        said = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return True
    # "c2" and "uRGB" are compact copies of sRGB used by large websites.
    return "srgb" in said.lower() or said.strip().lower() in ("c2", "urgb", "c2ci")
