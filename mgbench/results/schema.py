"""How stored files are sealed with a version and a checksum, and how those of older versions are upgraded on read."""

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

# 2: a row says what it is about. 3: and the checksums of the files beside it. 4: and how the log of one that failed ends; a
# study says what was installed. 5: a row names what it rests on. 6: and what its metrics declare of their numbers. 7: and how
# labels were drawn, by a word.
SCHEMA = 7


class Corrupt(Exception):
    """A stored file that is not what was written: cut short, changed, or not ours."""


class Newer(UserError):
    """A stored file that a newer version of mgbench wrote."""


Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def _as_it_was(content: dict[str, Any]) -> dict[str, Any]:
    return content


def _distributed(recipe: Mapping[str, Any], about: str) -> dict[str, Any]:
    """A recipe that says by a word how labels were drawn; those of held-out images always were in equal numbers."""
    if "balanced_labels" not in recipe:
        return dict(recipe)
    was = {True: "balanced", False: "uniform"}.get(recipe["balanced_labels"])
    now = "balanced" if about == "tokenizer" else was
    rest = {name: value for name, value in recipe.items() if name != "balanced_labels"}
    return {**rest, "label_distribution": now}


# What makes of the content of a schema that of the next, for each thing that is sealed; without a gap from 1 to SCHEMA. Some
# versions wrote what is new before they raised the schema, so what is there stays.
RECORDS: dict[int, Upgrade] = {
    1: lambda content: {"about": "images", **content},
    2: lambda content: {"files": {}, **content},
    3: lambda content: {"tail": "", **content},
    4: lambda content: {"keys": {}, **content},
    5: lambda content: {"declared": known_scores(content["scores"]), **content},
    6: lambda content: {**content, "recipe": _distributed(content["recipe"], content["about"])},
}
STUDIES: dict[int, Upgrade] = {
    1: lambda content: {"references": "", **content},
    2: _as_it_was,
    3: lambda content: {"packages": [], **content},
    4: _as_it_was,
    5: _as_it_was,
    6: _as_it_was,
}
MANIFESTS: dict[int, Upgrade] = {
    1: _as_it_was,
    2: _as_it_was,
    3: _as_it_was,
    4: _as_it_was,
    5: _as_it_was,
    6: _as_it_was,
}


def seal(content: Any) -> str:
    """Content as JSON text that carries its schema version and its checksum."""
    body = json.dumps(content, indent=1, sort_keys=True)
    return json.dumps(
        {"schema": SCHEMA, "sha256": hashlib.sha256(body.encode()).hexdigest(), "content": content}, indent=1
    )


def unseal(text: str, upgrades: Mapping[int, Upgrade] = MANIFESTS) -> Any:
    """The content of a sealed text, as this version would have written it.

    Raises:
        Corrupt: if it is not what was sealed.
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
    # The checksum is that of what was written.
    body = json.dumps(content, indent=1, sort_keys=True)
    if hashlib.sha256(body.encode()).hexdigest() != checksum:
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
        # A pipe would be waited for without end.
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
