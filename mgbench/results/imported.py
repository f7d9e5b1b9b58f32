"""Imported weights in a results folder: their recipes, sources and files."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mgbench.errors import UserError, suggestion
from mgbench.results.layout import Layout
from mgbench.results.schema import Corrupt
from mgbench.results.store import MANIFEST, listed

WEIGHTS, RECIPE, ORIGIN = "model.safetensors", "recipe.toml", "origin.json"
# Tensors of the original file that are not part of the model, under their original names (with a slash: other state
# dicts).
BESIDE = "beside.safetensors"


@dataclass(frozen=True)
class Origin:
    """The source of imported weights: the file and its SHA-256, its layout, the state dict that was taken, and the
    plain values beside it.

    The model has `classes` classes, and images of `tokens` tokens with `dim` numbers each, or of one of `codes` codes.
    """

    file: str
    sha256: str
    layout: str
    tree: str
    classes: int
    tokens: int
    dim: int
    about: Mapping[str, Any] = field(default_factory=dict)
    codes: int = 0


@dataclass(frozen=True)
class Imported:
    """Weights imported under a name, and their SHA-256."""

    name: str
    folder: Path
    weights: str

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the stored recipe.

        Raises:
            UserError: if the file is damaged.
        """
        try:
            content = tomllib.loads((self.folder / RECIPE).read_text(encoding="utf-8"))
            fields: dict[str, Any] = content["recipes"][self.name]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.folder / RECIPE} cannot be read ({error}); import the weights again") from None
        return {**fields, "weights": self.weights}

    @property
    def origin(self) -> Origin:
        """The source of the weights.

        Raises:
            UserError: if the file is damaged.
        """
        try:
            return Origin(**json.loads((self.folder / ORIGIN).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{self.folder / ORIGIN} cannot be read ({error}); import the weights again") from None


def imported(layout: Layout) -> Iterator[Imported]:
    """All imports, sorted by name; an import without a readable manifest is skipped."""
    for path in sorted(layout.imported("x").parent.glob(f"*/{MANIFEST}")):
        try:
            files = listed(path.parent)
        except (Corrupt, FileNotFoundError):
            continue
        if WEIGHTS in files:
            yield Imported(path.parent.name, path.parent, files[WEIGHTS])


def imported_as(layout: Layout, name: str) -> Imported:
    """The import of this name.

    Raises:
        UserError: if there is none; with the nearest name.
    """
    known = {found.name: found for found in imported(layout)}
    if name not in known:
        raise UserError(f"nothing is imported as {name!r} in {layout.root}; {suggestion(name, known)}")
    return known[name]


def with_weights(layout: Layout, weights: str) -> Imported | None:
    """The import with weights of this SHA-256, or None."""
    return next((found for found in imported(layout) if found.weights == weights), None)


def as_toml(name: str, fields: Mapping[str, Any], comment: str) -> str:
    """A study file with one recipe; TOML quotes text as JSON does."""
    lines = [f"# {comment}", f"[recipes.{json.dumps(name)}]"]
    return "\n".join([*lines, *(f"{field} = {json.dumps(value)}" for field, value in fields.items())]) + "\n"
