"""Study files named on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

from mgbench.errors import UserError

if TYPE_CHECKING:
    from mgbench.recipes.study import Outline


def study_file(path: Path) -> "Outline":
    """Read a study file.

    Raises:
        UserError: if it cannot be read, or its path is the name of a plugin or method, with the option that takes that.
    """
    from mgbench.recipes.study import read_study

    if not path.suffix and not path.exists():
        _refuse_name(str(path))
    return read_study(path)


def _refuse_name(name: str) -> None:
    from mgbench.registry.loading import installed
    from mgbench.registry.names import methods

    for kind, known in (("plugin", installed()), ("method", {found.name for found in methods()})):
        if name in known:
            raise UserError(f"there is no study file {name!r}; it is the name of a {kind}: write --{kind}s {name}")
