"""Load autoencoders of `diffusers` from a folder, or by name from the hub's cache, without downloads."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mgbench.components.checkpoints.exact import refuse_differences, refuse_numbers, said_shape
from mgbench.errors import UserError, in_brief

CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model"


def read_autoencoder(kind: type[Any], path: str) -> Any:
    """Load an autoencoder of a `diffusers` class, in evaluation mode and without gradients.

    Raises:
        UserError: if there is none, or its weights do not fit its configuration.
    """
    what = f"a folder with {CONFIG} and the weights of an {kind.__name__}, as its save_pretrained writes them"
    folder = folder_of(path, what)
    try:
        autoencoder, found = _loaded(kind, folder)
    except Exception as error:
        said = f"{type(error).__name__}: {in_brief(error)}"
        raise UserError(f"{path!r} cannot be read ({said}); name {what}") from error
    shapes = {
        name: f"{said_shape(theirs)} instead of {said_shape(ours)}" for name, theirs, ours in found["mismatched_keys"]
    }
    refuse_differences(repr(path), found["missing_keys"], found["unexpected_keys"], shapes)
    refuse_numbers(repr(path), autoencoder.state_dict())
    return autoencoder.eval().requires_grad_(False)


def fetch_autoencoder(path: str) -> None:
    """Download configuration and weights of a name of the hub into its cache, unless they or a folder are there.

    Raises:
        UserError: if they cannot be downloaded.
    """
    from huggingface_hub import hf_hub_download

    if not _is_on_hub(path) or any(file.name != CONFIG for file in content_of(path)):
        return
    try:
        for name in (CONFIG, f"{WEIGHTS}.safetensors"):
            hf_hub_download(path, name)
    except Exception as error:
        raise UserError(
            f"cannot fetch {path} from the hub ({in_brief(error)}); give a name that has {CONFIG} and "
            f"{WEIGHTS}.safetensors, or a folder"
        ) from None


def stated(path: str) -> Mapping[str, Any]:
    """The settings in a configuration file, without the defaults of the class."""
    settings: Mapping[str, Any] = json.loads((_found(path) / CONFIG).read_text(encoding="utf-8"))
    return settings


def content_of(path: str) -> tuple[Path, ...]:
    """The paths of configuration and weights; empty if there is no folder."""
    found = [file for file in _found(path).glob("*") if file.name == CONFIG or file.name.startswith(WEIGHTS)]
    return tuple(sorted(file for file in found if file.is_file()))


def folder_of(path: str, what: str) -> Path:
    """The folder of an autoencoder; `what` describes it in messages.

    Raises:
        UserError: if there is none, with the missing file and where to put it.
    """
    folder = _found(path)
    if (folder / CONFIG).is_file():
        return folder
    if (folder / "model_index.json").is_file():
        raise UserError(f"{path!r} is a whole pipeline; name the folder in it that has {CONFIG}, such as {path}/vae")
    instead = "; a checkpoint in the layout of latent diffusion becomes one with 'mgbench import'"
    if _is_on_hub(path):
        raise UserError(
            f"there is no {CONFIG} in {path!r}, and the hub's cache has no such model; with a network, 'mgbench prepare' or "
            f"'hf download {path} {CONFIG} {WEIGHTS}.safetensors' puts both there, or name {what}{instead}"
        )
    raise UserError(f"there is no {CONFIG} in {path!r}; name {what}{instead}")


def _found(path: str) -> Path:
    folder = Path(path).expanduser()
    return folder if folder.is_dir() or not _is_on_hub(path) else _cached(path) or folder


def _is_on_hub(path: str) -> bool:
    """Whether a path may be a model name on the hub, `owner/name`."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", path) is not None


def _cached(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, CONFIG)
    return Path(found).parent if isinstance(found, str) else None


def _loaded(kind: type[Any], folder: Path) -> tuple[Any, Mapping[str, Any]]:
    """An autoencoder, and the names of weights that the folder lacks, which diffusers only logs."""
    from diffusers.utils import logging

    logger = logging.get_logger("diffusers.models.modeling_utils")
    level = logger.level
    # The log is suppressed, because missing weights become an error message.
    logger.setLevel(logging.ERROR)
    try:
        found: tuple[Any, Mapping[str, Any]] = kind.from_pretrained(
            folder,
            local_files_only=True,
            low_cpu_mem_usage=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        return found
    finally:
        logger.setLevel(level)
