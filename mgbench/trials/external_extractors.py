"""The extractor by which foreign images are compared: the one that is asked for, or that files of statistics name."""

from collections.abc import Mapping
from pathlib import Path

from mgbench.errors import UserError
from mgbench.interfaces.components import Extractor
from mgbench.interfaces.data import ExtractorModule
from mgbench.recipes.spec import Spec
from mgbench.registry.registry import Registry
from mgbench.stages.image_files import StoredStatistics

# The extractor for a reference that names none.
EXTRACTOR = "inception"


def named_extractor(registry: Registry, said: Mapping[Path, str]) -> Spec:
    """The extractor whose id files of statistics give; Inception if none gives one.

    Raises:
        UserError: if two files give different ones, or it is not installed under its name.
    """
    if len(set(said.values())) > 1:
        both = " and ".join(f"{file} has those of {name}" for file, name in said.items())
        raise UserError(f"features of different extractors cannot be compared: {both}; write one of them again")
    for file, found in said.items():
        name = found.partition("@")[0]
        if name not in registry.names("extractor"):
            raise UserError(f"{file} holds statistics of {found}; say which extractor that is with --extractor …")
        return Spec(name)
    return Spec(EXTRACTOR)


def build_extractor(registry: Registry, wanted: Spec | None, usual: Spec) -> Extractor:
    """The extractor that is wanted, or the usual one.

    Raises:
        UserError: if the usual one lacks its weights.
    """
    if wanted is not None:
        return registry.build(Extractor, wanted)
    extractor = registry.build(Extractor, usual)
    try:
        extractor.build()
    except UserError as error:
        raise UserError(f"{error}; or choose another extractor with --extractor …") from None
    return extractor


def check_extractor(path: Path, stored: StoredStatistics, extractor: ExtractorModule) -> None:
    """Check that statistics name the same extractor, if they name one.

    Raises:
        UserError: if they name another.
    """
    if stored.extractor and stored.extractor != extractor.id:
        raise UserError(
            f"{path} says that its statistics are of {stored.extractor}, and the extractor here is {extractor.id}; "
            "choose the same extractor"
        )
