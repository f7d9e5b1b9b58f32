"""JSON Schema of study files, for completion and checks in editors."""

from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from mgbench.recipes.claims import CLAIM_KEYS, NEEDED, TABLE
from mgbench.recipes.kinds import KINDS
from mgbench.recipes.recipe import FIELDS, SPECS, Recipe

# One option of a component, such as "solver.steps".
OPTION = rf"^({'|'.join(KINDS)})(\.\w+)+$"


def study_schema(components: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The schema of a study file; `components` are the names by kind that editors complete."""
    fields = {name: _field(name, components) for name in FIELDS}
    varied = {name: {"type": "array", "items": item} for name, item in fields.items()}
    based = {"base": {"type": "string", "description": "a method to start from"}, **fields}
    text, seed = {"type": "string"}, {"type": "integer", "minimum": 0}
    options: dict[str, Any] = {OPTION: {}}
    properties = {
        "name": {**text, "description": "name of the study and its report; by default the name of the file"},
        "plugins": _list(text, "plugins whose methods to run: installed plugins, files (.py) or modules"),
        "methods": _list(text, "only these methods of the plugins"),
        "seeds": _list(seed, "training seeds; everything is trained and sampled once for each"),
        "sample_seeds": _list(seed, "sampling seeds; every trained model is sampled once for each"),
        "set": {**_table(fields, options), "description": "fields of every recipe"},
        "vary": {
            **_table(varied, {OPTION: {"type": "array"}}),
            "description": "values to vary; every combination runs",
        },
        "recipes": {
            "type": "object",
            "description": "methods of one's own",
            "additionalProperties": _table(based, options),
        },
        TABLE: _list(_claim(), "what the rows are expected to show; the run ends with a verdict on each"),
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A study of mgbench"}
    return {**head, **_table(properties)}


def _list(item: Mapping[str, Any], about: str) -> dict[str, Any]:
    return {"type": "array", "items": item, "description": about}


def _table(properties: Mapping[str, Any], patterns: Mapping[str, Any] | None = None) -> dict[str, Any]:
    table = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**table, "patternProperties": patterns} if patterns else table


def _claim() -> dict[str, Any]:
    keys = {
        name: {**TypeAdapter(hint).json_schema(), "description": about} for name, (hint, about) in CLAIM_KEYS.items()
    }
    return {**_table(keys), "required": list(NEEDED)}


def _field(name: str, components: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    if name in KINDS:
        kind = KINDS[name]
        known = list(components.get(kind.offered_as or name, ()))
        return {"description": kind.question, "anyOf": [{"enum": known}, {"type": "string", "pattern": r"^\w+\(.*\)$"}]}
    about = {"description": FIELDS[name].metadata["about"]}
    if name == "metrics":
        return {**about, "type": "array", "items": {"type": "string"}, "examples": [list(components.get("metric", ()))]}
    if name in SPECS:
        return {**about, "type": "string"}
    schema = TypeAdapter(get_type_hints(Recipe, include_extras=True)[name]).json_schema()
    # A list of one value may be written as the value.
    return {**about, **({"anyOf": [schema["items"], schema]} if schema.get("type") == "array" else schema)}
