"""Files of weights: where they lie, whether they are those that they should be, and what is in them."""

import hashlib
import importlib
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mgbench.errors import UserError

Network = TypeVar("Network", bound=nn.Module)


def library(module: str, extractor: str) -> Any:
    """A module of another library, imported when it is needed.

    Raises:
        UserError: if it does not import, and why.
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
    """The path of the weights: a named file, else in the cache folder, into which a URL is fetched.

    Raises:
        UserError: if there is no such file, or it cannot be fetched.
    """
    file = Path(path).expanduser() if path else Path(torch.hub.get_dir()) / "checkpoints" / usual
    if file.is_file():
        return file
    if path:
        raise UserError(f"{extractor}: there is no file {path!r}; give the path of the weights")
    if not url:
        raise UserError(
            f"the weights of {extractor} are not at {file}; put them there, name a file with {extractor}(path='…'), "
            f"or have them fetched with {extractor}(download=true)"
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
    """The SHA-256 of a file, which must begin as is wanted.

    Raises:
        UserError: if it begins otherwise.
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
    """The SHA-256 of a file, computed once a process."""
    status = file.stat()
    return _sha256_of(file, status.st_size, status.st_mtime_ns)


def state_of(file: Path) -> Any:
    """The state dict in a file; nothing else that it may hold is run.

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
    """A context without autocast on the device of images of any shape, whoever calls."""
    return torch.autocast(images.device.type, enabled=False)


def ready(network: Network, name: str, digest: str) -> Network:
    """A network in evaluation mode without gradients, its `id` set to its name with the first digits of a hash."""
    network.id = f"{name}@{digest[:4]}"  # type: ignore[assignment]
    return network.eval().requires_grad_(False)
