"""Paths of weight files that a user gives."""

from pathlib import Path

from mgbench.errors import UserError, no_file

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".bin")


def existing_file(path: Path, what: str = "") -> Path:
    """The path of a file of weights unchanged; `what` begins the message.

    Raises:
        UserError: if there is none, with the files in a folder of that path, or the file with the nearest name.
    """
    if path.is_file():
        return path
    if (path / "config.json").is_file() and any(path.glob("diffusion_pytorch_model*")):
        raise UserError(
            f"{what}{path} is a folder of diffusers, which is used as it is: 'mgbench run --set "
            f"tokenizer=pretrained_kl(path={path})', or pretrained_vq if it has codes"
        )
    raise UserError(f"{what}{no_file(path, SUFFIXES)}")
