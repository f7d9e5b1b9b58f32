"""Locate weight files, verify their checksums, and load their state dicts."""

import hashlib
import importlib
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mgbench.components.checkpoints.given import existing_file
from mgbench.errors import UserError

Network = TypeVar("Network", bound=nn.Module)


def library(module: str, extractor: str) -> Any:
    """Import a module of an optional library.

    Raises:
        UserError: if it cannot be imported, with the reason.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:
        package = module.partition(".")[0].replace("_", "-")
        said = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(
            f"{extractor} needs {package}, which does not import ({said}); pip install '{package}'"
        ) from None


def located(extractor: str, path: str, usual: str, url: str = "") -> Path:
    """The path of the weights: a given file, or a file in the cache folder, downloaded from `url` if given.

    Raises:
        UserError: if there is no such file, or it cannot be downloaded.
    """
    file = Path(path).expanduser() if path else Path(torch.hub.get_dir()) / "checkpoints" / usual
    if file.is_file():
        return file
    if path:
        return existing_file(file, f"{extractor}: ")
    if not url:
        raise UserError(
            f"the weights of {extractor} are not at {file}; put them there, name a file with {extractor}(path='…'), "
            f"or have them fetched by 'mgbench prepare' or with {extractor}(download=true)"
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), progress=False)
    except OSError as error:
        raise UserError(
            f"cannot fetch {url} ({error}); fetch it elsewhere and name it, {extractor}(path='…')"
        ) from None
    return file


def checked(file: Path, wanted: str, extractor: str) -> str:
    """The SHA-256 of a file, after checking that it starts with `wanted`.

    Raises:
        UserError: if it does not.
    """
    found = sha256(file)
    if not wanted or not found.startswith(wanted):
        raise UserError(
            f"{file} is not the file that {extractor} should read: its SHA-256 begins with {found[:8]}, and not with "
            f"{wanted[:8] or 'anything given'}; get it again, or if these weights are meant, give checksum='{found[:8]}'"
        )
    return found


@cache
def _sha256_of(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def sha256(file: Path) -> str:
    """The SHA-256 of a file, computed once per process."""
    status = file.stat()
    return _sha256_of(file, status.st_size, status.st_mtime_ns)


def state_of(file: Path) -> Any:
    """Load the state dict in a file without running any code in it.

    Raises:
        UserError: if there is none.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{file} holds no weights that can be read: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """The message of an exception in one line."""
    return str(error).strip().partition("\n")[0]


def float32(images: Tensor) -> torch.autocast:
    """A context that disables autocast on the device of images of any shape."""
    return torch.autocast(images.device.type, enabled=False)


def ready(network: Network, name: str, digest: str) -> Network:
    """Set a network to evaluation mode without gradients, and its `id` to its name and the start of a hash."""
    network.id = f"{name}@{digest[:4]}"  # type: ignore[assignment]
    return network.eval().requires_grad_(False)
