"""Artifacts of components: files in the folder of a row, which are verified and removed with it."""

import itertools
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from mgbench.errors import UserError
from mgbench.interfaces import optional
from mgbench.interfaces.artifacts import FinishedRow
from mgbench.registry.content import components_of
from mgbench.results.files import Writer, of_bytes
from mgbench.results.store import ARTIFACTS

Maker = Callable[[FinishedRow], Mapping[str, bytes]]


def artifact_files(components: Iterable[object], row: FinishedRow) -> tuple[dict[str, Writer], list[str]]:
    """Writers of the artifacts of some components and of those inside them, by path in the folder of the row, and
    warnings.

    What a component raises, or returns under a name that cannot be a file of its own, becomes a warning, and loses no
    row.
    """
    files: dict[str, Writer] = {}
    warnings = []
    for folder, make in _makers(components_of(list(components))):
        try:
            files |= {f"{ARTIFACTS}/{folder}/{name}": writer for name, writer in _writers(make(row)).items()}
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            warnings.append(f"artifacts of {folder} are not kept: {said}")
    return files, warnings


def _makers(components: Iterable[object]) -> Iterator[tuple[str, Maker]]:
    """The `artifacts` of components that have it, and their folder names: the class, with a number if several share it."""
    taken: set[str] = set()
    for component in components:
        make = optional.artifacts(component)
        if make is None:
            continue
        name = type(component).__name__
        folders = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        folder = next(folder for folder in folders if folder not in taken)
        taken.add(folder)
        yield folder, make


def _writers(contents: Mapping[str, bytes]) -> Mapping[str, Writer]:
    found = {}
    for name, content in contents.items():
        path = PurePosixPath(name)
        if path.is_absolute() or not path.name or any(part == ".." or part.startswith(".") for part in path.parts):
            raise UserError(f"{name!r} cannot name a file of its folder; return names such as 'map.png'")
        if not isinstance(content, bytes):
            raise UserError(f"{name!r} is {type(content).__name__}; return the bytes of each file")
        found[str(path)] = of_bytes(content)
    return found
