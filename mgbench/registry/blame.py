"""Turn an error of a component into a sentence with its location in the plugin."""

import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from mgbench.errors import in_brief


def blame(error: BaseException, makers: Iterable[type]) -> str:
    """An error as a sentence with file and line: the innermost frame in the packages of these components, if any."""
    frames = traceback.extract_tb(error.__traceback__)
    homes = [home for home in map(_home, makers) if home]
    inside = [frame for frame in frames if any(Path(frame.filename).is_relative_to(home) for home in homes)]
    where = (inside or list(frames))[-1:]
    place = "".join(f" ({frame.filename}, line {frame.lineno})" for frame in where)
    return f"{type(error).__name__}: {in_brief(error) or 'no message'}{place}"


def _home(maker: type) -> Path | None:
    """The file of a single-file plugin, or the package folder of a component."""
    module = sys.modules.get(maker.__module__)
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    return Path(file).parent if "." in maker.__module__ else Path(file)
