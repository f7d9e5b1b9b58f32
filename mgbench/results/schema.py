"""Seal stored files with a schema version and a checksum, and upgrade files of older versions when reading them."""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mgbench.errors import UserError
from mgbench.results.known_scores import known_scores

# Changes by version: 2 `about`; 3 `files`; 4 `tail`, and `packages` of a study; 5 `keys`; 6 `declared`; 7 `label_distribution`
# of a recipe, before called `balanced_labels`; 8 the checksum is of the content as it is written, before of its sorted keys;
# 9 `claims` of a study.
SCHEMA = 9
_AS_WRITTEN = 8


class Corrupt(Exception):
    """A stored file that is truncated, modified, or not in our format."""


class Newer(UserError):
    """A stored file written by a newer version of mgbench."""


Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def _as_it_was(content: dict[str, Any]) -> dict[str, Any]:
    return content


def _distributed(recipe: Mapping[str, Any], about: str) -> dict[str, Any]:
    """A recipe with `label_distribution` in place of `balanced_labels`; for rows about tokenizers it always was balanced."""
    if "balanced_labels" not in recipe:
        return dict(recipe)
    was = {True: "balanced", False: "uniform"}.get(recipe["balanced_labels"])
    now = "balanced" if about == "tokenizer" else was
    rest = {name: value for name, value in recipe.items() if name != "balanced_labels"}
    return {**rest, "label_distribution": now}


# Upgrades from each schema version to the next, for each kind of sealed content, without a gap from 1 to SCHEMA. Some versions
# wrote new fields before they raised the schema, so fields that exist are kept.
RECORDS: dict[int, Upgrade] = {
    1: lambda content: {"about": "images", **content},
    2: lambda content: {"files": {}, **content},
    3: lambda content: {"tail": "", **content},
    4: lambda content: {"keys": {}, **content},
    5: lambda content: {"declared": known_scores(content["scores"]), **content},
    6: lambda content: {**content, "recipe": _distributed(content["recipe"], content["about"])},
    7: _as_it_was,
    8: _as_it_was,
}
STUDIES: dict[int, Upgrade] = {
    1: lambda content: {"references": "", **content},
    2: _as_it_was,
    3: lambda content: {"packages": [], **content},
    4: _as_it_was,
    5: _as_it_was,
    6: _as_it_was,
    7: _as_it_was,
    8: lambda content: {"claims": [], **content},
}
MANIFESTS: dict[int, Upgrade] = {
    1: _as_it_was,
    2: _as_it_was,
    3: _as_it_was,
    4: _as_it_was,
    5: _as_it_was,
    6: _as_it_was,
    7: _as_it_was,
    8: _as_it_was,
}


def seal(content: object) -> str:
    """Content as JSON text with its schema version and checksum."""
    body = json.dumps(content, indent=1)
    return f'{{\n "schema": {SCHEMA},\n "sha256": "{_hash(body)}",\n "content": {body}\n}}'


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _body(text: str, schema: int, content: object) -> str:
    """The part of a sealed text that its checksum covers, as written: serialising ten thousand contents again is slow."""
    if schema < _AS_WRITTEN:
        return json.dumps(content, indent=1, sort_keys=True)
    return text.partition('"content": ')[2].rpartition("\n}")[0]


def unseal(text: str, upgrades: Mapping[int, Upgrade] = MANIFESTS) -> Any:
    """The content of a sealed text, upgraded to the current schema.

    Raises:
        Corrupt: if it is truncated, modified, or not in our format.
        Newer: if a newer version of mgbench wrote it.
    """
    try:
        envelope = json.loads(text)
        schema, checksum, content = int(envelope["schema"]), envelope["sha256"], envelope["content"]
    except (ValueError, KeyError, TypeError):
        raise Corrupt("it is cut short or is no record") from None
    if schema > SCHEMA:
        raise Newer(
            f"these results were written by a newer mgbench (schema {schema}, this one reads {SCHEMA}); update mgbench"
        )
    # The checksum covers the content before any upgrade.
    if _hash(_body(text, schema, content)) != checksum:
        raise Corrupt("its checksum does not match")
    try:
        for step in range(schema, SCHEMA):
            content = upgrades[step](content)
    except (KeyError, TypeError):
        raise Corrupt(f"it does not hold what results of schema {schema} do") from None
    return content


def read_sealed(path: Path, upgrades: Mapping[int, Upgrade] = MANIFESTS) -> Any:
    """The content of a sealed file; raises as `load_record`."""
    try:
        # Reading from a named pipe would block for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Corrupt("it is no file")
        return unseal(path.read_text(encoding="utf-8", errors="replace"), upgrades)
    except FileNotFoundError:
        raise
    except NotADirectoryError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except PermissionError:
        raise UserError(f"cannot read {path}: permission denied; ask its owner to let you read it") from None
    except OSError as error:
        raise Corrupt(f"it cannot be read: {(error.strerror or str(error)).lower()}") from None
