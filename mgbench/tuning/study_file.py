"""The study file of a found recipe, which `mgbench run` takes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mgbench.errors import UserError
from mgbench.recipes.recipe import plain
from mgbench.recipes.spec import Value
from mgbench.recipes.study import Outline

MARK = "# Found by mgbench tune"


def study_text(outline: Outline, comments: list[str]) -> str:
    """A study as a TOML file that begins with comments; TOML quotes text as JSON does."""
    lines = [*(f"# {comment}".rstrip() for comment in comments), f"name = {_written(outline.name)}"]
    lists = {"plugins": outline.plugins, "methods": outline.methods, "seeds": outline.seeds}
    lines += [f"{name} = {_written(values)}" for name, values in lists.items() if values]
    tables = {"set": outline.changes} | {f"recipes.{json.dumps(name)}": fields for name, fields in outline.own.items()}
    for name, fields in tables.items():
        if fields:
            lines += ["", f"[{name}]", *(f"{_key(field)} = {_written(value)}" for field, value in fields.items())]
    return "\n".join(lines) + "\n"


def _key(field: str) -> str:
    # Without quotes a dotted key is a table.
    return json.dumps(field) if "." in field else field


def _written(value: Value) -> str:
    return json.dumps(plain(tuple(value) if isinstance(value, list) else value))


def found_study(
    name: str,
    base: tuple[str, Mapping[str, Any]],
    tuned: tuple[str, Mapping[str, Any]] | None,
    changes: Mapping[str, Value],
    seeds: tuple[int, ...],
    plugins: tuple[str, ...] = (),
) -> Outline:
    """The comparison of a method with changed fields (`base`) and of a found recipe on the held-out split, as a study.

    `changes` are the fields set in both; `plugins` are files and modules that the method comes from.
    """
    own = {base[0]: {"base": base[0], **base[1]}}
    if tuned is not None:
        own[tuned[0]] = {"base": base[0], **tuned[1]}
    methods = tuple(own) if plugins else ()
    return Outline(name, plugins, methods, seeds, {**changes, "reference": "test"}, {}, own)


def check_free(path: Path) -> None:
    """Check that a file can be written without loss.

    Raises:
        UserError: if there is a file that no search wrote.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name another file with -o") from None
    if not text.startswith(MARK):
        raise UserError(f"{path} is there already, and no search wrote it; name another file with -o")
