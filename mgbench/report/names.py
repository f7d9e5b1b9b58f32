"""Short names of series, without the parts that all of them share."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from mgbench.errors import UserError
from mgbench.recipes.kinds import KINDS
from mgbench.recipes.recipe import FIELDS
from mgbench.recipes.spec import Spec

_FIELD = re.compile(rf", (?=(?:{'|'.join(FIELDS)})=)")


def short_names(names: Iterable[str]) -> dict[str, str]:
    """A short name for each of some series, by which they can still be told apart.

    The method and fields are left out where all have the same, the field before a spec where the spec speaks for
    itself, and of a spec the options that are the same wherever it occurs: of "emigm,
    guidance_schedule=interval(low=0.1, high=0.5, inner=constant(scale=2.0))" and the same with scale 3.0 remain
    "interval(scale=2.0)" and "interval(scale=3.0)".
    """
    split = {name: _split(name) for name in dict.fromkeys(map(str, names))}
    values: dict[str, list[str]] = {}
    for _, fields in split.values():
        for field, value in fields.items():
            values.setdefault(field, []).append(value)
    shown = {field: _short_specs(field, found, values) for field, found in values.items()}
    told = {
        field for field, found in values.items() if len(found) < len(split) or len(set(found)) > 1 or len(split) == 1
    }
    alone = len({method for method, _ in split.values()}) == 1 and len(split) > 1
    short = {}
    for name, (method, fields) in split.items():
        parts = [shown[field][value] for field, value in fields.items() if field in told]
        short[name] = ", ".join(parts if alone and parts else [method, *parts])
    return short if len(set(short.values())) == len(short) else {name: name for name in short}


def _split(name: str) -> tuple[str, dict[str, str]]:
    """A series' method and fields; a comma inside parentheses parts nothing."""
    parts: list[str] = []
    for piece in _FIELD.split(name):
        if parts and parts[-1].count("(") > parts[-1].count(")"):
            parts[-1] += f", {piece}"
        else:
            parts.append(piece)
    fields = dict(part.split("=", 1) for part in parts[1:] if "=" in part)
    return parts[0], fields


def _short_specs(field: str, found: list[str], values: dict[str, list[str]]) -> dict[str, str]:
    others = {value.partition("(")[0] for name, items in values.items() if name != field for value in items}
    speaks = field in KINDS and not any(value.partition("(")[0] in others for value in found)
    short = short_specs(found) if field in KINDS else {value: value for value in found}
    return {value: text if speaks else f"{field}={text}" for value, text in short.items()}


def short_specs(found: Iterable[str]) -> dict[str, str]:
    """Specs as text with only the options that differ from one to the next, those of inner specs among them."""
    found = list(dict.fromkeys(found))
    leaves: dict[str, dict[str, Any] | None] = {}
    for text in found:
        # A mark for another protocol stands behind the last spec.
        spec, dagger, mark = text.partition(" †")
        try:
            parsed = Spec.parse(spec)
        except UserError:
            return {text: text for text in found}
        leaves[text] = {"": parsed.name, **dict(_leaves(parsed)), "†": dagger + mark}
    return {
        text: _spelled(options, _varying(options, list(leaves.values()))) for text, options in leaves.items() if options
    }


def _leaves(spec: Spec, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in (*enumerate(spec.args), *spec.options):
        if isinstance(value, Spec):
            yield f"{path}{name}.", value.name
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _varying(options: dict[str, Any], all_: list[dict[str, Any] | None]) -> list[str]:
    alike = [other for other in all_ if other and other[""] == options[""]]
    return [path for path in options if any(other.get(path) != options[path] for other in alike)]


def _spelled(options: dict[str, Any], varying: list[str]) -> str:
    shown = [f"{path.rstrip('.').rpartition('.')[2]}={options[path]}" for path in varying if path not in ("", "†")]
    name: str = options[""] + (f"({', '.join(shown)})" if shown else "")
    return name + str(options["†"])
